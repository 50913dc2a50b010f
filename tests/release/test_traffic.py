"""Forecasts are only as good as what is counted: the counts against the log they were made of."""

import msgspec
import numpy as np
import pytest
from tests.release.harness import ALICE, TEAM, Rig, plan_of

from leverframe.core.clock import HOUR_US
from leverframe.core.prediction import LabelRecord, PredictionRecord
from leverframe.release.commands import ApplyPlan
from leverframe.release.evidence.forecast import Today
from leverframe.release.evidence.plan_forecast import forecast_plan
from leverframe.release.evidence.traffic import HOURS_MAX, PAIRS_MIN, REQUESTS_MAX, TrafficMeter
from leverframe.release.plans.plan import MetricRule, ReleasePlan, VersionRef, default_rules, default_stages

START_US = 1_000 * HOUR_US


def answer(
    id: str, at_us: int, *, version: str = "m@v1", role: str = "live", score: float = 0.5, latency_us: int = 1000, status: str = "ok"
):
    return PredictionRecord(
        id=id,
        endpoint="m",
        tenant="t",
        version=version,
        role=role,
        generation=1,
        asked_at_us=at_us,
        latency_us=latency_us,
        status=status,
        outputs=(score,) if status == "ok" else (),
    )


def plan(rules=None, stages=None, strategy: str = "canary") -> ReleasePlan:
    stages = stages or default_stages(strategy)
    ref = VersionRef(version="m@v2", bundle="sha256:2", envelope="sha256:2")
    return ReleasePlan(
        id="prod.m.0001",
        environment="prod",
        endpoint="m",
        team="t",
        strategy=strategy,
        candidate=ref,
        champion=VersionRef(version="m@v1", bundle="sha256:1", envelope="sha256:1"),
        stages=stages,
        rules=default_rules(stages) if rules is None else rules,
        watch_us=48 * HOUR_US,
        label_horizon_us=12 * HOUR_US,
        stall_us=168 * HOUR_US,
        risk_tier="low",
        gates="pass",
        author="alice",
        created_at_us=0,
    )


def test_how_late_labels_come_is_told_although_many_are_still_on_their_way_and_a_short_horizon_is_named() -> None:
    rng, meter, count = np.random.default_rng(8), TrafficMeter(), 4_000
    asked = np.sort(START_US + rng.integers(0, 30 * HOUR_US, count))
    delay = (rng.exponential(5.0, count) * HOUR_US).astype(int)
    end_us = int(asked[-1])
    meter.take(answer(f"q{i}", int(at)) for i, at in enumerate(asked))
    seen = [i for i in range(count) if asked[i] + delay[i] <= end_us]
    meter.take(LabelRecord(id=f"q{i}", endpoint="m", row=0, label=1.0, known_at_us=int(asked[i] + delay[i])) for i in seen)
    (traffic,) = meter.traffic()
    within = dict(traffic.labels_within_us)
    assert within[0.5] == pytest.approx(5.0 * np.log(2.0) * HOUR_US, rel=0.1)
    assert np.median(delay[seen]) < 0.93 * within[0.5], "the labels seen so far are the quick ones, or this test proves nothing"
    assert traffic.labels_known(round(5.0 * np.log(10.0) * HOUR_US)) == pytest.approx(0.9, abs=0.051)
    short = forecast_plan(msgspec.structs.replace(plan(), label_horizon_us=3 * HOUR_US), traffic).labels
    assert "by the horizon of 3 h 45 % are, and those that come later are not used: plan with --label-horizon 1" in short, short
    assert forecast_plan(msgspec.structs.replace(plan(), label_horizon_us=24 * HOUR_US), traffic).labels.endswith(
        "by the horizon of 24 h 99 % are"
    )
    meter = TrafficMeter()
    meter.take(answer(f"q{i}", int(at)) for i, at in enumerate(asked))
    (unlabelled,) = meter.traffic()
    assert (unlabelled.labels_within_us, unlabelled.labels_known(HOUR_US), forecast_plan(plan(), unlabelled).labels) == ((), None, "")


def test_rates_and_latencies_are_those_of_the_log_and_quiet_hours_count() -> None:
    rng = np.random.default_rng(3)
    latencies = rng.lognormal(8.0, 0.5, 6_000)
    meter = TrafficMeter()
    for n, latency in enumerate(latencies):
        # Ten hours with 600 requests each, every second hour nobody asks.
        at_us = START_US + (n // 600) * 2 * HOUR_US + n % 600
        meter.take([answer(f"q{n}", at_us, latency_us=int(latency), status="error" if n % 50 == 0 else "ok")])
    meter.take([answer("last", START_US + 20 * HOUR_US)])
    (found,) = meter.traffic()
    assert found.per_hour() == pytest.approx(6_000 / 19)
    assert found.error_rate() == pytest.approx(0.02, abs=0.001)
    for quantile in (0.5, 0.9, 0.99):
        assert found.latency_us(quantile) == pytest.approx(np.quantile(latencies, quantile), rel=0.1)
    bound = float(np.quantile(latencies, 0.95))
    assert found.slower_share(bound) == pytest.approx(0.05, abs=0.02)


def test_scatter_comes_from_pairs_of_the_same_request_and_needs_enough_of_them() -> None:
    rng = np.random.default_rng(5)
    meter, differences = TrafficMeter(), []
    for n in range(PAIRS_MIN):
        one, label = rng.uniform(), float(rng.random() < 0.3)
        two = float(np.clip(one + rng.normal(0, 0.05), 0, 1))
        meter.take([answer(f"q{n}", START_US + n, score=one), answer(f"q{n}", START_US + n, version="m@v2", role="shadow", score=two)])
        meter.take([LabelRecord(id=f"q{n}", endpoint="m", label=label, known_at_us=START_US + HOUR_US)] * 2)
        differences.append((one - label) ** 2 - (two - label) ** 2)
        if n == PAIRS_MIN - 2:
            assert meter.traffic()[0].sds == {}
    found = meter.traffic()[0]
    assert found.sds["outcome_brier"] == pytest.approx(np.std(differences, ddof=1))
    assert found.pairs["outcome_brier"] == PAIRS_MIN, "a label told twice counts once"


def test_what_is_kept_is_bounded() -> None:
    meter = TrafficMeter()
    for n in range(HOURS_MAX + 30):
        meter.take([answer(f"h{n}", START_US + n * HOUR_US)])
    meter.take(answer(f"q{n}", START_US + 500 * HOUR_US) for n in range(REQUESTS_MAX + 10))
    assert len(meter.traffic()[0].hours) == HOURS_MAX
    assert len(meter.meters["m"].requests) == REQUESTS_MAX


def test_a_plan_is_held_against_todays_traffic_rule_by_rule_and_stage_by_stage() -> None:
    meter = TrafficMeter()
    for n in range(10 * 300):
        meter.take([answer(f"q{n}", START_US + (n // 300) * HOUR_US + n % 300, latency_us=2000 + n % 100)])
    meter.take([answer("last", START_US + 10 * HOUR_US)])
    rules = (*default_rules(default_stages("canary")), MetricRule(metric="latency_quantile", margin=0.25, alpha=0.0005))
    found = forecast_plan(plan(rules), meter.traffic()[0])
    assert found.today.requests_per_hour == pytest.approx(300.0)
    assert found.measured == ("traffic", "errors", "latency_budget", "latency_quantile")
    assert [stage.requests_per_day for stage in found.stages] == pytest.approx([720.0, 3600.0, 7200.0])
    asked = {(rule.rule, rule.stage) for rule in found.rules}
    assert ("latency_quantile", "canary 10 %") in asked
    assert ("latency_budget", "100 %") not in asked
    assert ("sample_ratio", "canary 10 %") not in asked
    assert all(rule.harm_hours is not None for rule in found.rules), "harm of two margins is seen by every rule"
    assert found.hours is not None
    assert found.hours >= 48.0, "two canaries hold a day each"
    assert found.sentence.startswith("with 300 requests an hour at 100 % in about")


def test_without_traffic_no_time_is_told_and_an_endpoint_at_once_only_watches() -> None:
    unknown = forecast_plan(plan(), None)
    assert (unknown.hours, unknown.measured, unknown.today) == (None, (), Today(requests_per_hour=0.0, label_hours=12.0))
    assert unknown.sentence == "nothing is known of today's traffic: no time can be told"
    at_once = forecast_plan(plan(strategy="blue_green", stages=default_stages("blue_green")), None)
    assert at_once.sentence == "everyone at once, then watched for about 2 days"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_release_takes_about_as_long_as_its_plan_said(seed: int) -> None:
    rig = Rig(seed=seed)
    for _ in range(24):
        rig.serve()
    meter = TrafficMeter()
    meter.take(rig.log)
    digest = rig.plan("flight-delay@v2")
    said = forecast_plan(plan_of(rig, digest), meter.traffic()[0])
    assert said.hours is not None
    started_us = rig.clock.now_us()
    release = rig.write(ALICE, ApplyPlan(plan=digest, owner_team=TEAM))["release"]
    for _ in range(24 * 10):
        rig.serve()
        rig.tick()
        if rig.state(release).state != "running":
            break
    assert rig.state(release).state == "watching"
    assert 0.5 < (rig.clock.now_us() - started_us) / HOUR_US / said.hours < 2.0
