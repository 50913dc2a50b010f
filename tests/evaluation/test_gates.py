import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.core.evaluation import Metric
from leverframe.core.verdict import GateRule
from leverframe.evaluation.gates import judge, judge_all, rule_text

AUC = Metric(name="roc_auc", value=0.70, low=0.66, high=0.74, n=1_000)


def auc_of(slice, value, n=500):
    return Metric(name="roc_auc", value=value, low=value - 0.05, high=value + 0.05, n=n, slice=slice)


@pytest.mark.parametrize(
    ("bound", "op", "threshold", "answer", "observed"),
    [
        ("point", ">=", 0.70, "pass", 0.70),
        ("point", ">=", 0.71, "fail", 0.70),
        ("lower", ">=", 0.66, "pass", 0.66),
        ("lower", ">=", 0.67, "fail", 0.66),
        ("upper", "<=", 0.74, "pass", 0.74),
        ("upper", "<=", 0.73, "fail", 0.74),
    ],
)
def test_the_declared_bound_is_compared(bound, op, threshold, answer, observed):
    verdict = judge(GateRule(metric="roc_auc", op=op, threshold=threshold, bound=bound), [AUC], at_us=7)
    assert (verdict.answer, verdict.observed, verdict.threshold, verdict.n, verdict.at_us) == (answer, observed, threshold, 1_000, 7)
    assert (verdict.low, verdict.high) == (0.66, 0.74)


def test_missing_evidence_is_inconclusive_never_a_pass():
    for metrics, rows_min, said in (
        ([], 1, "was not computed"),
        ([AUC], 2_000, "only 1000 rows"),
        ([Metric(name="roc_auc", value=0.9, low=math.nan, high=1.0, n=1_000)], 1, "not a finite number"),
    ):
        verdict = judge(GateRule(metric="roc_auc", op=">=", threshold=0.1, rows_min=rows_min), metrics)
        assert verdict.answer == "inconclusive"
        assert said in verdict.reason
        assert verdict.next_step


@given(st.floats(allow_nan=True, allow_infinity=True), st.floats(allow_nan=True), st.sampled_from(["point", "lower", "upper"]))
def test_nothing_that_is_not_a_number_ever_passes(value, end, bound):
    verdict = judge(GateRule(metric="m", op=">=", threshold=-1e308, bound=bound), [Metric(name="m", value=value, low=end, high=end, n=9)])
    if not (math.isfinite(value) and math.isfinite(end)) and verdict.answer == "pass":
        assert math.isfinite(verdict.observed)
        assert math.isfinite(end), "a pass was given without an interval"


def test_the_worst_large_enough_slice_is_judged_and_named():
    metrics = [AUC, auc_of("carrier=UA", 0.72), auc_of("carrier=HA", 0.61), auc_of("carrier=OO", 0.20, n=9), auc_of("origin=JFK", 0.1)]
    rule = GateRule(metric="roc_auc", op=">=", threshold=0.65, slice="carrier=*", rows_min=100)
    verdict = judge(rule, metrics)
    assert (verdict.answer, verdict.observed, verdict.n) == ("fail", 0.61, 500)
    assert "carrier=HA" in verdict.reason
    assert "this slice is weak" in verdict.reason, "over all rows the rule is met, so the slice is the cause"
    assert judge(rule, [AUC]).answer == "inconclusive"


def test_one_slice_is_judged_by_its_name():
    assert judge(GateRule(metric="roc_auc", op=">=", threshold=0.7, slice="carrier=UA"), [AUC, auc_of("carrier=UA", 0.72)]).observed == 0.72
    assert judge(GateRule(metric="roc_auc", op=">=", threshold=0.7), [auc_of("carrier=UA", 0.72)]).answer == "inconclusive"


def test_too_few_rows_is_told_apart_from_too_weak():
    few = judge(GateRule(metric="roc_auc", op=">=", threshold=0.69, bound="lower"), [AUC])
    assert "too few rows to show it" in few.reason
    assert "16,000 rows" in few.next_step, "a radius of 0.04 must shrink to 0.01: sixteen times the rows"
    weak = judge(GateRule(metric="roc_auc", op=">=", threshold=0.8, bound="lower"), [AUC])
    assert "separates or predicts too weakly" in weak.reason
    assert "0.1400 short of 0.8" in weak.reason


def test_every_rule_is_judged_in_order():
    rules = [GateRule(metric=m, op=">=", threshold=0.0) for m in ("roc_auc", "absent", "roc_auc")]
    assert [v.answer for v in judge_all(rules, [AUC])] == ["pass", "inconclusive", "pass"]


def test_rules_read_as_sentences():
    rule = GateRule(metric="log_loss", op="<=", threshold=0.5, bound="upper", slice="carrier=*", rows_min=300)
    assert rule_text(rule) == "upper 95 % bound of log_loss <= 0.5 on the worst carrier with at least 300 rows"
    assert rule_text(GateRule(metric="brier", op="<=", threshold=0.2, slice="origin=JFK")) == "brier <= 0.2 on origin=JFK"
