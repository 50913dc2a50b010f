"""Records and entries in SQL: every query the ledger makes, one function each."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from leverframe.governance.ledger.buffer import Row
from leverframe.governance.ledger.chain import AuditEntry, Change
from leverframe.governance.ledger.checkpoints import Checkpoint
from leverframe.governance.ledger.schema import audit, checkpoint, record

_JSON = msgspec.json.Encoder()
_CHANGES = msgspec.json.Decoder(tuple[Change, ...])
_STRINGS = msgspec.json.Decoder(tuple[str, ...])
_LAST_CHARACTER = chr(0x10FFFF)


class SqlRows:
    """Current rows, read in the transaction that is about to change them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def current(self, kind: str, id: str) -> Row | None:
        """The newest revision, or None."""
        found = self._connection.execute(select(record).where(record.c.kind == kind, record.c.id == id, _OPEN)).all()
        return row_of(found[0]) if found else None

    def current_all(self, kind: str, prefix: str) -> list[Row]:
        """The newest revisions that did not end their record, ordered by id."""
        query = select(record).where(*_named(kind, prefix), _OPEN, record.c.body.is_not(None)).order_by(record.c.id)
        return [row_of(found) for found in self._connection.execute(query).all()]


_OPEN = record.c.to_seq.is_(None)


def _named(kind: str, prefix: str) -> list[ColumnElement[bool]]:
    """Kind and prefix as a range of the primary key (LIKE would neither use it nor tell ``a`` from ``A``)."""
    named: list[ColumnElement[bool]] = [record.c.kind == kind]
    if prefix:
        named += [record.c.id >= prefix, record.c.id < prefix + _LAST_CHARACTER]
    return named


def _live(at_us: int) -> list[ColumnElement[bool]]:
    return [record.c.from_us <= at_us, (record.c.to_us.is_(None)) | (record.c.to_us > at_us)]


def rows_at(connection: Connection, kind: str, prefix: str, at_us: int) -> list[Row]:
    """The revision live at ``at_us`` of every record of ``kind``, ordered by id; ended ones left out."""
    query = select(record).where(*_named(kind, prefix), *_live(at_us)).order_by(record.c.id, record.c.revision)
    newest = {found.id: row_of(found) for found in connection.execute(query).all()}
    return [row for row in newest.values() if row.body is not None]


def revisions(connection: Connection, kind: str, id: str) -> list[tuple[Row, str, str]]:
    """Every revision in the order written, with the actor and the action of its audit entry."""
    query = (
        select(record, audit.c.actor, audit.c.action)
        .join(audit, audit.c.seq == record.c.from_seq)
        .where(record.c.kind == kind, record.c.id == id)
        .order_by(record.c.revision)
    )
    return [(row_of(found), found.actor, found.action) for found in connection.execute(query).all()]


def append_rows(connection: Connection, rows: Iterable[Row]) -> None:
    """Close each record's open revision and open the next."""
    for row in rows:
        if row.revision > 1:
            # A clock that went backwards leaves an empty interval, never a negative one.
            ends = (
                func.max(record.c.from_us, row.from_us)
                if connection.dialect.name == "sqlite"
                else func.greatest(record.c.from_us, row.from_us)
            )
            closing = update(record).where(record.c.kind == row.kind, record.c.id == row.id, _OPEN)
            connection.execute(closing.values(to_us=ends, to_seq=row.from_seq))
        connection.execute(
            insert(record).values(
                kind=row.kind,
                id=row.id,
                revision=row.revision,
                body=None if row.body is None else row.body.decode(),
                from_us=row.from_us,
                from_seq=row.from_seq,
            )
        )


def append_entry(connection: Connection, entry: AuditEntry) -> None:
    """Add an entry at the end of the chain."""
    values = msgspec.structs.asdict(entry)
    for name in ("roles", "changes", "policy_ids"):
        values[name] = _JSON.encode(values[name]).decode()
    connection.execute(insert(audit).values(values))


def last_entry(connection: Connection) -> AuditEntry | None:
    """The end of the chain, or None at the beginning."""
    found = connection.execute(select(audit).order_by(audit.c.seq.desc()).limit(1)).all()
    return entry_of(found[0]) if found else None


def entry_of_key(connection: Connection, actor: str, key: str) -> AuditEntry | None:
    """The entry this actor made with this key, or None."""
    found = connection.execute(select(audit).where(audit.c.actor == actor, audit.c.key == key)).all()
    return entry_of(found[0]) if found else None


def entries(connection: Connection, after: int, limit: int, newest_first: bool) -> list[AuditEntry]:
    """Up to ``limit`` entries beyond ``after`` in reading direction."""
    query = select(audit).limit(limit)
    if newest_first:
        query = query.order_by(audit.c.seq.desc())
        query = query.where(audit.c.seq < after) if after else query
    else:
        query = query.order_by(audit.c.seq).where(audit.c.seq > after)
    return [entry_of(found) for found in connection.execute(query).all()]


def keep_checkpoint(connection: Connection, statement: Checkpoint, envelope: bytes) -> None:
    """Keep a signed checkpoint; one that is there already is left alone."""
    if not connection.execute(select(checkpoint.c.seq).where(checkpoint.c.seq == statement.seq)).all():
        values = {"seq": statement.seq, "hash": statement.hash, "at_us": statement.at_us, "envelope": envelope}
        connection.execute(insert(checkpoint).values(values))


def row_of(found: Any) -> Row:
    """A record row as read."""
    return Row(
        kind=found.kind,
        id=found.id,
        revision=found.revision,
        body=None if found.body is None else found.body.encode(),
        from_us=found.from_us,
        from_seq=found.from_seq,
        to_us=found.to_us,
        to_seq=found.to_seq,
    )


def entry_of(found: Sequence[Any]) -> AuditEntry:
    """An audit row as read, columns in the table's order."""
    seq, at_us, recorded_at_us, actor, roles, action, resource, team, key, command, body, result, changes, policy_ids, prev, hash = found
    return AuditEntry(
        seq=seq,
        at_us=at_us,
        recorded_at_us=recorded_at_us,
        actor=actor,
        roles=_STRINGS.decode(roles),
        action=action,
        resource=resource,
        team=team,
        key=key,
        command=command,
        body=body,
        result=result,
        changes=_CHANGES.decode(changes),
        policy_ids=_STRINGS.decode(policy_ids),
        prev=prev,
        hash=hash,
    )
