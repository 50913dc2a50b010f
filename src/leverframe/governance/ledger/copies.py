"""Entries and records read in bulk, in constant memory: for verification of a database or a copy of it, and as an export in JSON lines."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from sqlalchemy import Connection, case, create_engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from leverframe.core.errors import Integrity, NotFound
from leverframe.governance.ledger.chain import AuditEntry
from leverframe.governance.ledger.checkpoints import read_checkpoints
from leverframe.governance.ledger.rows import entry_of
from leverframe.governance.ledger.schema import audit, checkpoint, record
from leverframe.governance.ledger.verify import AuditReport, Group, WrittenRow, verify
from leverframe.governance.signing import TrustStore

BATCH_ROWS = 2_000


class EntryLine(msgspec.Struct, frozen=True, tag="entry"):
    """An audit entry in an export."""

    entry: AuditEntry


class RecordLine(msgspec.Struct, frozen=True, tag="record"):
    """A record revision in an export, after the entry that wrote it."""

    record: WrittenRow


class CheckpointLine(msgspec.Struct, frozen=True, tag="checkpoint"):
    """A signed checkpoint in an export, before everything else."""

    envelope: bytes


_LINE = msgspec.json.Decoder(EntryLine | RecordLine | CheckpointLine)


def groups_of(connection: Connection) -> Iterator[Group]:
    """Every entry with the record revisions that claim to come from it, in order."""
    columns = (record.c.kind, record.c.id, record.c.revision, record.c.body, record.c.from_us, record.c.from_seq)
    streaming = connection.execution_options(yield_per=BATCH_ROWS)
    entries = streaming.execute(select(audit).order_by(audit.c.seq))
    found = streaming.execute(select(*columns).order_by(record.c.from_seq, record.c.kind, record.c.id, record.c.revision))
    rows = (WrittenRow(kind=k, id=i, revision=n, body=b, from_us=us, from_seq=seq) for k, i, n, b, us, seq in found)
    waiting = next(rows, None)
    for entry in map(entry_of, entries):
        group: list[WrittenRow] = []
        while waiting is not None and waiting.from_seq <= entry.seq:
            group.append(waiting)
            waiting = next(rows, None)
        yield entry, group
    if waiting is not None:
        yield None, [waiting]


def closings_fault(connection: Connection) -> tuple[int, str] | None:
    """The first revision whose end is not the beginning of the next one, as (entry, sentence); None when all fit."""
    order: dict[str, Any] = {"partition_by": (record.c.kind, record.c.id), "order_by": record.c.revision}
    next_us = func.lead(record.c.from_us).over(**order)
    ends = select(
        *record.c,
        func.lead(record.c.from_seq).over(**order).label("next_seq"),
        case((next_us > record.c.from_us, next_us), (next_us.is_not(None), record.c.from_us)).label("ends_us"),
    ).subquery()
    wrong = ends.c.to_seq.is_distinct_from(ends.c.next_seq) | ends.c.to_us.is_distinct_from(ends.c.ends_us)
    found = connection.execute(select(ends).where(wrong).order_by(ends.c.from_seq).limit(1)).all()
    if not found:
        return None
    row = found[0]
    return row.from_seq, f"record {row.kind}/{row.id} revision {row.revision} does not end where the next one begins"


def verify_connection(connection: Connection, trust: TrustStore, envelopes: Sequence[bytes]) -> AuditReport:
    """Verify what ``connection`` sees, with the checkpoints in it and those given.

    The checkpoints *given* are what protects: whoever can rewrite the database can also delete the ones inside it.
    """
    stored = connection.execute(select(checkpoint.c.envelope)).scalars().all()
    try:
        checkpoints = read_checkpoints(trust, [*stored, *envelopes])
    except Integrity as error:
        return AuditReport(ok=False, entries=0, first_bad_seq=1, what=error.sentence())
    report = verify(groups_of(connection), checkpoints)
    fault = closings_fault(connection) if report.ok else None
    if fault is None:
        return report
    return msgspec.structs.replace(report, ok=False, first_bad_seq=fault[0], what=fault[1])


def verify_file(path: Path, trust: TrustStore, envelopes: Sequence[bytes] = ()) -> AuditReport:
    """Verify a copy of a SQLite ledger (with its ``-wal`` file, if it had one); the copy is only read.

    Raises
    ------
    NotFound: there is no such file.
    """
    if not path.is_file():
        raise NotFound("no such ledger file", where=path.name)
    with read_only(path) as connection:
        try:
            return verify_connection(connection, trust, envelopes)
        except (SQLAlchemyError, sqlite3.Error) as error:
            return AuditReport(ok=False, entries=0, first_bad_seq=1, what=f"not readable as a ledger: {type(error).__name__}")


def export_lines(connection: Connection) -> Iterator[bytes]:
    """Everything an auditor needs, as JSON lines: the checkpoints, then each entry with the revisions it wrote."""
    for envelope in connection.execute(select(checkpoint.c.envelope).order_by(checkpoint.c.seq)).scalars():
        yield msgspec.json.encode(CheckpointLine(bytes(envelope))) + b"\n"
    for entry, rows in groups_of(connection):
        lines = (EntryLine(entry),) if entry is not None else ()
        for line in chain(lines, map(RecordLine, rows)):
            yield msgspec.json.encode(line) + b"\n"


def verify_export(lines: Iterable[bytes], trust: TrustStore, envelopes: Sequence[bytes] = ()) -> AuditReport:
    """Verify an export, read once from beginning to end, with the checkpoints in it and those given."""
    rest = iter(lines)
    inside, first = [], b""
    try:
        for first in rest:
            parsed = _LINE.decode(first)
            if not isinstance(parsed, CheckpointLine):
                break
            inside.append(parsed.envelope)
            first = b""
        checkpoints = read_checkpoints(trust, [*inside, *envelopes])
    except (msgspec.MsgspecError, UnicodeError) as error:
        return AuditReport(ok=False, entries=0, first_bad_seq=1, what=f"not readable as an export: {error}")
    except Integrity as error:
        return AuditReport(ok=False, entries=0, first_bad_seq=1, what=error.sentence())
    return verify(_groups_in(chain([first] if first else [], rest)), checkpoints)


def _groups_in(lines: Iterable[bytes]) -> Iterator[Group]:
    entry: AuditEntry | None = None
    rows: list[WrittenRow] = []
    for line in lines:
        parsed = _LINE.decode(line)
        if isinstance(parsed, RecordLine):
            rows.append(parsed.record)
        elif isinstance(parsed, EntryLine):
            if entry is not None or rows:
                yield entry, rows
            entry, rows = parsed.entry, []
        else:
            raise TypeError("a checkpoint after the first entry")
    if entry is not None or rows:
        yield entry, rows


@contextmanager
def read_only(path: Path) -> Iterator[Connection]:
    """A copy of a SQLite ledger, opened so that nothing can be written to it."""

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)

    engine = create_engine("sqlite://", creator=connect)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
