"""The last good version: what stands in for the live one after any history."""

import pytest
from tests.release.harness import ALICE, ENV, NAME, TEAM, Rig, version

from leverframe.core.errors import InvalidInput
from leverframe.core.route import Condition, Rule
from leverframe.release.commands import AbortRelease, Kill, Rollback, SetFallback, Unkill
from leverframe.release.records import KIND_RELEASE, Release
from leverframe.release.rollout.last_good import came_before

AT = {"environment": ENV, "endpoint": NAME, "owner_team": TEAM, "reason": "drill"}
V1, V2, V3 = (f"{NAME}@v{number}" for number in (1, 2, 3))


def stands_in(rig: Rig) -> str:
    arm = rig.endpoint().fallback.last_good
    assert arm is None or (arm.role, arm.weight) == ("live", 0.0)
    return arm.version if arm is not None else ""


def test_nothing_stands_in_until_somebody_asks_for_it() -> None:
    rig = Rig()
    assert rig.run(rig.release(V2), 24 * 8).state == "completed"
    assert stands_in(rig) == ""
    rig.write(ALICE, SetFallback(value=0.2, last_good=True, **AT))
    assert (stands_in(rig), rig.endpoint().fallback.value) == (V1, 0.2)
    rig.write(ALICE, SetFallback(value=0.3, **AT))
    assert (stands_in(rig), rig.endpoint().fallback.value) == ("", 0.3)


def test_it_is_the_champion_from_100_percent_on_and_outlives_other_levers() -> None:
    rig = Rig()
    rig.write(ALICE, SetFallback(last_good=True, **AT))
    assert stands_in(rig) == "", "the first version has none before it"
    id = rig.release(V2)
    seen = []
    while rig.state(id).active:
        seen.append((rig.state(id).state, stands_in(rig)))
        rig.serve()
        rig.tick()
    assert set(seen) == {("running", ""), ("watching", V1)}
    assert (rig.state(id).state, stands_in(rig)) == ("completed", V1)
    rig.write(ALICE, Kill(**AT))
    rig.write(ALICE, Unkill(**AT))
    assert stands_in(rig) == V1


def test_a_rollback_moves_it_back_and_never_to_what_was_rolled_back_from() -> None:
    rig = Rig(versions=(version(1), version(2), version(3)))
    rig.write(ALICE, SetFallback(last_good=True, **AT))
    for name in (V2, V3):
        assert rig.run(rig.release(name), 24 * 8).state == "completed"
    assert stands_in(rig) == V2
    back = Rollback(environment=ENV, endpoint=NAME, owner_team=TEAM, reason="complaints")
    rig.write(ALICE, back)
    live = rig.endpoint().live
    assert live is not None
    assert (live.version, stands_in(rig)) == (V2, V1)
    rig.write(ALICE, back)
    assert stands_in(rig) == "", "v2 and v3 were rolled back, v1 is live"
    assert rig.run(rig.release(V2), 24 * 8).state == "completed", "released again, it has proven itself again"
    assert rig.run(rig.release(V1), 24 * 8).state == "completed"
    assert stands_in(rig) == V2


def test_a_release_aborted_at_100_percent_is_not_what_stands_in() -> None:
    rig = Rig()
    rig.write(ALICE, SetFallback(last_good=True, **AT))
    id = rig.release(V2)
    while rig.state(id).state != "watching":
        rig.serve()
        rig.tick()
    rig.write(ALICE, AbortRelease(release=id, owner_team=TEAM, reason="felt wrong"))
    assert stands_in(rig) == ""


def history(*steps: tuple[str, str, str]) -> list[Release]:
    return [
        Release(
            id=f"{number}",
            plan="sha256:" + "0" * 64,
            environment=ENV,
            endpoint=NAME,
            team=TEAM,
            candidate=candidate,
            champion=champion,
            author="alice",
            approvals=(),
            started_us=number,
            stage_started_us=number,
            generation=number,
            state=state,
        )
        for number, (champion, candidate, state) in enumerate(steps)
    ]


FIRST = ("", "a", "completed")
HISTORIES = [
    ([FIRST], "a", None),
    ([FIRST, ("a", "b", "completed")], "b", "a"),
    ([FIRST, ("a", "b", "rolled_back")], "a", None),
    ([FIRST, ("a", "b", "running")], "a", None),
    ([FIRST, ("a", "b", "superseded"), ("a", "c", "watching")], "c", "a"),
    ([FIRST, ("a", "b", "completed"), ("b", "c", "completed"), ("c", "b", "rolled_back")], "c", "a"),
    ([FIRST, ("a", "b", "completed"), ("b", "a", "completed")], "a", "b"),
    ([FIRST, ("a", "b", "completed"), ("b", "a", "completed"), ("a", "b", "aborted")], "a", None),
    ([FIRST, ("a", "b", "completed"), ("b", "a", "completed"), ("a", "c", "completed")], "c", "a"),
]


@pytest.mark.parametrize(("steps", "live", "expected"), HISTORIES)
def test_the_release_record_alone_says_which(steps, live, expected) -> None:
    found = came_before(history(*steps), live)
    assert (found.champion if found else None) == expected


def test_the_lever_is_a_record_with_a_reason() -> None:
    rig = Rig()
    with pytest.raises(InvalidInput, match="reason"):
        rig.write(ALICE, SetFallback(last_good=True, **{**AT, "reason": ""}))
    assert len(rig.journal.find(KIND_RELEASE, Release)) == 1


BAD_CHAINS = [
    ({"value": float("nan")}, "not a number"),
    ({"rules": (Rule(value=float("inf"), when=(Condition(column="x", at_least=1.0),)),)}, "answers no number"),
    ({"rules": (Rule(value=0.1),)}, "conditions"),
    ({"rules": (Rule(value=0.1, when=(Condition(column="x"),)),)}, "never holds"),
    ({"rules": (Rule(value=0.1, when=(Condition(column="x", at_least=2.0, below=2.0),)),)}, "never holds"),
    ({"rules": (Rule(value=0.1, when=(Condition(column="x", below=1.0),)),) * 101}, "too many rules"),
]


@pytest.mark.parametrize(("chain", "what"), BAD_CHAINS)
def test_a_chain_that_cannot_mean_anything_is_refused(chain, what) -> None:
    rig = Rig()
    before = rig.endpoint()
    with pytest.raises(InvalidInput) as refused:
        rig.write(ALICE, SetFallback(**chain, **AT))
    assert any(what in fault.what for fault in refused.value.faults)
    assert rig.endpoint() == before
