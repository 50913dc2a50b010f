"""From a rule to the sequence that judges it, and how rows reach that sequence.

Which page of :mod:`leverframe.core.statistics` fits depends on the rule and on what the stage lets one see: the same request scored by both
models (*paired*: shadow, mirrored canary, the watch), or different requests answered by one of them.
"""

from collections.abc import Callable
from typing import Any

from leverframe.core.statistics.auc import AucLoss
from leverframe.core.statistics.bounded import BoundedMean
from leverframe.core.statistics.clusters import ClusteredDifference, ClusteredMean
from leverframe.core.statistics.covariate import AdjustedDifference
from leverframe.core.statistics.margins import Averaged, MarginTest, TwoSided
from leverframe.core.statistics.means import DifferenceMargin, MeanMargin
from leverframe.core.statistics.quantiles import QuantileMargin
from leverframe.core.statistics.rates import PairedRateDifference, RateDifference
from leverframe.release.plans.plan import MetricRule, Stage

ROWS_WAITING_MAX = 4_096
"""Rows folded into a sequence at the latest, whether anybody looks or not."""

Row = tuple[Any, ...]
Fold = Callable[[list[Row]], None]


class Feed:
    """Rows waiting to be folded into a test, in the order they came."""

    def __init__(self, fold: Fold) -> None:
        self._fold = fold
        self._rows: list[Row] = []

    def add(self, *row: Any) -> None:
        """Put one row in."""
        self._rows.append(row)
        if len(self._rows) >= ROWS_WAITING_MAX:
            self.flush()

    def flush(self) -> None:
        """Fold what waits."""
        if self._rows:
            self._fold(self._rows)
            self._rows = []


class Judged:
    """One rule's test with the feeds that fill it.

    Rows of ``pairs`` are ``(difference, key)`` (for AUC: label and both scores), rows of ``arms`` are ``(candidate?, value, key,
    covariate)``; None where the rule does not use them in this stage.
    """

    def __init__(self, test: MarginTest, *, pairs: Fold | None = None, arms: Fold | None = None) -> None:
        self.test = test
        self.pairs = Feed(pairs) if pairs else None
        self.arms = Feed(arms) if arms else None

    def flush(self) -> None:
        """Fold all that waits."""
        for feed in (self.pairs, self.arms):
            if feed is not None:
                feed.flush()


def paired_in(stage: Stage) -> bool:
    """Whether both models score the same requests in this stage."""
    return stage.mirror or stage.role in ("shadow", "full")


def judged_by(rule: MetricRule, stage: Stage) -> Judged | None:
    """The test of ``rule`` in ``stage``; None for the split of callers, which has its own, and where the stage cannot show it."""
    paired, share = paired_in(stage), stage.weight / 100.0
    if rule.metric == "sample_ratio" or (rule.metric == "outcome_auc" and not paired):
        return None
    if rule.counted_by == "key" and rule.metric in ("errors", "outcome_brier", "outcome_log_loss", "outcome_hit", "outcome_value"):
        return _by_key(rule, paired=paired and rule.metric != "outcome_value")
    if rule.metric == "errors":
        return _errors(rule, stage, share, paired=paired)
    if rule.metric == "latency_budget":
        return _rates(RateDifference(margin=rule.margin, share=share))
    if rule.metric == "latency_quantile":
        return _quantile(QuantileMargin(quantile=rule.quantile_level, margin=rule.margin))
    if rule.metric == "prediction_shift":
        return _shift(rule, paired=paired)
    if rule.metric == "outcome_auc":
        auc = AucLoss(margin=rule.margin)
        return Judged(auc, pairs=lambda rows: auc.update_rows([row[0] for row in rows], [row[1:] for row in rows]))
    if rule.metric == "outcome_value":
        return _value(rule, covaried=stage.mirror)
    if rule.metric == "outcome_hit" and paired:
        misses = BoundedMean(margin=rule.margin)
        return Judged(misses, pairs=lambda rows: misses.update([row[0] for row in rows]))
    return _means(rule, paired=paired)


def _by_key(rule: MetricRule, *, paired: bool) -> Judged:
    if paired:
        mean = ClusteredMean(margin=rule.margin)
        return Judged(mean, pairs=lambda rows: mean.update([row[1] for row in rows], [row[0] for row in rows]))
    difference = ClusteredDifference(margin=rule.margin)

    def fold(rows: list[Row]) -> None:
        difference.update([row[2] for row in rows], candidate=[row[0] for row in rows], values=[row[1] for row in rows])

    return Judged(difference, arms=fold)


def _rates(test: RateDifference) -> Judged:
    return Judged(test, arms=lambda rows: test.update(candidate=[row[0] for row in rows], events=[row[1] > 0.0 for row in rows]))


def _errors(rule: MetricRule, stage: Stage, share: float, *, paired: bool) -> Judged:
    served = RateDifference(margin=rule.margin, share=share) if stage.role == "canary" else None
    if served is not None and not paired:
        return _rates(served)
    pairs = PairedRateDifference(margin=rule.margin)
    fold: Fold = lambda rows: pairs.update([row[0] for row in rows])  # noqa: E731
    # A mirrored canary shows errors twice: pairs see what the champion answers, the candidate's own answers are different requests.
    return Judged(Averaged(pairs, served), pairs=fold, arms=_fold_of(served)) if served is not None else Judged(pairs, pairs=fold)


def _fold_of(test: RateDifference) -> Fold:
    return lambda rows: test.update(candidate=[row[0] for row in rows], events=[row[1] > 0.0 for row in rows])


def _split(rows: list[Row]) -> dict[str, list[float]]:
    return {"candidate": [row[1] for row in rows if row[0]], "champion": [row[1] for row in rows if not row[0]]}


def _quantile(test: QuantileMargin) -> Judged:
    return Judged(test, arms=lambda rows: test.update(**_split(rows)))


def _shift(rule: MetricRule, *, paired: bool) -> Judged:
    if paired:
        up, down = BoundedMean(margin=rule.margin), BoundedMean(margin=rule.margin)

        def fold_pairs(rows: list[Row]) -> None:
            up.update([row[0] for row in rows])
            down.update([-row[0] for row in rows])

        return Judged(TwoSided(up, down), pairs=fold_pairs)
    more, less = DifferenceMargin(margin=rule.margin), DifferenceMargin(margin=rule.margin)

    def fold_arms(rows: list[Row]) -> None:
        arms = _split(rows)
        more.update(**arms)
        less.update(**{arm: [-value for value in values] for arm, values in arms.items()})

    return Judged(TwoSided(more, less), arms=fold_arms)


def _value(rule: MetricRule, *, covaried: bool) -> Judged:
    if not covaried:
        plain = DifferenceMargin(margin=rule.margin)
        return Judged(plain, arms=lambda rows: plain.update(**_split(rows)))
    adjusted = AdjustedDifference(margin=rule.margin)

    def fold(rows: list[Row]) -> None:
        adjusted.update_rows(candidate=[row[0] for row in rows], values=[row[1] for row in rows], covariate=[row[3] for row in rows])

    return Judged(adjusted, arms=fold)


def _means(rule: MetricRule, *, paired: bool) -> Judged:
    if paired:
        mean = MeanMargin(margin=rule.margin)
        return Judged(mean, pairs=lambda rows: mean.update([row[0] for row in rows]))
    difference = DifferenceMargin(margin=rule.margin)
    return Judged(difference, arms=lambda rows: difference.update(**_split(rows)))
