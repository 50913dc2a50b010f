"""P23 (light) and P38: a bad version's harm is bounded, an equal one is not taken back, and every simulated release replays."""

import time

import numpy as np
import pytest
from tests.release.harness import Rig, plan_of

from leverframe.release.plans.plan import ReleasePlan
from leverframe.release.simulate import World, simulate


@pytest.fixture(scope="module")
def canary() -> ReleasePlan:
    rig = Rig()
    return plan_of(rig, rig.plan("flight-delay@v2", strategy="canary", stages=None))


@pytest.fixture(scope="module")
def shadow_canary() -> ReleasePlan:
    rig = Rig()
    return plan_of(rig, rig.plan("flight-delay@v2", stages=None))


@pytest.mark.parametrize(
    ("world", "rule", "median_max"),
    [
        (World(candidate_error_rate=1.0), "errors", 10),
        (World(candidate_error_rate=0.2), "errors", 40),
        (World(candidate_error_rate=0.05), "errors", 250),
        (World(saturated_share=0.6), "prediction_shift", 20),
        (World(candidate_shift=0.15), "prediction_shift", 60),
        (World(candidate_slow_rate=0.2), "latency_budget", 250),
    ],
    ids=["all fail", "20 % fail", "5 % fail", "saturated", "shifted", "slow"],
)
def test_answers_by_a_bad_version_until_it_is_taken_back(canary: ReleasePlan, world: World, rule: str, median_max: int) -> None:
    traces = [simulate(canary, world, seed, hours_max=24 * 14) for seed in range(12)]
    assert {(trace.state, trace.rule) for trace in traces} == {("rolled_back", rule)}
    assert np.median([trace.bad_answers for trace in traces]) <= median_max


def test_a_bad_version_never_reaches_a_caller_through_shadow(shadow_canary: ReleasePlan) -> None:
    for seed in range(6):
        assert simulate(shadow_canary, World(saturated_share=0.6), seed).bad_answers == 0


def test_an_equal_version_is_promoted_in_days_and_not_taken_back(shadow_canary: ReleasePlan) -> None:
    traces = [simulate(shadow_canary, World(), seed) for seed in range(30)]
    assert {trace.state for trace in traces} == {"completed"}
    assert np.median([trace.hours_to_full for trace in traces]) < 24 * 8


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_equal_versions_are_wrongly_taken_back_in_at_most_one_percent(shadow_canary: ReleasePlan) -> None:
    states = [simulate(shadow_canary, World(candidate_error_rate=0.01, champion_error_rate=0.01), seed).state for seed in range(1000)]
    assert states.count("rolled_back") <= 10


def test_one_seed_one_trace_at_a_thousand_hours_a_cpu_minute(canary: ReleasePlan) -> None:
    started = time.process_time()
    traces = [simulate(canary, World(), seed) for seed in range(4)]
    minutes = (time.process_time() - started) / 60.0
    assert [simulate(canary, World(), seed).digest for seed in range(4)] == [trace.digest for trace in traces]
    assert len({trace.digest for trace in traces}) == 4, "another seed must be another trace, or the digest says nothing"
    assert sum(trace.hours for trace in traces) / minutes >= 1_000
