import pytest
from tests.release.harness import ALICE, ENV, NAME, START_US, TEAM, Rig, plan_of

from leverframe.core.actor import PLATFORM
from leverframe.core.clock import HOUR_US
from leverframe.core.errors import Conflict, Refused
from leverframe.release.commands import (
    AbortRelease,
    ApplyPlan,
    DeclareTeamRules,
    FreezeReleases,
    Pin,
    Rollback,
    StartQueued,
    UnfreezeReleases,
    Unpin,
)
from leverframe.release.control.controller import Controller
from leverframe.release.plans.team_rules import Environment, TeamRules
from leverframe.release.plans.windows import Calendar, Opening
from leverframe.release.records import KIND_QUEUE, Queue
from leverframe.release.rollout.queue import QUEUE_MAX

AT = {"environment": ENV, "endpoint": NAME, "owner_team": TEAM, "reason": "drill"}


def apply(rig: Rig, plan: str) -> str:
    return rig.write(ALICE, ApplyPlan(plan=plan, owner_team=TEAM))["release"]


def line(rig: Rig) -> list[str]:
    queue = rig.journal.get(KIND_QUEUE, f"{ENV}/{NAME}", Queue)
    return [each.release for each in queue.waiting] if queue else []


def test_a_version_that_comes_during_a_rollout_waits_and_starts_when_it_ends() -> None:
    rig = Rig()
    first = rig.release("flight-delay@v2")
    second = apply(rig, rig.plan("flight-delay@v3", queue=True))
    assert (rig.state(second).state, rig.state(first).state, line(rig)) == ("planned", "running", [second])
    rig.tick()
    assert rig.state(second).state == "planned", "the one under way has not ended"
    rig.write(ALICE, AbortRelease(release=first, owner_team=TEAM, reason="no"))
    rig.tick()
    started = rig.state(second)
    assert (started.state, [entry.event for entry in started.log], line(rig)) == ("running", ["queue", "apply"], [])
    assert started.started_us == rig.clock.now_us()


def test_a_waiting_plan_whose_champion_is_gone_ends_as_stale_and_says_so() -> None:
    rig = Rig()
    first = rig.release("flight-delay@v2")
    waits = apply(rig, rig.plan("flight-delay@v3", queue=True))
    assert rig.run(first, 160).state == "completed"
    rig.tick()
    stale = rig.state(waits)
    assert stale.state == "aborted"
    assert "the plan is stale" in stale.log[-1].reason
    assert "expected flight-delay@v1, got flight-delay@v2" in stale.log[-1].reason
    assert line(rig) == []


def test_a_plan_that_follows_is_compared_with_the_candidate_under_way() -> None:
    rig = Rig()
    first = rig.release("flight-delay@v2")
    digest = rig.plan("flight-delay@v3", follow=True)
    plan = plan_of(rig, digest)
    assert plan.champion is not None
    assert (plan.champion.version, plan.follows, plan.queue) == ("flight-delay@v2", first, True)
    waits = apply(rig, digest)
    assert rig.run(first, 160).state == "completed"
    rig.tick()
    assert rig.state(waits).state == "running"

    other = Rig()
    first = other.release("flight-delay@v2")
    waits = apply(other, other.plan("flight-delay@v3", follow=True))
    other.write(ALICE, Rollback(**AT))
    other.tick()
    assert other.state(waits).state == "aborted", "what it was to be compared with never became live"
    with pytest.raises(Refused, match="no release is under way"):
        other.plan("flight-delay@v3", follow=True)


def test_first_come_first_served_within_a_bound_and_one_may_leave() -> None:
    rig = Rig()
    first = rig.release("flight-delay@v2")
    waiting = [apply(rig, rig.plan("flight-delay@v3", queue=True, note=str(n))) for n in range(QUEUE_MAX)]
    with pytest.raises(Refused, match="too many releases wait"):
        apply(rig, rig.plan("flight-delay@v3", queue=True, note="one more"))
    rig.write(ALICE, AbortRelease(release=waiting[0], owner_team=TEAM, reason="not needed"))
    assert (rig.state(waiting[0]).state, line(rig)) == ("aborted", waiting[1:])
    rig.write(ALICE, AbortRelease(release=first, owner_team=TEAM, reason="no"))
    with pytest.raises(Conflict, match="another release is first in line"):
        rig.write(PLATFORM, StartQueued(plan=rig.state(waiting[2]).plan, owner_team=TEAM))
    rig.tick()
    assert [rig.state(id).state for id in waiting] == ["aborted", "running", "planned", "planned", "planned"]


def test_nothing_in_line_starts_while_frozen_pinned_or_shut() -> None:
    rig = Rig()
    first = rig.release("flight-delay@v2")
    waits = apply(rig, rig.plan("flight-delay@v3", queue=True))
    rig.write(ALICE, AbortRelease(release=first, owner_team=TEAM, reason="no"))
    for shut, reopened, reason in ((FreezeReleases, UnfreezeReleases, "frozen"), (Pin, Unpin, "pinned")):
        rig.write(ALICE, shut(**AT))
        assert reason in rig.tick()[-1].reason
        assert rig.state(waits).state == "planned"
        rig.write(ALICE, reopened(**AT))
    hours = Calendar(openings=(Opening(weekdays=("fri",), opens="08:00", closes="09:00"),))
    rig.write(ALICE, DeclareTeamRules(rules=TeamRules(team=TEAM, environments=(Environment(name=ENV, calendar=hours),)), reason="hours"))
    assert "outside the release hours" in rig.tick()[-1].reason
    rig.clock.set(START_US + 2 * HOUR_US)
    rig.tick()
    assert rig.state(waits).state == "running"


def test_a_plan_in_line_waits_for_the_hours_even_when_nothing_is_under_way() -> None:
    rig = Rig()
    hours = Calendar(openings=(Opening(weekdays=("fri",), opens="08:00", closes="09:00"),))
    waits = apply(rig, rig.plan("flight-delay@v2", queue=True, calendar=hours))
    assert rig.state(waits).state == "planned"
    rig.clock.advance(2 * HOUR_US)
    rig.tick()
    assert rig.state(waits).state == "running"


def test_a_controller_that_dies_before_or_after_the_start_is_followed_by_one_that_goes_on() -> None:
    rig = Rig()
    first = rig.release("flight-delay@v2")
    waits = apply(rig, rig.plan("flight-delay@v3", queue=True))
    rig.write(ALICE, AbortRelease(release=first, owner_team=TEAM, reason="no"))
    for _ in range(2):
        Controller(rig.journal, ENV).tick(rig.observations, rig.clock.now_us())
    assert [entry.event for entry in rig.state(waits).log] == ["queue", "apply"]
