"""What monitoring writes into the ledger: alerts, and the incidents people make of them."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec

from leverframe.core.alert import Alert
from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.errors import Conflict, InvalidInput, NotFound

KIND_ALERT = "alert"
KIND_INCIDENT = "incident"

NOTES_MAX = 500
"""Entries of an incident's timeline; a longer story belongs in its postmortem."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of an incident's timeline."""

    at_us: int
    author: str
    text: str


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Something that people are dealing with: severity 1 (worst) to 4, what happened when, and the alert it began with."""

    id: str
    endpoint: str
    severity: Literal[1, 2, 3, 4]
    title: str
    opened_at_us: int
    alert: str = ""
    timeline: tuple[Note, ...] = ()
    closed_at_us: int | None = None


class RaiseAlert(Command, frozen=True, kw_only=True):
    """Raise an alert, or bring an open one up to date with what joined it."""

    action: ClassVar[str] = "Monitoring.Alert"

    alert: Alert
    owning_team: str = ""

    def resource(self) -> str:
        """``alert/<id>``."""
        return f"alert/{self.alert.id}"

    def team(self) -> str:
        """The team that owns the endpoint."""
        return self.owning_team


class CloseAlert(Command, frozen=True, kw_only=True):
    """Close an alert whose cause is gone."""

    action: ClassVar[str] = "Monitoring.Alert"

    id: str
    closed_at_us: int
    reason: str
    owning_team: str = ""

    def resource(self) -> str:
        """``alert/<id>``."""
        return f"alert/{self.id}"

    def team(self) -> str:
        """The team that owns the endpoint."""
        return self.owning_team


class OpenIncident(Command, frozen=True, kw_only=True):
    """Declare an incident."""

    action: ClassVar[str] = "Monitoring.Incident"

    id: str
    endpoint: str
    severity: Literal[1, 2, 3, 4]
    title: str
    alert: str = ""
    owning_team: str = ""

    def resource(self) -> str:
        """``incident/<id>``."""
        return f"incident/{self.id}"

    def team(self) -> str:
        """The team that owns the endpoint."""
        return self.owning_team


class NoteIncident(Command, frozen=True, kw_only=True):
    """Add to an incident's timeline; ``close`` ends it."""

    action: ClassVar[str] = "Monitoring.Incident"

    id: str
    text: str
    close: bool = False
    owning_team: str = ""

    def resource(self) -> str:
        """``incident/<id>``."""
        return f"incident/{self.id}"

    def team(self) -> str:
        """The team that owns the endpoint."""
        return self.owning_team


def raise_alert(command: RaiseAlert, tx: Transaction) -> dict[str, Any]:
    """Put the alert; one endpoint has one open alert a group.

    Raises
    ------
    Conflict: another alert of the group is open, or this one was closed.    InvalidInput: an alert without a signal.
    """
    alert = command.alert
    if not alert.signals:
        raise InvalidInput("an alert needs a signal", where=alert.id)
    held = tx.get(KIND_ALERT, alert.id, Alert)
    if held is not None and held.closed_at_us is not None:
        raise Conflict("the alert is closed; raise a new one", where=alert.id)
    if held is None:
        for other in tx.find(KIND_ALERT, Alert, prefix=f"{alert.endpoint}/{alert.group}/"):
            if other.closed_at_us is None:
                raise Conflict("the group has an open alert", where=alert.group, got=other.id)
    tx.put(KIND_ALERT, alert.id, alert)
    return {"id": alert.id, "new": held is None, "signals": len(alert.signals)}


def raise_alert_facts(command: RaiseAlert, tx: Transaction) -> Mapping[str, Any]:
    """Severity, and how many signals it rests on."""
    return {"severity": command.alert.severity, "signals": len(command.alert.signals)}


def close_alert(command: CloseAlert, tx: Transaction) -> dict[str, Any]:
    """Date the end of an alert; closing twice changes nothing.

    Raises
    ------
    NotFound: no such alert.
    """
    held = tx.get(KIND_ALERT, command.id, Alert)
    if held is None:
        raise NotFound("there is no such alert", where=command.id, next_step="lever status")
    if held.closed_at_us is None:
        tx.put(KIND_ALERT, command.id, msgspec.structs.replace(held, closed_at_us=command.closed_at_us))
    return {"id": command.id, "closed_at_us": held.closed_at_us or command.closed_at_us}


def open_incident(command: OpenIncident, tx: Transaction) -> dict[str, Any]:
    """Put the incident with its first note.

    Raises
    ------
    Conflict: the id is taken.    NotFound: the alert it names does not exist.
    """
    if tx.get(KIND_INCIDENT, command.id, Incident) is not None:
        raise Conflict("there is an incident with this id", where=command.id)
    if command.alert and tx.get(KIND_ALERT, command.alert, Alert) is None:
        raise NotFound("there is no such alert", where=command.alert, next_step="lever status")
    first = Note(at_us=tx.now_us, author=tx.actor.subject, text=command.title)
    record = Incident(
        id=command.id,
        endpoint=command.endpoint,
        severity=command.severity,
        title=command.title,
        opened_at_us=tx.now_us,
        alert=command.alert,
        timeline=(first,),
    )
    tx.put(KIND_INCIDENT, command.id, record)
    return {"id": command.id}


def note_incident(command: NoteIncident, tx: Transaction) -> dict[str, Any]:
    """Append to the timeline, and end the incident when asked to.

    Raises
    ------
    NotFound: no such incident.    Conflict: it is closed, or its timeline is full.
    """
    held = tx.get(KIND_INCIDENT, command.id, Incident)
    if held is None:
        raise NotFound("there is no such incident", where=command.id)
    if held.closed_at_us is not None:
        raise Conflict("the incident is closed", where=command.id)
    if len(held.timeline) >= NOTES_MAX and not command.close:
        raise Conflict("the timeline is full", where=command.id, expected=f"at most {NOTES_MAX} entries", next_step="close the incident")
    note = Note(at_us=tx.now_us, author=tx.actor.subject, text=command.text)
    closed = tx.now_us if command.close else None
    tx.put(KIND_INCIDENT, command.id, msgspec.structs.replace(held, timeline=(*held.timeline, note), closed_at_us=closed))
    return {"id": command.id, "entries": len(held.timeline) + 1}


HANDLERS: tuple[Handles, ...] = (
    Handles(command=RaiseAlert, run=raise_alert, facts=raise_alert_facts),
    Handles(command=CloseAlert, run=close_alert),
    Handles(command=OpenIncident, run=open_incident),
    Handles(command=NoteIncident, run=note_incident),
)
