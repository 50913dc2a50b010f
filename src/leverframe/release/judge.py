"""From an interval and a margin to a verdict with its sentence.

- **fail** (harm): the interval at the rule's share of the false-abort budget lies beyond the margin.
- **pass**: the interval at the proof level lies within the margin.
- **inconclusive**: anything else, also no data at all.
"""

import math
from typing import Literal

import msgspec

from leverframe.core.statistics.multinomial import ShareSequence
from leverframe.core.verdict import Answer, Verdict
from leverframe.release.plan import Metric, MetricRule

NAMES: dict[Metric, str] = {
    "errors": "failing answers",
    "latency_budget": "slow answers",
    "prediction_shift": "mean score",
    "outcome_brier": "Brier score",
    "outcome_log_loss": "log loss",
    "sample_ratio": "split of callers",
}

Unit = Literal["points", "plain"]
_POINTS: tuple[Metric, ...] = ("errors", "latency_budget")


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A sequence read at one look: the estimate (candidate minus champion), and its interval at both levels of the rule."""

    n: int
    estimate: float | None
    harm: tuple[float, float]
    proof: tuple[float, float]


def _amount(metric: Metric, value: float) -> str:
    if not math.isfinite(value):
        return "unknown"
    return f"{100.0 * value:+.1f} points" if metric in _POINTS else f"{value:+.4f}"


def rows_missing(reading: Reading, margin: float, *, two_sided: bool) -> int | None:
    """About how many more observations would prove the margin, if the estimate stays: widths shrink with the root of n."""
    if reading.estimate is None or reading.n == 0 or not math.isfinite(reading.proof[1]):
        return None
    distance = abs(reading.estimate) if two_sided else reading.estimate
    room = margin - distance
    if room <= 0.0:
        return None
    radius = max(reading.proof[1] - reading.estimate, reading.estimate - reading.proof[0] if two_sided else 0.0)
    return max(1, math.ceil(reading.n * ((radius / room) ** 2 - 1.0)))


def judge(rule: MetricRule, reading: Reading, *, where: str, at_us: int, blocked: str = "") -> Verdict:
    """The verdict on one rule.

    Parameters
    ----------
    where: the stage's name, opening the sentence.
    blocked: why nothing can be concluded whatever the interval says (empty: it can).
    """
    two_sided = rule.metric == "prediction_shift"
    harmed = reading.harm[0] > rule.margin or (two_sided and reading.harm[1] < -rule.margin)
    proven = reading.proof[1] < rule.margin and (not two_sided or reading.proof[0] > -rule.margin)
    answer: Answer = "inconclusive" if blocked else "fail" if harmed else "pass" if proven and not harmed else "inconclusive"
    low, high = reading.harm if answer == "fail" else reading.proof
    return Verdict(
        rule=rule.metric,
        answer=answer,
        observed=reading.estimate,
        threshold=rule.margin,
        low=low if math.isfinite(low) else None,
        high=high if math.isfinite(high) else None,
        n=reading.n,
        reason=_sentence(rule, reading, answer, where, blocked, two_sided=two_sided),
        next_step="wait for more answers" if answer == "inconclusive" and not blocked else "",
        at_us=at_us,
    )


def _sentence(rule: MetricRule, reading: Reading, answer: Answer, where: str, blocked: str, *, two_sided: bool) -> str:
    name, margin = NAMES[rule.metric], _amount(rule.metric, rule.margin).lstrip("+")
    if blocked:
        return f"at {where}: {name} cannot be judged: {blocked}"
    if reading.estimate is None:
        return f"at {where}: {name}: nothing to compare yet"
    seen = f"{name} differs by {_amount(rule.metric, reading.estimate)} from the champion on {reading.n:,} observations"
    if answer == "fail":
        bound = reading.harm[0] if reading.harm[0] > rule.margin else reading.harm[1]
        return f"at {where}: {seen}; at least {_amount(rule.metric, bound)} is certain, beyond the {margin} that is tolerated"
    if answer == "pass":
        return f"at {where}: {seen}; shown to be within {margin}"
    missing = rows_missing(reading, rule.margin, two_sided=two_sided)
    need = f"need about {missing:,} more to rule out {margin}" if missing else f"cannot yet rule out {margin}"
    return f"at {where}: {seen}; {need}"


def judge_split(rule: MetricRule, split: ShareSequence | None, rows_min: int, *, mismatched: bool, where: str, at_us: int) -> Verdict:
    """The verdict on the split of callers between the arms; a mismatch, once seen, stays."""
    counts = split.counts if split else [0, 0]
    n = sum(counts)
    observed = counts[1] / n if n else None
    enough = n >= min(rows_min, 100)
    answer: Answer = "fail" if mismatched else "pass" if enough else "inconclusive"
    sentences = {
        "fail": f"at {where}: callers are not split as the route says ({counts[1]:,} of {n:,} went to the candidate); "
        "the comparison cannot be trusted",
        "pass": f"at {where}: callers are split as the route says ({counts[1]:,} of {n:,})",
        "inconclusive": f"at {where}: {n:,} callers are too few to check the split",
    }
    step = "find what filters or caches requests, then plan the release again" if mismatched else ""
    return Verdict(
        rule=rule.metric, answer=answer, observed=observed, threshold=rule.alpha, n=n, reason=sentences[answer], next_step=step, at_us=at_us
    )
