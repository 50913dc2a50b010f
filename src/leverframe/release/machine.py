"""The release machine: which event, in which state, leads where. A pure table; production and simulation step through the same one.

::

    planned ──apply──▶ running ──proven──▶ running … ──proven──▶ watching ──watched──▶ completed
                        │  ▲ └─stalled/mismatch─▶ holding ─proven─▶ (as from running)
                        │  └─resume── holding, paused ◀─pause── (a person)
    running, holding, paused, watching ──harm, rollback──▶ rolled_back        completed ──rollback──▶ rolled_back
    running, holding, paused, watching, completed ──undermined──▶ rolled_back  (what it rests on is taken back; the route is set with that)
    planned ──queue──▶ planned  (it waits for the release under way to end)
    planned, running, holding, paused, watching ──abort──▶ aborted            running, holding, paused ──supersede──▶ superseded

**There is no way up but** ``proven``: silence, an elapsed time or a person's resume never raises a weight.
"""

from typing import Literal

import msgspec

from leverframe.core.errors import Refused

State = Literal["planned", "running", "holding", "paused", "watching", "completed", "rolled_back", "aborted", "superseded"]
Event = Literal[
    "queue",
    "apply",
    "proven",
    "stalled",
    "mismatch",
    "harm",
    "pause",
    "resume",
    "watched",
    "rollback",
    "undermined",
    "abort",
    "supersede",
]
Action = Literal["none", "route_stage", "route_back", "route_candidate"]

ACTIVE: tuple[State, ...] = ("running", "holding", "paused", "watching")
"""States in which the release owns the endpoint's route; at most one release of an endpoint is in one of them."""

ENDED: tuple[State, ...] = ("completed", "rolled_back", "aborted", "superseded")

_UNDECIDED: tuple[State, ...] = ("running", "holding", "paused")

_CLIMB = "climb"
"""Stands in the table for: the next stage of the ladder, or the watch when the next stage is the last."""

TRANSITIONS: dict[tuple[State, Event], tuple[str, Action]] = {
    ("planned", "apply"): (_CLIMB, "route_stage"),
    ("planned", "queue"): ("planned", "none"),
    ("planned", "abort"): ("aborted", "none"),
    ("running", "proven"): (_CLIMB, "route_stage"),
    ("holding", "proven"): (_CLIMB, "route_stage"),
    ("running", "stalled"): ("holding", "none"),
    ("running", "mismatch"): ("holding", "none"),
    ("running", "pause"): ("paused", "none"),
    ("holding", "pause"): ("paused", "none"),
    ("holding", "resume"): ("running", "none"),
    ("paused", "resume"): ("running", "none"),
    ("watching", "watched"): ("completed", "route_candidate"),
    ("completed", "rollback"): ("rolled_back", "route_back"),
    **{(state, "undermined"): ("rolled_back", "none") for state in (*ACTIVE, "completed")},
    **{(state, event): ("rolled_back", "route_back") for state in ACTIVE for event in ("harm", "rollback")},
    **{(state, "abort"): ("aborted", "route_back") for state in ACTIVE},
    **{(state, "supersede"): ("superseded", "none") for state in _UNDECIDED},
}


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a release stands: its state, and the index of the stage whose route is set (-1 before the first)."""

    state: State = "planned"
    stage: int = -1


def allowed(progress: Progress, event: Event) -> bool:
    """Whether ``event`` means anything in this state."""
    return (progress.state, event) in TRANSITIONS


def step(progress: Progress, event: Event, stages: int) -> tuple[Progress, Action]:
    """Where ``event`` leads a release with a ladder of ``stages`` stages, and what must be done to the route.

    Raises
    ------
    Refused: the event is not possible in this state.

    >>> step(Progress(state="running", stage=0), "proven", 3)
    (Progress(state='running', stage=1), 'route_stage')
    >>> step(Progress(state="running", stage=1), "proven", 3)[0].state
    'watching'
    """
    found = TRANSITIONS.get((progress.state, event))
    if found is None:
        events = sorted(known for state, known in TRANSITIONS if state == progress.state)
        raise Refused(
            f"a release that is {progress.state} cannot take '{event}'", where="release", expected=", ".join(events) or "nothing", got=event
        )
    target, action = found
    if target == _CLIMB:
        stage = progress.stage + 1
        return Progress(state="watching" if stage == stages - 1 else "running", stage=stage), action
    return Progress(state=target, stage=progress.stage), action  # type: ignore[arg-type]
