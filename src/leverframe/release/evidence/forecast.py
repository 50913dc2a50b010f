"""Before a release, what its stages can see: how long until harm of a size is found, how long until an equal version is proven."""

import math

import msgspec

from leverframe.core.clock import HOUR_US, span_words
from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.auc import NEGATIVES, POSITIVES
from leverframe.core.statistics.power import mean_harm_rows, mean_proof_rows, rate_harm_rows, rate_proof_rows, time_to_detect
from leverframe.core.statistics.rates import nearest_worse_chance
from leverframe.release.evidence.judge import NAMES
from leverframe.release.evidence.sequences import paired_in
from leverframe.release.plans.plan import Metric, MetricRule, Stage


class Today(msgspec.Struct, frozen=True, kw_only=True):
    """What the live version does today, from the prediction log; defaults where nobody knows.

    ``requests_per_hour``; ``rates`` of failing and slow answers by rule (for ``latency_quantile``: of answers beyond the quantile grown by
    the margin); ``sds``: standard deviation of one observation by rule (paired
    differences where the stage pairs; for AUC of a block's gap); ``label_hours``: the label horizon.
    """

    requests_per_hour: float
    rates: dict[str, float] = {}
    sds: dict[str, float] = {}
    label_hours: float = 0.0


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule can see in one stage. ``harm_hours``, ``proof_hours``: None, never; the sentence says it in words."""

    rule: Metric
    stage: str
    effect: float
    harm_hours: float | None
    proof_hours: float | None
    sentence: str


RATE_UNKNOWN = 0.01
SDS_UNKNOWN = {"prediction_shift": 0.05, "outcome_brier": 0.05, "outcome_log_loss": 0.15, "outcome_auc": 0.06, "outcome_hit": 0.3}
"""Typical of two versions of one model; a team's own log knows better."""


def _rows(rule: MetricRule, stage: Stage, today: Today, effect: float) -> tuple[int | None, int]:
    """Requests until harm of ``effect`` is seen, and until an equal version is proven."""
    rate, paired = today.rates.get(rule.metric, RATE_UNKNOWN), paired_in(stage)
    share = min(max(stage.weight / 100.0, 1e-6), 1.0 - 1e-6)
    if rule.metric == "latency_quantile":
        # A quantile that grows by the margin leaves more answers beyond its bound: today's tail says how many.
        tail = 1.0 - rule.quantile_level
        beyond = max(tail - today.rates.get(rule.metric, 0.0), 1e-6)
        grown = beyond * effect / rule.margin
        return rate_harm_rows(tail, grown, beyond, share, rule.alpha), rate_proof_rows(tail, beyond, share, rule.alpha_proof)
    if rule.metric == "latency_budget" or (rule.metric == "errors" and not paired):
        return rate_harm_rows(rate, effect, rule.margin, share, rule.alpha), rate_proof_rows(rate, rule.margin, share, rule.alpha_proof)
    if rule.metric == "errors":
        return _paired_rate_rows(rule, rate, effect)
    sd = today.sds.get(rule.metric, SDS_UNKNOWN.get(rule.metric, 1.0))
    # Arms that are not paired differ by both arms' scatter, and the smaller arm sets the pace.
    spread = sd if paired else sd * math.sqrt(1.0 / share + 1.0 / (1.0 - share))
    each = POSITIVES + NEGATIVES if rule.metric == "outcome_auc" else 1
    harm = mean_harm_rows(spread, effect, rule.margin, rule.alpha)
    return None if harm is None else each * harm, each * mean_proof_rows(spread, rule.margin, rule.alpha_proof)


def _paired_rate_rows(rule: MetricRule, rate: float, effect: float) -> tuple[int | None, int]:
    def gain(worse: float, better: float, predicted: tuple[float, float]) -> float:
        near = float(nearest_worse_chance(*predicted, rule.margin))
        same, allowed = 1.0 - worse - better, 1.0 - 2.0 * near - rule.margin
        return (
            worse * math.log(predicted[0] / (near + rule.margin))
            + better * math.log(predicted[1] / max(near, 1e-12))
            + same * math.log(max(1.0 - sum(predicted), 1e-12) / max(allowed, 1e-12))
        )

    equal = max(rate * (1.0 - rate), 1e-6)
    proof = math.ceil(-math.log(rule.alpha_proof) / gain(equal, equal, (equal, equal)))
    if effect <= rule.margin:
        return None, proof
    one = min(rate + effect, 1.0 - 1e-6)
    worse, better = one * (1.0 - rate), max(rate * (1.0 - one), 1e-9)
    return math.ceil((-math.log(rule.alpha) + 2.0) / gain(worse, better, (worse, better))), proof


def forecast(rule: MetricRule, stage: Stage, today: Today, effect: float) -> Forecast:
    """What ``rule`` can see in ``stage`` with today's traffic: medians, near enough.

    Parameters
    ----------
    effect: the harm to be seen, in the rule's unit (0.02: two points of failing answers).

    Raises
    ------
    InvalidInput: of the split nothing can be said, and of a quantile only where today's latencies are known.

    >>> from leverframe.release.plans.plan import default_stages
    >>> rule = MetricRule(metric="errors", margin=0.02, alpha=0.0005)
    >>> print(forecast(rule, default_stages("canary")[0], Today(requests_per_hour=150.0), 0.06).sentence)
    with 150 requests an hour, canary 10 % can see +6.0 points of failing answers in about 5.3 h and prove an equal version in about 2.6 h
    """
    if rule.metric == "sample_ratio" or (rule.metric == "latency_quantile" and rule.metric not in today.rates):
        raise InvalidInput("no forecast for this rule", where=rule.metric, expected="a rate or a mean")
    harm_rows, proof_rows = _rows(rule, stage, today, effect)
    wait = today.label_hours if rule.metric.startswith("outcome_") else 0.0
    harm, proof = (time_to_detect(rows, today.requests_per_hour) for rows in (harm_rows, proof_rows))
    harm, proof = (None if hours is None else hours + wait for hours in (harm, proof))
    points = rule.metric in ("errors", "latency_budget", "outcome_auc", "outcome_hit")
    amount = f"{100.0 * effect:+.1f} points of" if points else f"{effect:+g} in"
    if rule.metric == "latency_quantile":
        amount = f"{100.0 * effect:+.0f} % in the p{100.0 * rule.quantile_level:g} of"
    see = f"can see {amount} {NAMES[rule.metric]} in {about(harm)}" if harm is not None else f"tolerates {amount} {NAMES[rule.metric]}"
    sentence = f"with {today.requests_per_hour:,.0f} requests an hour, {stage.name} {see} and prove an equal version in {about(proof)}"
    return Forecast(rule=rule.metric, stage=stage.name, effect=effect, harm_hours=harm, proof_hours=proof, sentence=sentence)


def about(hours: float | None) -> str:
    """A time in words.

    >>> about(0.5), about(5.25), about(None)
    ('about 30 min', 'about 5.2 h', 'no time at all')
    """
    return "no time at all" if hours is None else f"about {span_words(round(hours * HOUR_US))}"
