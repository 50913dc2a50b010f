import pytest
from tests.release.harness import ALICE, ENV, NAME, TEAM, Rig, plan_of

from leverframe.core.actor import PLATFORM, Actor
from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.errors import Forbidden, InvalidInput, Refused
from leverframe.release.commands import ApplyPlan, DeclareTeamRules, LiftRollbackLimit, PlanRelease, Rollback
from leverframe.release.control.controller import Controller
from leverframe.release.plans.team_rules import Environment, TeamRules
from leverframe.release.plans.windows import Calendar, Closure, Opening

WAY = (Environment(name="dev"), Environment(name="stage", demands="live"), Environment(name="prod", demands="completed"))


def declare(rig: Rig, **fields: object) -> None:
    rig.write(ALICE, DeclareTeamRules(rules=TeamRules(team=TEAM, **fields), reason="how we release"))


def plan_in(rig: Rig, environment: str, version: str, **fields: object) -> str:
    command = PlanRelease(environment=environment, endpoint=NAME, version=version, owner_team=TEAM, **{"strategy": "initial", **fields})
    return rig.write(ALICE, command)["plan"]


def release_in(rig: Rig, environment: str, version: str, **fields: object) -> str:
    return rig.write(ALICE, ApplyPlan(plan=plan_in(rig, environment, version, **fields), owner_team=TEAM))["release"]


def look_at(rig: Rig, environment: str) -> None:
    """The controller of another environment looks once, on a log of its own that is empty."""
    Controller(rig.journal, environment).tick(lambda _: (), rig.clock.now_us())


def test_a_team_that_declared_nothing_has_no_ceremony() -> None:
    rig = Rig()
    plan = plan_of(rig, rig.plan("flight-delay@v2"))
    assert (plan.promoted_from or None, plan.calendar or None, plan.dependants) == (None, None, "roll_back")


def test_what_is_planned_for_prod_has_completed_in_stage_and_answered_in_dev_before() -> None:
    rig = Rig()
    declare(rig, environments=WAY)
    with pytest.raises(Refused) as caught:
        rig.plan("flight-delay@v2")
    assert caught.value.got == "flight-delay does not exist in stage"
    assert caught.value.next_step == "lever release plan flight-delay@v2 --endpoint flight-delay --environment stage"
    with pytest.raises(Refused, match="only what answers in dev"):
        plan_in(rig, "stage", "flight-delay@v2")
    release_in(rig, "dev", "flight-delay@v2")
    release_in(rig, "stage", "flight-delay@v2")
    with pytest.raises(Refused) as caught:
        rig.plan("flight-delay@v2")
    assert caught.value.got == "live", "it answers in stage, but its release there is still watched"
    look_at(rig, "stage")
    plan = plan_of(rig, rig.plan("flight-delay@v2"))
    assert plan.promoted_from == "stage"
    with pytest.raises(Refused, match="no environment of this name") as caught:
        plan_in(rig, "qa", "flight-delay@v2")
    assert caught.value.expected == "dev, stage, prod"


def test_a_plan_made_in_time_is_refused_once_stage_has_gone_back() -> None:
    """What was shown in stage is asked again when the plan is applied, or a version taken back there would still reach prod."""
    rig = Rig()
    declare(rig, environments=(Environment(name="stage"), Environment(name="prod", demands="live")))
    release_in(rig, "stage", "flight-delay@v3")
    look_at(rig, "stage")
    release_in(rig, "stage", "flight-delay@v2", strategy="blue_green")
    plan = rig.plan("flight-delay@v2")
    rig.write(ALICE, Rollback(environment="stage", endpoint=NAME, reason="bad", owner_team=TEAM))
    with pytest.raises(Refused) as caught:
        rig.write(ALICE, ApplyPlan(plan=plan, owner_team=TEAM))
    assert caught.value.got == "flight-delay@v3 is live in stage"


def test_outside_the_hours_nothing_starts_or_climbs_and_rollback_always_works() -> None:
    rig = Rig()
    # The rig's time begins on a Friday in 1971, 06:00 UTC.
    hours = Calendar(openings=(Opening(weekdays=("fri", "mon"), opens="06:00", closes="09:00"),))
    declare(rig, environments=(Environment(name=ENV, calendar=hours),))
    release = rig.release("flight-delay@v2")
    done = rig.run(release, 40)
    assert [entry.stage for entry in done.log] == ["shadow"], "it is Saturday night, and everything has long been proven"
    looks = [look.reason for look in rig.tick()]
    assert "outside the release hours" in looks[0]
    again = rig.plan("flight-delay@v3", supersede=True)
    with pytest.raises(Refused) as caught:
        rig.write(ALICE, ApplyPlan(plan=again, owner_team=TEAM))
    assert caught.value.expected == "open again at 1971-02-08T06:00:00Z"
    rig.run(release, 33)
    climbed = rig.state(release)
    assert climbed.log[-1].stage == "canary 10 %", "Monday morning"
    rig.clock.advance(8 * HOUR_US)
    rig.write(ALICE, Rollback(environment=ENV, endpoint=NAME, reason="at night", owner_team=TEAM))
    assert rig.state(release).state == "rolled_back"


def test_a_closure_of_the_team_stops_what_was_planned_before_it() -> None:
    rig = Rig()
    release = rig.release("flight-delay@v2")
    closed = Calendar(closures=(Closure(first="1971-02-05", last="1971-02-07", reason="stock-taking"),))
    declare(rig, environments=(Environment(name=ENV, calendar=closed),))
    rig.run(release, 40)
    assert "stock-taking" in rig.tick()[0].reason
    assert rig.state(release).stage == 0


def test_after_the_limit_of_rollbacks_a_person_looks_first() -> None:
    rig = Rig()
    declare(rig, rollbacks_max=3, rollbacks_of_version_max=2)
    back = Rollback(environment=ENV, endpoint=NAME, reason="bad", owner_team=TEAM)
    for version, actor in (("flight-delay@v2", ALICE), ("flight-delay@v2", PLATFORM), ("flight-delay@v2", PLATFORM)):
        rig.release(version)
        rig.write(actor, back)
    with pytest.raises(Refused, match="flight-delay@v2 was rolled back by evidence 2 times in 24 h") as caught:
        rig.release("flight-delay@v2")
    assert caught.value.next_step == "lever release lift flight-delay --reason '...'"
    rig.release("flight-delay@v3")
    rig.write(PLATFORM, back)
    with pytest.raises(Refused, match="prod/flight-delay was rolled back by evidence 3 times"):
        rig.release("flight-delay@v3")
    lift = LiftRollbackLimit(environment=ENV, endpoint=NAME, reason="the feed was broken", owner_team=TEAM, lasts_us=HOUR_US)
    with pytest.raises(Forbidden, match="only a person"):
        rig.write(Actor(subject="bot", roles=("operator",), teams=(TEAM,), kind="service"), lift)
    with pytest.raises(InvalidInput, match="without a reason"):
        rig.write(ALICE, LiftRollbackLimit(environment=ENV, endpoint=NAME, reason=" ", owner_team=TEAM))
    rig.write(ALICE, lift)
    rig.clock.advance(HOUR_US)
    with pytest.raises(Refused, match="3 times"):
        rig.release("flight-delay@v3")
    rig.clock.advance(-HOUR_US)
    rig.release("flight-delay@v3")


def test_rollbacks_of_yesterday_stop_nobody_and_a_clock_set_back_opens_no_door() -> None:
    rig = Rig()
    for _ in range(2):
        rig.release("flight-delay@v2")
        rig.write(PLATFORM, Rollback(environment=ENV, endpoint=NAME, reason="bad", owner_team=TEAM))
    rig.clock.advance(-DAY_US)
    with pytest.raises(Refused, match="2 times"):
        rig.release("flight-delay@v2")
    rig.clock.advance(2 * DAY_US + 1)
    assert rig.state(rig.release("flight-delay@v2")).state == "running"


def test_rules_that_cannot_be_kept_are_refused_with_every_fault() -> None:
    rig = Rig()
    with pytest.raises(InvalidInput) as caught:
        declare(
            rig,
            environments=(Environment(name="Prod"), Environment(name="prod", calendar=Calendar(zone="Nowhere/At all"))),
            rollbacks_max=0,
        )
    assert [fault.where for fault in caught.value.faults] == ["environments", "environments.prod.calendar.zone", "rollbacks_max"]
