"""A release followed while real traffic drives it: what the plan forecast, and what the worker tells of it a moment later."""

import time

from tests.faults.test_rollout_kill import LADDER
from tests.whole_program import ENDPOINT, ENVIRONMENT, Traffic, WholeProgram

from leverframe.apps.platform.views import PlanRequest
from leverframe.core.clock import MINUTE_US

FOLLOWED_S_MAX = 60.0


def test_a_plan_says_what_it_can_see_and_the_watch_says_what_it_sees(running: WholeProgram) -> None:
    ana, ben = running.person("ana"), running.person("ben")
    with Traffic(running, seed=31, batch=20, step_us=6 * MINUTE_US, pause_s=0.02) as traffic:
        request = PlanRequest(
            endpoint=ENDPOINT, version="flight-delay@v2", environment=ENVIRONMENT, strategy="shadow_canary", overrides=LADDER
        )
        plan = _measured(ana, request)
        assert plan.forecast is not None
        assert {"traffic", "errors"} <= set(plan.forecast.measured)
        assert plan.forecast.today.requests_per_hour > 0.0
        assert plan.forecast.sentence.startswith(f"with {plan.forecast.today.requests_per_hour:,.0f} requests an hour")
        ben.release.approve(plan.digest)
        release = ana.release.apply(plan.digest).id
        told: dict[str, tuple[str, ...]] = {}
        until = time.monotonic() + FOLLOWED_S_MAX
        while time.monotonic() < until:
            seen = ana.rollouts.watch(release)
            if seen.lines:
                told.setdefault(f"{seen.state} {seen.stage}", seen.lines)
            if seen.ended:
                break
            time.sleep(0.1)
        assert seen.ended, told
        assert seen.state == "completed", told
        assert traffic.refused == []
    waited = [lines for where, lines in told.items() if where.startswith("running") and lines[0].startswith("holding at")]
    assert waited, told
    assert any("hold time to go" in line or "need" in line for lines in waited for line in lines), waited
    assert told["completed 100 %"] == ("completed: watched at 100 % for the planned time, no harm seen",)
    running.person("olga").rollouts.rollback(release, "as it was before")
    assert running.person("ana").release.get(release).outcome == "rolled_back"


def _measured(ana, request: PlanRequest):
    """The plan once the worker has counted some hours of traffic."""
    until = time.monotonic() + FOLLOWED_S_MAX
    plan = ana.release.plan(request)
    while time.monotonic() < until and not (plan.forecast and plan.forecast.measured and plan.forecast.today.requests_per_hour > 1.0):
        time.sleep(0.3)
        plan = ana.release.plan_of(plan.digest)
    return plan
