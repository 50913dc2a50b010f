"""What can be asked of streams: open one, take a batch of it, let it wait, let it go on."""

from typing import Any, ClassVar

import msgspec

from leverframe.core.command import Handles, Transaction
from leverframe.core.dataset import Snapshot
from leverframe.core.digest import Digest
from leverframe.core.errors import Conflict, InvalidInput, NotFound
from leverframe.data.commands import (
    KIND_DATASET,
    Dataset,
    RecordQuarantine,
    RecordSnapshot,
    record_quarantine,
    record_snapshot,
)
from leverframe.data.of_dataset import OfDataset, contract_of_team
from leverframe.data.retention.doomed import doom
from leverframe.data.streams.taken import KIND_STREAM, Position, Stream, StreamRules, check_position, check_stream

REASON_CHARACTERS_MAX = 500
IDS_EXPIRED_MAX = 64
"""Blobs of ids that left the window are marked for deletion so many at a time."""


class _OfStream(OfDataset, frozen=True, kw_only=True):
    """About one stream of a dataset."""

    action: ClassVar[str] = "Data.Ingest"
    name: str


class OpenStream(_OfStream, frozen=True, kw_only=True):
    """Read the stream shown as ``source`` into the dataset from now on, under ``rules``; where it was read before, go on there."""

    source: str
    rules: StreamRules


class TakeBatch(_OfStream, frozen=True, kw_only=True):
    """The batch between ``after`` and the position of ``stream`` was taken.

    ``base`` is the snapshot its rows were added to (empty: there was none), which must still be the newest; ``quarantine`` what of the
    batch was set aside.
    """

    after: Position
    stream: Stream
    base: Digest = ""
    snapshot: Snapshot | None = None
    quarantine: RecordQuarantine | None = None


class PauseStream(_OfStream, frozen=True, kw_only=True):
    """Nothing more is taken until somebody says so. The messages stay in the broker."""

    reason: str


class ResumeStream(_OfStream, frozen=True, kw_only=True):
    """Go on where the stream was left."""


def open_stream(command: OpenStream, tx: Transaction) -> dict[str, Any]:
    """Store the stream, or its new rules.

    Raises
    ------
    InvalidInput: no name of a stream.  NotFound, Refused: no contract of that team.
    """
    check_stream(command.name, command.source)
    contract_of_team(command.dataset, command.owner_team, tx)
    held = tx.get(KIND_STREAM, f"{command.dataset}/{command.name}", Stream)
    opened = held or Stream(dataset=command.dataset, name=command.name, source=command.source, opened_at_us=tx.now_us)
    tx.put(KIND_STREAM, opened.id, msgspec.structs.replace(opened, source=command.source, rules=command.rules))
    return {"stream": opened.id}


def take_batch(command: TakeBatch, tx: Transaction) -> dict[str, Any]:
    """Record rows, what was set aside, and how far the stream was read: all of it or nothing.

    Raises
    ------
    Conflict: the stream was read on by somebody else, or waits; other rows came to the dataset meanwhile.
    """
    held = _stream(command, tx)
    stream = command.stream
    if (stream.dataset, stream.name) != (command.dataset, command.name):
        raise InvalidInput("a batch of another stream", where=held.id, expected=held.id, got=stream.id)
    check_position(stream.position, held.id)
    if held.position != command.after or held.state != "running":
        raise Conflict(
            "the stream was read on by another reader, or waits",
            where=f"stream {held.id}",
            expected=f"running at {command.after}",
            got=f"{held.state} at {held.position}",
            next_step=f"lever data streams list {command.dataset}",
        )
    if command.snapshot is not None:
        latest = tx.get(KIND_DATASET, command.dataset, Dataset)
        if (latest.snapshot if latest else "") != command.base:
            raise Conflict("other rows were taken in meanwhile", where=f"dataset {command.dataset}", next_step="offer the batch again")
        record_snapshot(RecordSnapshot(snapshot=command.snapshot, owner_team=command.owner_team), tx)
    if command.quarantine is not None:
        record_quarantine(command.quarantine, tx)
    expired = stream.ids_expired
    if len(expired) > IDS_EXPIRED_MAX:
        doom(expired, f"ids of stream {stream.id}", tx)
        expired = ()
    tx.put(KIND_STREAM, stream.id, msgspec.structs.replace(stream, ids_expired=expired, taken_at_us=tx.now_us))
    return {"stream": stream.id, "position": stream.position, "snapshot": command.snapshot.digest if command.snapshot else ""}


def pause_stream(command: PauseStream, tx: Transaction) -> dict[str, Any]:
    """Let the stream wait.

    Raises
    ------
    InvalidInput: no reason.
    """
    held = _stream(command, tx)
    if not command.reason.strip() or len(command.reason) > REASON_CHARACTERS_MAX:
        raise InvalidInput("a stream waits for a reason", where="reason", expected=f"1 to {REASON_CHARACTERS_MAX} characters")
    tx.put(KIND_STREAM, held.id, msgspec.structs.replace(held, state="paused", reason=command.reason))
    return {"stream": held.id, "state": "paused"}


def resume_stream(command: ResumeStream, tx: Transaction) -> dict[str, Any]:
    """Let the stream go on."""
    held = _stream(command, tx)
    tx.put(KIND_STREAM, held.id, msgspec.structs.replace(held, state="running", reason="", broken=""))
    return {"stream": held.id, "state": "running"}


def _stream(command: _OfStream, tx: Transaction) -> Stream:
    contract_of_team(command.dataset, command.owner_team, tx)
    held = tx.get(KIND_STREAM, f"{command.dataset}/{command.name}", Stream)
    if held is None:
        raise NotFound("no such stream", where=f"{command.dataset}/{command.name}"[:160], next_step="lever data streams list")
    return held


HANDLERS: tuple[Handles, ...] = (
    Handles(command=OpenStream, run=open_stream),
    Handles(command=TakeBatch, run=take_batch),
    Handles(command=PauseStream, run=pause_stream),
    Handles(command=ResumeStream, run=resume_stream),
)
