"""How much of the time a view kept its freshness promise: each change between late and in time is recorded, the share follows."""

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from leverframe.core.clock import DAY_US
from leverframe.core.command import Command, Handles, Revision, Transaction

KIND_LATENESS = "lateness"
SPAN_US = 30 * DAY_US
"""Compliance is told over so long a time, or since the view was first looked at."""


class Lateness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a view is late, as of its last change."""

    view: str
    late: bool


class RecordLateness(Command, frozen=True, kw_only=True):
    """Record that a view became late, or is in time again."""

    action: ClassVar[str] = "Features.RecordParity"

    view: str
    late: bool
    owning_team: str = ""

    def resource(self) -> str:
        """``view/<name>``."""
        return f"view/{self.view}"

    def team(self) -> str:
        """The owning team."""
        return self.owning_team


def record_lateness(command: RecordLateness, tx: Transaction) -> dict[str, bool]:
    """Put the view's state when it differs from the one held."""
    held = tx.get(KIND_LATENESS, command.view, Lateness)
    if held is None or held.late != command.late:
        tx.put(KIND_LATENESS, command.view, Lateness(view=command.view, late=command.late))
    return {"late": command.late}


def in_time_share(history: Sequence[Revision[Lateness]], now_us: int, span_us: int = SPAN_US) -> float | None:
    """Share of the time up to ``now_us`` in which the view was in time; None before it was first looked at.

    >>> def at(from_us, to_us, late):
    ...     return Revision(record=Lateness(view="w", late=late), from_us=from_us, to_us=to_us, seq=1, actor="", action="")
    >>> in_time_share([at(0, 60, False), at(60, 80, True), at(80, None, False)], 100, span_us=50), in_time_share([], 100)
    (0.6, None)
    """
    looked = in_time = 0
    for state in history:
        begin, end = max(state.from_us, now_us - span_us), min(now_us, now_us if state.to_us is None else state.to_us)
        if state.record is not None and end > begin:
            looked += end - begin
            in_time += 0 if state.record.late else end - begin
    return in_time / looked if looked else None


HANDLERS: tuple[Handles, ...] = (Handles(command=RecordLateness, run=record_lateness),)
