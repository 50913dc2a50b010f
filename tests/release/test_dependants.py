"""A version that is taken back takes along what was promoted on top of it, or leaves it flagged, as that one's plan declares."""

import pytest
from tests.release.harness import ALICE, ENV, NAME, TEAM, Rig
from tests.release.test_environments import declare, look_at, release_in

from leverframe.core.actor import PLATFORM, Actor
from leverframe.core.clock import HOUR_US
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, Refused
from leverframe.release.commands import KeepRelease, Rollback, SetFallback
from leverframe.release.plans.team_rules import Environment

AT = {"environment": ENV, "endpoint": NAME, "owner_team": TEAM, "reason": "wrong labels in training"}


def promoted(rig: Rig, name: str, **fields: object) -> str:
    """Release ``name`` at once and let its watch end."""
    id = rig.release(name, strategy="blue_green", stages=None, watch_us=HOUR_US, **fields)
    assert rig.run(id, 20).state == "completed"
    return id


def live(rig: Rig) -> list[str]:
    return [arm.version for arm in rig.endpoint().arms]


def test_what_stands_on_the_bad_version_goes_back_with_it_in_one_write() -> None:
    rig = Rig()
    second, third = promoted(rig, "flight-delay@v2"), promoted(rig, "flight-delay@v3")
    generation = rig.generation()
    done = rig.write(ALICE, Rollback(release=second, **AT))
    assert (done["version"], done["taken_along"], done["flagged"]) == ("flight-delay@v1", [third], [])
    assert live(rig) == ["flight-delay@v1"]
    assert rig.generation() == generation + 1, "callers never see the version between"
    assert [rig.state(id).state for id in (second, third)] == ["rolled_back", "rolled_back"]
    assert rig.state(third).log[-1].reason == f"rests on flight-delay@v2, taken back with {second}: wrong labels in training"


def test_one_that_is_still_climbing_on_top_goes_back_too() -> None:
    rig = Rig()
    second = promoted(rig, "flight-delay@v2")
    third = rig.release("flight-delay@v3")
    rig.write(ALICE, Rollback(release=second, **AT))
    assert (rig.state(third).state, live(rig)) == ("rolled_back", ["flight-delay@v1"])
    rig.tick()
    assert rig.state(third).log[-1].event == "undermined"


def test_one_whose_plan_says_flag_stays_flagged_until_a_person_has_looked_and_never_goes_back_to_the_bad_one() -> None:
    rig = Rig()
    second, third = promoted(rig, "flight-delay@v2"), promoted(rig, "flight-delay@v3", dependants="flag")
    done = rig.write(ALICE, Rollback(release=second, **AT))
    assert (done["version"], done["taken_along"], done["flagged"]) == ("flight-delay@v3", [], [third])
    assert (live(rig), rig.state(second).state) == (["flight-delay@v3"], "rolled_back")
    assert "rests on flight-delay@v2" in str(rig.state(third).flagged)
    keep = KeepRelease(release=third, owner_team=TEAM, reason="measured again without v2")
    with pytest.raises(InvalidInput, match="without a reason"):
        rig.write(ALICE, KeepRelease(release=third, owner_team=TEAM, reason=" "))
    with pytest.raises(Forbidden, match="only a person"):
        rig.write(Actor(subject="bot", roles=("operator",), teams=(TEAM,), kind="service"), keep)
    rig.write(ALICE, keep)
    assert not rig.state(third).flagged
    assert [entry.event for entry in rig.state(third).log][-2:] == ["flagged", "kept"]
    with pytest.raises(Conflict, match="not flagged"):
        rig.write(ALICE, keep)
    assert rig.write(ALICE, Rollback(**AT))["version"] == "flight-delay@v1", "v2 was taken back: the way back goes past it"


def test_what_is_between_the_bad_one_and_one_that_stays_is_marked_and_the_route_is_left_alone() -> None:
    rig = Rig()
    first = promoted(rig, "flight-delay@v2")
    middle = promoted(rig, "flight-delay@v3")
    top = promoted(rig, "flight-delay@v2", dependants="flag")
    generation = rig.generation()
    done = rig.write(ALICE, Rollback(release=first, **AT))
    assert (done["taken_along"], done["flagged"]) == ([middle], [top])
    assert (live(rig), rig.generation()) == (["flight-delay@v2"], generation)


def test_what_stands_in_for_one_that_stays_is_not_the_bad_version() -> None:
    rig = Rig()
    rig.write(ALICE, SetFallback(last_good=True, **AT))
    second = promoted(rig, "flight-delay@v2")
    promoted(rig, "flight-delay@v3", dependants="flag")
    assert rig.endpoint().fallback.last_good.version == "flight-delay@v2"
    generation = rig.generation()
    rig.write(ALICE, Rollback(release=second, **AT))
    assert rig.endpoint().fallback.last_good.version == "flight-delay@v1"
    assert (live(rig), rig.generation()) == (["flight-delay@v3"], generation + 1)


def test_the_release_meant_must_be_under_todays_route_and_a_controller_takes_back_only_what_is_in_charge() -> None:
    rig = Rig()
    second, third = promoted(rig, "flight-delay@v2"), promoted(rig, "flight-delay@v3")
    with pytest.raises(Conflict):
        rig.write(PLATFORM, Rollback(release=second, **AT))
    with pytest.raises(Refused, match="first version"):
        rig.write(ALICE, Rollback(release="prod.flight-delay.0001", **AT))
    assert [rig.state(id).state for id in (second, third)] == ["completed", "completed"], "refused whole: nothing was marked"
    rig.write(ALICE, Rollback(**AT))
    with pytest.raises(Conflict):
        rig.write(ALICE, Rollback(release=third, **AT))


@pytest.mark.parametrize(("dependants", "state", "version"), [("roll_back", "rolled_back", "v3"), ("flag", "watching", "v2")])
def test_harm_below_reaches_what_was_promoted_from_there_and_is_still_judged(dependants: str, state: str, version: str) -> None:
    rig = Rig(initial=False)
    declare(rig, environments=(Environment(name="stage"), Environment(name=ENV, demands="live")), dependants=dependants)
    for environment in ("stage", ENV):
        release_in(rig, environment, "flight-delay@v3")
        look_at(rig, environment)
    below = release_in(rig, "stage", "flight-delay@v2", strategy="blue_green")
    above = release_in(rig, ENV, "flight-delay@v2", strategy="blue_green")
    rig.write(PLATFORM, Rollback(environment="stage", endpoint=NAME, owner_team=TEAM, reason="AUC lost", release=below))
    assert rig.state(below).log[-1].event == "harm"
    found = rig.state(above)
    assert (found.state, rig.endpoint().live.version) == (state, f"flight-delay@{version}")
    assert "was taken back in stage: AUC lost" in (found.log[-1].reason if state == "rolled_back" else str(found.flagged))


def test_what_completed_above_on_its_own_traffic_is_only_flagged() -> None:
    rig = Rig(initial=False)
    declare(rig, environments=(Environment(name="stage"), Environment(name=ENV, demands="live")))
    for environment in ("stage", ENV):
        release_in(rig, environment, "flight-delay@v3")
        look_at(rig, environment)
    release_in(rig, "stage", "flight-delay@v2", strategy="blue_green")
    above = release_in(rig, ENV, "flight-delay@v2", strategy="blue_green", watch_us=HOUR_US)
    assert rig.run(above, 20).state == "completed"
    done = rig.write(ALICE, Rollback(environment="stage", endpoint=NAME, owner_team=TEAM, reason="drill"))
    assert done["flagged"] == [above]
    assert (rig.state(above).state, rig.endpoint().live.version) == ("completed", "flight-delay@v2")
