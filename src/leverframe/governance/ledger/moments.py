"""One record at one moment, as known at another: every query of it is one step down an index, however long the record's past is.

A record's revisions have two orders (see ``store.py``): the order written, and the dates they took over from. "Live at T" is the
newest-written revision dated T or before. While dates climb as numbers do, that is the one dated last before T. Where a clock stood
still or went back, a revision was overtaken at once and its time is empty; only those are looked at besides.
"""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select

from leverframe.governance.ledger.buffer import Row
from leverframe.governance.ledger.rows import row_of
from leverframe.governance.ledger.schema import audit, record


def row_at(connection: Connection, kind: str, id: str, at_us: int, known_seq: int | None = None) -> Row | None:
    """The revision live at ``at_us`` (one that ended the record included), or None.

    Parameters
    ----------
    known_seq: only what entries up to this one wrote counts; None: everything.
    """
    named = (record.c.kind == kind, record.c.id == id)
    newest = _first(connection, newest_query(named, known_seq))
    if newest is None or newest.from_us <= at_us:
        return newest
    dated = _first(connection, dated_query(named, at_us, newest.revision))
    if dated is None:
        return None
    overtaken = select(record.c.revision).where(
        *named, record.c.to_us <= record.c.from_us, record.c.revision >= dated.revision, record.c.revision < newest.revision
    )
    if connection.execute(overtaken.limit(1)).first() is None:
        return dated
    between = (record.c.revision >= dated.revision, record.c.revision < newest.revision, record.c.from_us <= at_us)
    return _first(connection, select(record).where(*named, *between).order_by(record.c.revision.desc()))


def newest_query(named: tuple[ColumnElement[bool], ...], known_seq: int | None) -> Select[Any]:
    """The newest-written revision, of those that entries up to ``known_seq`` wrote."""
    written = select(record).where(*named)
    if known_seq is None:
        return written.order_by(record.c.revision.desc())
    return written.where(record.c.from_seq <= known_seq).order_by(record.c.from_seq.desc())


def dated_query(named: tuple[ColumnElement[bool], ...], at_us: int, before_revision: int) -> Select[Any]:
    """The revision dated last at ``at_us`` or before, of those written before ``before_revision``."""
    dated = select(record).where(*named, record.c.from_us <= at_us, record.c.revision < before_revision)
    return dated.order_by(record.c.from_us.desc(), record.c.revision.desc())


def seq_known_at(connection: Connection, known_us: int) -> int:
    """The number of the entry that the machine's clock dated last at ``known_us`` or before; 0 when there is none."""
    found = connection.execute(
        select(audit.c.seq).where(audit.c.recorded_at_us <= known_us).order_by(audit.c.recorded_at_us.desc(), audit.c.seq.desc()).limit(1)
    ).first()
    return 0 if found is None else int(found.seq)


def written_by(connection: Connection, seq: int) -> tuple[str, str]:
    """Actor and action of entry ``seq``."""
    found = connection.execute(select(audit.c.actor, audit.c.action).where(audit.c.seq == seq)).one()
    return found.actor, found.action


def _first(connection: Connection, query: Select[Any]) -> Row | None:
    found = connection.execute(query.limit(1)).first()
    return None if found is None else row_of(found)
