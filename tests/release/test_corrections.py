"""What is told later changes the answer about the past from then on, and never the answer that was given before."""

import pytest
from tests.release.harness import ALICE, ENV, NAME, TEAM, Rig

from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.errors import Forbidden, InvalidInput, NotFound
from leverframe.release.history import corrections, live_at
from leverframe.release.levers.corrections import CorrectHistory

AT = {"environment": ENV, "endpoint": NAME, "owner_team": TEAM, "reason": "the site was dark"}


def correct(rig: Rig, version: str, from_us: int, until_us: int) -> int:
    """Tell it; the moment at which it was told."""
    rig.write(ALICE, CorrectHistory(version=version, from_us=from_us, until_us=until_us, **AT))
    return rig.clock.now_us()


def version_at(rig: Rig, at_us: int, known_us: int | None = None) -> str:
    return live_at(rig.journal, ENV, NAME, at_us, known_us=known_us).version


def test_a_correction_is_believed_from_when_it_was_told() -> None:
    rig = Rig()
    start_us = rig.clock.now_us()
    rig.clock.advance(DAY_US)
    told_us = correct(rig, "", start_us + HOUR_US, start_us + 3 * HOUR_US)
    rig.clock.advance(DAY_US)
    again_us = correct(rig, "flight-delay@v2", start_us + 2 * HOUR_US, start_us + 3 * HOUR_US)
    hours = {h: [version_at(rig, start_us + h * HOUR_US, known) for known in (told_us - 1, told_us, again_us, None)] for h in range(4)}
    assert hours == {
        0: ["flight-delay@v1"] * 4,
        1: ["flight-delay@v1", "", "", ""],
        2: ["flight-delay@v1", "", "flight-delay@v2", "flight-delay@v2"],
        3: ["flight-delay@v1"] * 4,
    }
    then = live_at(rig.journal, ENV, NAME, start_us + HOUR_US)
    assert (then.corrected, then.actor, then.reason, then.arms) == (True, "alice", "the site was dark", ())
    assert [(each.version, each.seq) for each in corrections(rig.journal, ENV, NAME)] == [("", then.seq), ("flight-delay@v2", then.seq + 1)]


def test_a_correction_moves_no_route() -> None:
    rig = Rig()
    generation, endpoint = rig.generation(), rig.endpoint()
    start_us = rig.clock.now_us()
    rig.clock.advance(HOUR_US)
    correct(rig, "", start_us, start_us + 1)
    assert (rig.generation(), rig.endpoint()) == (generation, endpoint)


def test_nothing_was_known_before_anything_was_written() -> None:
    rig = Rig()
    with pytest.raises(NotFound, match="as far as was known"):
        version_at(rig, rig.clock.now_us(), rig.clock.now_us() - 1)


@pytest.mark.parametrize(("from_us", "until_us"), [(0, 0), (5, 4), (0, 10**17)])
def test_only_a_time_that_has_passed_is_corrected(from_us: int, until_us: int) -> None:
    rig = Rig()
    with pytest.raises(InvalidInput, match="has passed"):
        correct(rig, "", from_us, until_us)


def test_another_teams_past_is_left_alone() -> None:
    rig = Rig()
    start_us = rig.clock.now_us()
    rig.clock.advance(HOUR_US)
    with pytest.raises(Forbidden):
        rig.write(ALICE, CorrectHistory(version="", from_us=start_us, until_us=start_us + 1, **(AT | {"owner_team": "other"})))
