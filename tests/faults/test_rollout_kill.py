"""P20 on the whole program: ``kill -9`` of worker, control plane or gateway at random moments of a rollout that real traffic drives.

Whatever dies, within ten seconds one release is in charge and has ended as its evidence says, weights sum to 100 in ledger and gateway, and
both know the same route generation. The negative control leaves the dead worker dead: then the rollout does not end.
"""

import math
import random
import time
from typing import Any

import pytest
from tests.whole_program import ENDPOINT, Traffic, WholeProgram

from leverframe.core.clock import HOUR_US, MINUTE_US
from leverframe.core.errors import LeverframeError
from leverframe.release.plans.team_rules import TeamRules

CONVERGED_S_MAX = 10.0
ROLLOUT_S = {True: 1.8, False: 0.15}
"""About how long an undisturbed rollout of a good and of a bad version takes at the traffic's pace; kills fall at random into this time."""

LADDER = {
    "stages": [
        {"name": "shadow", "role": "shadow", "weight": 0, "min_hold_us": 30 * MINUTE_US, "rows_min": 60, "labels_min": 20},
        {"name": "canary 25 %", "role": "canary", "weight": 25, "mirror": True, "min_hold_us": HOUR_US, "rows_min": 60, "labels_min": 20},
        {"name": "100 %", "role": "full", "weight": 100, "min_hold_us": 0, "rows_min": 50},
    ],
    "rules": [
        {"metric": "errors", "margin": 0.2, "alpha": 0.001},
        {"metric": "prediction_shift", "margin": 0.05, "alpha": 0.001},
        {"metric": "outcome_brier", "margin": 0.1, "alpha": 0.001},
    ],
    "watch_us": 2 * HOUR_US,
}

QUICK = [("worker", 11, True), ("control", 12, True), ("gateway", 13, True), ("worker", 14, False), ("gateway", 15, False)]
SLOW = [(child, seed, seed % 3 != 0) for seed in range(20, 40) for child in ("worker", "control", "gateway")]


@pytest.fixture(scope="module")
def traffic(running: WholeProgram):
    often = TeamRules(team="flights", rollbacks_max=1_000, rollbacks_of_version_max=1_000)
    running.person("admin").promoting.declare(often, "the same bad version is taken back again and again here")
    with Traffic(running, seed=20, batch=20, step_us=12 * MINUTE_US, pause_s=0.01) as traffic:
        yield traffic


@pytest.mark.parametrize(("child", "seed", "good"), QUICK)
def test_p20_a_killed_process_never_leaves_a_rollout_half_way(running, traffic, child, seed, good):
    _kill_during_a_rollout(running, traffic, child, seed, good)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("child", "seed", "good"), SLOW)
def test_p20_many_more_moments(running, traffic, child, seed, good):
    _kill_during_a_rollout(running, traffic, child, seed, good)


def test_p20_negative_control_a_worker_that_stays_dead_ends_no_rollout(running, traffic):
    worker = next(child for child in running.supervisor.children if child.name == "worker")
    release = _start(running, good=True)
    worker.rests_until = math.inf
    try:
        running.kill("worker")
        worker.process.wait()
        answered = len(traffic.answered)
        time.sleep(ROLLOUT_S[True] + 1.0)
        stuck = running.person("ana").release.get(release)
        assert stuck.outcome == "", "a rollout went on without anybody looking: the test above proves nothing"
        assert len(traffic.answered) > answered, "the gateway stopped answering because the worker died"
    finally:
        worker.rests_until = 0.0
    assert _converge(running, release, time.monotonic())["state"] == "completed"


def _kill_during_a_rollout(program: WholeProgram, traffic: Traffic, child: str, seed: int, good: bool) -> None:
    chance = random.Random(seed)
    failed, refused = traffic.failed, len(traffic.refused)
    champion = _endpoint(program).endpoint.live.version
    release = _start(program, good=good)
    time.sleep(chance.uniform(0.0, ROLLOUT_S[good]))
    # Six kills within half a minute would be a crash loop, after which the supervisor lets a child rest; these are accidents far apart.
    next(each for each in program.supervisor.children if each.name == child).deaths.clear()
    program.kill(child)
    seen = _converge(program, release, time.monotonic())
    print(f"{child} seed {seed}: {seen['state']} {seen['seconds']:.1f} s after the kill")
    assert seen["seconds"] <= CONVERGED_S_MAX
    assert seen["state"] == ("completed" if good else "rolled_back"), seen
    if not good:
        assert _endpoint(program).endpoint.live.version == champion
    log = program.person("ana").release.get(release).log
    climbs = [(entry.event, entry.stage) for entry in log]
    assert len(climbs) == len(set(climbs)), f"a step was carried out twice: {climbs}"
    assert traffic.refused[refused:] == [], "a question was answered with an error"
    if child != "gateway":
        assert traffic.failed == failed, f"the death of the {child} failed somebody's request"


def _endpoint(program: WholeProgram) -> Any:
    return next(view for view in program.person("ana").release.endpoints() if view.endpoint.name == ENDPOINT)


def _start(program: WholeProgram, *, good: bool) -> str:
    live = _endpoint(program).endpoint.live.version
    candidate = "flight-delay@v3" if not good else "flight-delay@v2" if live == "flight-delay@v1" else "flight-delay@v1"
    digest = program.approved_plan(candidate, strategy="shadow_canary", overrides=LADDER)
    return program.person("ana").release.apply(digest).id


def _converge(program: WholeProgram, release: str, killed_at: float) -> dict[str, Any]:
    """Wait until both planes agree and the release has ended; how it ended, and seconds since ``killed_at``."""
    facts: dict[str, Any] = {}
    while time.monotonic() - killed_at < 4 * CONVERGED_S_MAX:
        time.sleep(0.05)
        try:
            view, now = _endpoint(program), program.person("ana").release.get(release)
            active = [r.id for r in program.person("ana").release.list(ENDPOINT) if not r.outcome]
        except LeverframeError:
            continue
        page = program.page()
        running = next((e for e in page.get("endpoints", []) if e["name"] == ENDPOINT), {"arms": [], "release": ""})
        facts = {
            "state": now.state,
            "in_charge": active,
            "generations": (view.generation_desired, page.get("generation")),
            "weights": (sum(arm.weight for arm in view.endpoint.arms), sum(arm["weight"] for arm in running["arms"])),
            "release": (view.endpoint.release, running["release"]),
            "log": [f"{entry.stage} {entry.event} {entry.reason[:120]}" for entry in now.log],
            "summary": now.summary,
            "resting": [child.name for child in program.supervisor.children if child.rests_until],
        }
        assert len(active) <= 1, f"more than one release in charge: {active}"
        desired, runs = facts["generations"]
        if now.outcome and desired == runs and facts["weights"] == (100.0, 100.0) and facts["release"] == (release, release):
            return {**facts, "seconds": time.monotonic() - killed_at}
    raise AssertionError(f"did not converge: {facts}")
