import msgspec
import pytest
from tests.release.harness import Rig, plan_of

from leverframe.core.errors import InvalidInput
from leverframe.release.plans.checks import check_plan
from leverframe.release.plans.plan import FALSE_ABORT_BUDGET, MetricRule, Stage, default_rules, default_stages


def test_digest_names_every_field_and_survives_the_ledger() -> None:
    rig = Rig()
    digest = rig.plan(
        "flight-delay@v2",
        rules=(MetricRule(metric="errors", margin=0.02, alpha=0.001), MetricRule(metric="latency_quantile", margin=1, alpha=0.001)),
    )
    plan = plan_of(rig, digest)
    assert plan.digest == digest
    for change in ({"watch_us": 1}, {"author": "eve"}, {"candidate": plan.champion}, {"rules": ()}, {"note": "x"}):
        assert msgspec.structs.replace(plan, **change).digest != digest


def test_the_default_budget_is_spent_once_over_rules_and_stages() -> None:
    for strategy in ("canary", "shadow_canary", "blue_green"):
        stages = default_stages(strategy)
        assert sum(rule.alpha for rule in default_rules(stages)) * len(stages) == pytest.approx(FALSE_ABORT_BUDGET)


def test_all_faults_of_a_plan_are_named_at_once() -> None:
    rig = Rig()
    plan = plan_of(rig, rig.plan("flight-delay@v2"))
    broken = msgspec.structs.replace(
        plan,
        candidate=plan.champion,
        stages=(Stage(name="a", role="canary", weight=60.0), Stage(name="a", role="canary", weight=50.0)),
        rules=(MetricRule(metric="prediction_shift", margin=0.0, alpha=0.5),),
    )
    with pytest.raises(InvalidInput) as caught:
        check_plan(broken)
    where = [fault.where for fault in caught.value.faults]
    assert where == ["stages", "stages", "stages", "rules", "rules.prediction_shift", "rules.prediction_shift", "candidate"]


def test_a_first_version_has_nothing_to_compare_with_and_says_so() -> None:
    rig = Rig(initial=False)
    with pytest.raises(InvalidInput) as caught:
        rig.plan("flight-delay@v1")
    assert "no live version" in caught.value.faults[0].what
    assert rig.plan("flight-delay@v1", strategy="initial").startswith("sha256:")
