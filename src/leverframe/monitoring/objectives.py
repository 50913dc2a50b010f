"""What an endpoint promises: which share of its answers succeeds, and which share comes in time. Its owner says so; the record keeps it.

The terms are OpenSLO's: an objective has a ``target``, and a latency objective the limit within which an answer is good.
"""

from typing import Any, ClassVar

import msgspec

from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.errors import Fault, InvalidInput
from leverframe.monitoring.windows import LATENCY_EDGES_US

KIND_OBJECTIVES = "objectives"

TARGET_MIN, TARGET_MAX = 0.5, 0.99999
"""Shares that can be promised: of all of them nothing may fail, which leaves no budget to speak of."""

LATENCY_MS_MAX = 30_000
"""Longest limit: answers that take longer are counted together."""

REASON_CHARS_MAX = 500


class Objectives(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint's objectives; the defaults are the field's usual ones for online models, until an owner says otherwise.

    ``availability``: share of answers that are neither errors nor fallbacks.  ``latency_target``: share that takes ``latency_ms`` or less.
    """

    endpoint: str
    availability: float = 0.999
    latency_target: float = 0.99
    latency_ms: int = 100
    reason: str = ""
    by: str = ""
    at_us: int = 0

    @property
    def declared(self) -> bool:
        """Whether somebody set them: only then does a slow endpoint alert anybody."""
        return bool(self.by)

    @property
    def latency_cell(self) -> int:
        """The last cell of the latency counts that is in time."""
        return latency_cell(self.latency_ms)

    @property
    def counted_us(self) -> int:
        """Where slow begins in the counts, µs: the end of that cell, up to 1.4 times the limit."""
        return LATENCY_EDGES_US[self.latency_cell]


def latency_cell(latency_ms: int) -> int:
    """The cell of the latency counts that ``latency_ms`` ends in.

    >>> LATENCY_EDGES_US[latency_cell(100)]
    102400
    """
    return next(place for place, edge in enumerate(LATENCY_EDGES_US) if edge >= latency_ms * 1000)


class SetObjectives(Command, frozen=True, kw_only=True):
    """Set an endpoint's objectives; what is None stays as it is."""

    action: ClassVar[str] = "Monitoring.SetObjectives"
    endpoint: str
    reason: str
    availability: float | None = None
    latency_target: float | None = None
    latency_ms: int | None = None
    owning_team: str = ""

    def resource(self) -> str:
        """``endpoint/<name>``."""
        return f"endpoint/{self.endpoint}"

    def team(self) -> str:
        """The team that owns the endpoint."""
        return self.owning_team


def set_objectives(command: SetObjectives, tx: Transaction) -> dict[str, Any]:
    """Put the objectives.

    Raises
    ------
    InvalidInput: with every value out of range, or no reason.
    """
    before = tx.get(KIND_OBJECTIVES, command.endpoint, Objectives) or Objectives(endpoint=command.endpoint)
    given = {name: getattr(command, name) for name in ("availability", "latency_target", "latency_ms")}
    wanted = msgspec.structs.replace(
        before,
        reason=command.reason.strip(),
        by=tx.actor.subject,
        at_us=tx.now_us,
        **{name: value for name, value in given.items() if value is not None},
    )
    faults = _faults(wanted)
    if faults:
        first = faults[0]
        raise InvalidInput(first.what, where=first.where, expected=first.expected, got=first.got, faults=faults)
    tx.put(KIND_OBJECTIVES, command.endpoint, wanted)
    return {"endpoint": command.endpoint}


def _faults(wanted: Objectives) -> list[Fault]:
    faults = []
    for name in ("availability", "latency_target"):
        share = getattr(wanted, name)
        if not TARGET_MIN <= share <= TARGET_MAX:
            faults.append(Fault(where=name, what="not a target", expected=f"a share from {TARGET_MIN} to {TARGET_MAX}", got=f"{share:g}"))
    if not 1 <= wanted.latency_ms <= LATENCY_MS_MAX:
        expected = f"1 to {LATENCY_MS_MAX:,} ms"
        faults.append(Fault(where="latency_ms", what="not a limit", expected=expected, got=f"{wanted.latency_ms:,}"))
    if not 1 <= len(wanted.reason) <= REASON_CHARS_MAX:
        expected = f"why, in 1 to {REASON_CHARS_MAX} characters"
        faults.append(Fault(where="reason", what="no usable reason", expected=expected, got=f"{len(wanted.reason)} characters"))
    return faults


HANDLERS: tuple[Handles, ...] = (Handles(command=SetObjectives, run=set_objectives),)
