"""From evidence and a margin to a verdict with its sentence.

- **fail** (harm): the evidence that the difference is beyond the margin reaches the rule's share of the false-abort budget.
- **pass**: the evidence that it is within the margin reaches the proof level.
- **inconclusive**: anything else, also no data at all.
"""

import math

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from leverframe.core.statistics.auc import NEGATIVES, POSITIVES
from leverframe.core.statistics.margins import MarginTest, more_needed
from leverframe.core.statistics.multinomial import ShareSequence
from leverframe.core.statistics.sequential import EVERYTHING
from leverframe.core.verdict import Answer, Verdict
from leverframe.release.plans.plan import Metric, MetricRule

NAMES: dict[Metric, str] = {
    "errors": "failing answers",
    "latency_budget": "slow answers",
    "latency_quantile": "latency",
    "prediction_shift": "mean score",
    "outcome_brier": "Brier score",
    "outcome_log_loss": "log loss",
    "outcome_auc": "loss of AUC",
    "outcome_hit": "missed labels",
    "outcome_value": "loss of mean outcome",
    "sample_ratio": "split of callers",
}

_POINTS: tuple[Metric, ...] = ("errors", "latency_budget", "outcome_auc", "outcome_hit")


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A sequence read at one look: estimate (candidate minus champion), evidence of harm and of proof, intervals at both levels.

    ``missing`` is about how many more observations the proof needs (None: it will not come, or nobody can tell). Intervals may be those
    of an earlier look: what a confidence sequence once excluded stays excluded.
    """

    n: int
    estimate: float | None
    log_harm: float
    log_proof: float
    harm: tuple[float, float]
    proof: tuple[float, float]
    missing: int | None = None


def read_test(test: MarginTest | None, rule: MetricRule, drawn: tuple[tuple[float, float], tuple[float, float]] | None = None) -> Reading:
    """What a sequence says at the levels of ``rule``; nothing where there is none, or no observation.

    Parameters
    ----------
    drawn: intervals at both levels of an earlier look; by default those of now, which cost more than all the rest.
    """
    if test is None or not test.n:
        return Reading(n=0, estimate=None, log_harm=0.0, log_proof=0.0, harm=EVERYTHING, proof=EVERYTHING)
    harm, proof = drawn or (test.interval(rule.alpha), test.interval(rule.alpha_proof))
    return Reading(
        n=test.n,
        estimate=test.estimate,
        log_harm=test.log_harm,
        log_proof=test.log_proof,
        harm=harm,
        proof=proof,
        missing=more_needed(test, rule.alpha_proof),
    )


def beyond(log_evidence: ArrayLike, alpha: ArrayLike) -> NDArray[np.bool_]:
    """Whether evidence decides at level ``alpha``: the one threshold of production and simulation, for one look or arrays of them.

    >>> beyond([2.9, 3.0], 0.05).tolist()
    [False, True]
    """
    return np.asarray(log_evidence) >= -np.log(alpha)


def _amount(metric: Metric, value: float) -> str:
    if not math.isfinite(value):
        return "unknown"
    if metric == "latency_quantile":
        return f"{100.0 * value:+.0f} %"
    return f"{100.0 * value:+.1f} points" if metric in _POINTS else f"{value:+.4f}"


def judge(rule: MetricRule, reading: Reading, *, where: str, at_us: int, blocked: str = "") -> Verdict:
    """The verdict on one rule.

    Parameters
    ----------
    where: the stage's name, opening the sentence.
    blocked: why nothing can be concluded whatever the interval says (empty: it can).
    """
    harmed, proven = bool(beyond(reading.log_harm, rule.alpha)), bool(beyond(reading.log_proof, rule.alpha_proof))
    answer: Answer = "inconclusive" if blocked else "fail" if harmed else "pass" if proven else "inconclusive"
    low, high = _interval(rule, reading, answer)
    return Verdict(
        rule=rule.metric,
        answer=answer,
        observed=reading.estimate,
        threshold=rule.margin,
        low=low if math.isfinite(low) else None,
        high=high if math.isfinite(high) else None,
        n=reading.n,
        reason=_sentence(rule, reading, answer, where, blocked),
        next_step="wait for more answers" if answer == "inconclusive" and not blocked else "",
        at_us=at_us,
    )


def _down(reading: Reading) -> bool:
    """Whether harm is that the candidate lies below, which only rules of both sides call harm."""
    return reading.estimate is not None and reading.estimate < 0.0 and reading.harm[1] < 0.0


def _interval(rule: MetricRule, reading: Reading, answer: Answer) -> tuple[float, float]:
    """What is told of the difference. Evidence decides at the margin itself; an interval of an earlier look, or read from coarser points,
    may end a little short of it, and then the margin is its end.
    """
    low, high = reading.harm if answer == "fail" else reading.proof
    if answer == "fail":
        return (low, min(high, -rule.margin)) if _down(reading) else (max(low, rule.margin), high)
    return low, min(high, rule.margin) if answer == "pass" else high


def _sentence(rule: MetricRule, reading: Reading, answer: Answer, where: str, blocked: str) -> str:
    name, margin = rule_words(rule), _amount(rule.metric, rule.margin).lstrip("+")
    if blocked:
        return f"at {where}: {name} cannot be judged: {blocked}"
    if reading.estimate is None:
        return f"at {where}: {name}: nothing to compare yet"
    seen = f"{name} differs by {_amount(rule.metric, reading.estimate)} from the champion on {reading.n:,} {observations_words(rule)}"
    if answer == "fail":
        low, high = _interval(rule, reading, answer)
        certain = high if _down(reading) else low
        return f"at {where}: {seen}; at least {_amount(rule.metric, certain)} is certain, beyond the {margin} that is tolerated"
    if answer == "pass":
        return f"at {where}: {seen}; shown to be within {margin}"
    need = f"need about {reading.missing:,} more to rule out {margin}" if reading.missing else f"cannot yet rule out {margin}"
    return f"at {where}: {seen}; {need}"


def rule_words(rule: MetricRule) -> str:
    """What a rule compares, in a word or two."""
    return f"p{100.0 * rule.quantile_level:g} latency" if rule.metric == "latency_quantile" else NAMES[rule.metric]


def margin_words(rule: MetricRule) -> str:
    """What a rule tolerates, in words: ``2.0 points of failing answers``."""
    amount = _amount(rule.metric, rule.margin).lstrip("+")
    return f"{amount} of {rule_words(rule)}" if rule.metric in _POINTS else f"{amount} in {rule_words(rule)}"


def observations_words(rule: MetricRule) -> str:
    """What a rule counts.

    >>> observations_words(MetricRule(metric="errors", margin=0.02, alpha=0.001, unit="key"))
    'callers'
    """
    if rule.counted_by == "key":
        return "callers"
    if rule.metric == "outcome_auc":
        return f"blocks of {POSITIVES + NEGATIVES} labelled requests"
    return "labelled requests" if rule.metric.startswith("outcome_") else "observations"


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
