import pytest
from tests.release.harness import ALICE, ENV, NAME, TEAM, Rig, version

from leverframe.core.actor import PLATFORM
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, NotFound, Refused
from leverframe.release.commands import (
    AbortRelease,
    ApplyPlan,
    DisableFeature,
    EnableFeature,
    ExpireLever,
    FreezeReleases,
    Kill,
    Pin,
    Rollback,
    SetFallback,
    Unkill,
    Unpin,
)
from leverframe.release.history import live_at, timeline
from leverframe.release.rollout.routes import needs_publish, route_table

AT = {"environment": ENV, "endpoint": NAME, "owner_team": TEAM, "reason": "drill"}


def test_each_lever_is_one_new_generation_and_can_be_put_back() -> None:
    rig = Rig()
    before = rig.generation()
    pairs = [
        (Kill(**AT), Unkill(**AT)),
        (Pin(**AT), Unpin(**AT)),
        (DisableFeature(feature="origin_weather.*", **AT), EnableFeature(feature="origin_weather.*", **AT)),
        (SetFallback(value=0.2, **AT), SetFallback(value=None, **AT)),
    ]
    untouched = rig.endpoint()
    for index, (pull, back) in enumerate(pairs):
        rig.write(ALICE, pull)
        assert rig.endpoint() != untouched
        rig.write(ALICE, back)
        assert rig.endpoint() == untouched
        assert rig.generation() == before + 2 * (index + 1)


def test_a_lever_needs_a_reason_the_right_team_and_a_future_expiry() -> None:
    rig = Rig()
    with pytest.raises(InvalidInput, match="reason"):
        rig.write(ALICE, Kill(environment=ENV, endpoint=NAME, owner_team=TEAM, reason=" "))
    with pytest.raises(Forbidden, match="another team"):
        rig.write(ALICE, Kill(environment=ENV, endpoint=NAME, owner_team="", reason="x"))
    with pytest.raises(InvalidInput, match="so long"):
        rig.write(ALICE, Kill(for_us=-1, **AT))
    with pytest.raises(NotFound):
        rig.write(ALICE, EnableFeature(feature="a.b", **AT))
    rig.write(ALICE, Kill(**AT))
    with pytest.raises(Refused, match="not expired"):
        rig.write(PLATFORM, ExpireLever(lever="kill", **AT))


def test_rollback_goes_back_one_completed_release_at_a_time() -> None:
    rig = Rig(versions=(version(1), version(2), version(3)))
    for name in ("flight-delay@v2", "flight-delay@v3"):
        id = rig.release(name)
        assert rig.run(id, 24 * 8).state == "completed"
    back = Rollback(environment=ENV, endpoint=NAME, owner_team=TEAM, reason="complaints")
    assert rig.write(ALICE, back)["version"] == "flight-delay@v2"
    assert rig.write(ALICE, back)["version"] == "flight-delay@v1"
    with pytest.raises(Refused, match="none to go back to"):
        rig.write(ALICE, back)
    assert [(arm.version, arm.weight) for arm in rig.endpoint().arms] == [("flight-delay@v1", 100.0)]


def test_rollback_ignores_gates_freeze_pin_and_a_wrong_release_changes_nothing() -> None:
    rig = Rig()
    id = rig.release("flight-delay@v2", strategy="canary", stages=None)
    rig.write(ALICE, FreezeReleases(environment=ENV, endpoint="", reason="holidays"))
    with pytest.raises(Conflict):
        rig.write(ALICE, Rollback(environment=ENV, endpoint=NAME, owner_team=TEAM, reason="x", release="prod.flight-delay.0009"))
    rig.write(ALICE, Rollback(environment=ENV, endpoint=NAME, owner_team=TEAM, reason="felt wrong", release=id))
    assert rig.state(id).log[-1].event == "rollback"
    assert [arm.version for arm in rig.endpoint().arms] == ["flight-delay@v1"]


def test_a_stale_plan_a_frozen_and_a_pinned_endpoint_refuse_to_start() -> None:
    rig = Rig()
    stale = rig.plan("flight-delay@v3")
    assert rig.run(rig.release("flight-delay@v2"), 24 * 8).state == "completed"
    with pytest.raises(Refused, match="stale"):
        rig.write(ALICE, ApplyPlan(plan=stale, owner_team=TEAM))
    fresh = rig.plan("flight-delay@v3")
    rig.write(ALICE, Pin(**AT))
    with pytest.raises(Refused, match="pinned"):
        rig.write(ALICE, ApplyPlan(plan=fresh, owner_team=TEAM))
    rig.write(ALICE, Unpin(**AT))
    rig.write(ALICE, FreezeReleases(for_us=10, **AT))
    with pytest.raises(Refused, match="frozen: drill"):
        rig.write(ALICE, ApplyPlan(plan=fresh, owner_team=TEAM))
    rig.clock.advance(10)
    rig.write(ALICE, ApplyPlan(plan=fresh, owner_team=TEAM))


def test_a_plan_that_says_so_supersedes_a_release_under_way() -> None:
    rig = Rig()
    first = rig.release("flight-delay@v2", strategy="canary", stages=None)
    second = rig.release("flight-delay@v3", strategy="canary", stages=None, supersede=True)
    assert (rig.state(first).state, rig.state(second).state) == ("superseded", "running")
    assert [(arm.version, arm.weight) for arm in rig.endpoint().arms] == [("flight-delay@v1", 90.0), ("flight-delay@v3", 10.0)]


def test_history_says_what_was_live_when_and_why() -> None:
    rig = Rig()
    start_us = rig.clock.now_us()
    rig.clock.advance(1_000)
    id = rig.release("flight-delay@v2")
    done = rig.run(id, 24 * 8)
    rig.write(ALICE, Kill(**AT))
    then = live_at(rig.journal, ENV, NAME, start_us)
    assert (then.version, then.release) == ("flight-delay@v1", "prod.flight-delay.0001")
    full_us = done.log[2].at_us
    before, after = live_at(rig.journal, ENV, NAME, full_us - 1), live_at(rig.journal, ENV, NAME, full_us)
    assert (before.version, after.version) == ("flight-delay@v1", "flight-delay@v2")
    assert after.reason == "every rule is proven at canary 10 %"
    assert {verdict.answer for verdict in after.entry.verdicts} == {"pass"}
    assert (after.plan, after.author, after.actor) == (done.plan, "alice", "platform")
    now = timeline(rig.journal, ENV, NAME)[-1]
    assert (now.killed, now.action, now.to_us, now.entry) == (True, "Release.Operate", None, None)
    with pytest.raises(NotFound, match="at that moment"):
        live_at(rig.journal, ENV, NAME, 0)


def test_the_route_table_is_published_only_when_it_grew() -> None:
    rig = Rig()
    table = route_table(rig.journal, ENV, (), 5)
    assert (table.generation, [e.name for e in table.endpoints]) == (rig.generation(), [NAME])
    assert needs_publish(None, table)
    assert needs_publish(table.generation - 1, table)
    assert not needs_publish(table.generation, table)
    id = rig.release("flight-delay@v2")
    assert needs_publish(table.generation, route_table(rig.journal, ENV, (), 6))
    rig.write(ALICE, AbortRelease(release=id, owner_team=TEAM, reason="x"))
    assert route_table(rig.journal, ENV, (), 6).generation == table.generation + 2
