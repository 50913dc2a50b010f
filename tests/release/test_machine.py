import itertools

import pytest

from leverframe.core.errors import Refused
from leverframe.release.machine import ACTIVE, ENDED, TRANSITIONS, Event, Progress, State, allowed, step

STATES: tuple[State, ...] = State.__args__  # type: ignore[attr-defined]
EVENTS: tuple[Event, ...] = Event.__args__  # type: ignore[attr-defined]


def test_only_apply_and_proven_ever_raise_the_stage() -> None:
    for state, event in TRANSITIONS:
        after, action = step(Progress(state=state, stage=0), event, 4)
        if after.stage > 0:
            assert event in ("apply", "proven"), f"{event} in {state} would climb without proof"
            assert action == "route_stage"


def test_every_active_state_can_be_taken_back() -> None:
    for state in ACTIVE:
        for event, target in (("harm", "rolled_back"), ("rollback", "rolled_back"), ("abort", "aborted")):
            after, action = step(Progress(state=state, stage=1), event, 4)  # type: ignore[arg-type]
            assert (after.state, action) == (target, "route_back")
    assert step(Progress(state="completed", stage=3), "rollback", 4)[0].state == "rolled_back", "also after 100 %"


def test_ended_is_ended_except_for_a_rollback_of_what_was_completed() -> None:
    for state, event in itertools.product(ENDED, EVENTS):
        assert allowed(Progress(state=state), event) == (state == "completed" and event in ("rollback", "undermined"))


def test_a_paused_release_is_not_promoted_by_evidence() -> None:
    with pytest.raises(Refused, match="paused"):
        step(Progress(state="paused", stage=0), "proven", 3)


def test_every_state_is_reachable_and_named_in_the_table() -> None:
    reached, frontier = {Progress()}, [Progress()]
    while frontier:
        progress = frontier.pop()
        for event in EVENTS:
            if allowed(progress, event):
                after, _ = step(progress, event, 3)
                assert after.stage < 3
                if after not in reached:
                    reached.add(after)
                    frontier.append(after)
    assert {progress.state for progress in reached} == set(STATES)
