"""What labels that came after a switch say of it: the paired losses of both versions on the batch, judged by the sequences of a release."""

from leverframe.core.statistics.levels import split_level
from leverframe.core.verdict import Verdict
from leverframe.release.evidence.judge import judge, read_test
from leverframe.release.evidence.sequences import judged_by
from leverframe.release.plans.plan import FALSE_ABORT_BUDGET, Metric, MetricRule, Stage
from leverframe.release.tables.comparison import Float, log_losses
from leverframe.release.tables.limits import Limits

WATCH = Stage(name="the watch", role="full", weight=100.0)
"""Both versions answered every row of the batch: what a promoted release shows beside its shadow."""


def rules_watched(limits: Limits) -> tuple[MetricRule, ...]:
    """The rules by which a switched table is judged: its limits as margins, the false-alarm budget of a release shared between both."""
    margins: dict[Metric, float] = {"outcome_brier": limits.brier, "outcome_log_loss": limits.log_loss}
    levels = split_level(FALSE_ABORT_BUDGET, dict.fromkeys(margins, 1.0))
    return tuple(MetricRule(metric=metric, margin=margin, alpha=levels[metric]) for metric, margin in margins.items())


def judge_labels(before: Float, after: Float, labels: Float, limits: Limits, *, at_us: int) -> tuple[Verdict, ...]:
    """A verdict a rule; may be asked as often as labels come, and holds at every look.

    Parameters
    ----------
    before, after: float64 ``[n]``, finite: both versions' scores of the labelled rows.
    labels: float64 ``[n]``, 0 or 1; all three in the order in which the labels became known, which later looks continue.
    """
    costs = {
        "outcome_brier": (after - labels) ** 2 - (before - labels) ** 2,
        "outcome_log_loss": log_losses(after, labels) - log_losses(before, labels),
    }
    return tuple(_verdict(rule, costs[rule.metric], at_us) for rule in rules_watched(limits))


def _verdict(rule: MetricRule, differences: Float, at_us: int) -> Verdict:
    judged = judged_by(rule, WATCH)
    assert judged is not None, "losses are paired in the watch"
    assert judged.pairs is not None, "losses are paired in the watch"
    for difference in differences.tolist():
        judged.pairs.add(difference, None)
    judged.flush()
    return judge(rule, read_test(judged.test, rule), where=WATCH.name, at_us=at_us)
