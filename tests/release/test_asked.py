import pytest

from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.errors import InvalidInput
from leverframe.release.plans.asked import RuleAsked, ladder_of, rules_asked
from leverframe.release.plans.plan import ERRORS_MARGIN, FALSE_ABORT_BUDGET, Metric, MetricRule, default_rules, default_stages

STAGES = default_stages("canary")


def spent(rules: tuple[MetricRule, ...]) -> float:
    return sum(rule.alpha for rule in rules) * len(STAGES)


def test_rules_put_over_the_defaults_change_add_and_leave_out_and_spend_the_budget_once() -> None:
    rules = rules_asked(
        (
            RuleAsked(metric="errors", unit="key"),
            RuleAsked(metric="latency_quantile", margin=0.25, quantile=0.95),
            RuleAsked(metric="latency_budget", bound_ms=50.0, alpha=0.001),
            RuleAsked(metric="prediction_shift", off=True),
        ),
        STAGES,
    )
    found = {rule.metric: rule for rule in rules}
    assert set(found) == {"errors", "latency_budget", "outcome_brier", "sample_ratio", "latency_quantile"}
    assert (found["errors"].margin, found["errors"].counted_by) == (ERRORS_MARGIN, "key")
    assert (found["latency_budget"].bound_us, found["latency_budget"].alpha) == (50_000, 0.001)
    assert (found["latency_quantile"].margin, found["latency_quantile"].quantile_level) == (0.25, 0.95)
    assert spent(rules) == pytest.approx(FALSE_ABORT_BUDGET)
    assert rules_asked((), STAGES) == default_rules(STAGES), "nothing asked changes nothing, not even a digest"


def test_rules_share_the_budget_by_their_weights_and_evenly_without() -> None:
    even = rules_asked((), STAGES)
    assert even == default_rules(STAGES)
    weighed = {rule.metric: rule.alpha for rule in rules_asked((RuleAsked(metric="errors", weight=4.0),), STAGES)}
    assert weighed["errors"] == pytest.approx(4.0 * weighed["prediction_shift"])
    assert len(STAGES) * sum(weighed.values()) == pytest.approx(FALSE_ABORT_BUDGET)
    with pytest.raises(InvalidInput, match="out of range"):
        rules_asked((RuleAsked(metric="errors", weight=0.0),), STAGES)


def test_every_metric_there_is_can_be_asked_alone() -> None:
    for metric in Metric.__args__:  # type: ignore[attr-defined]
        (rule,) = rules_asked((RuleAsked(metric=metric, margin=0.1),), STAGES, only=True)
        assert (rule.metric, rule.alpha * len(STAGES)) == (metric, pytest.approx(FALSE_ABORT_BUDGET))


def test_what_cannot_be_asked_is_refused_whole() -> None:
    with pytest.raises(InvalidInput) as caught:
        rules_asked((RuleAsked(metric="outcome_auc"), RuleAsked(metric="errors"), RuleAsked(metric="errors")), STAGES)
    assert [fault.where for fault in caught.value.faults] == ["rules", "rules.outcome_auc"]
    with pytest.raises(InvalidInput, match="more than the false-abort budget"):
        rules_asked((RuleAsked(metric="errors", alpha=0.02),), STAGES)


def test_a_ladder_in_a_line() -> None:
    stages = ladder_of("shadow@90m, 1@6h, 5")[:-1]
    assert [(stage.role, stage.weight, stage.min_hold_us) for stage in stages] == [
        ("shadow", 0.0, HOUR_US + HOUR_US // 2),
        ("canary", 1.0, 6 * HOUR_US),
        ("canary", 5.0, DAY_US),
    ]
    for wrong in ("", "5@h", "5@6y", "half", ",".join("5" * 13)):
        with pytest.raises(InvalidInput):
            ladder_of(wrong)
