"""A transaction as a handler sees it: reads go through to the rows, changes wait until the handler is done."""

from typing import Protocol, TypeVar

import msgspec

from leverframe.core.actor import Actor
from leverframe.core.command import Revision
from leverframe.core.digest import canonical_json
from leverframe.core.errors import InvalidInput, LimitExceeded, NotFound

T = TypeVar("T", bound=msgspec.Struct)

RECORD_BYTES_MAX = 4 * 1024 * 1024
"""A larger record belongs in the artifact store, with its digest in the ledger."""

ID_CHARS_MAX = 300


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of a record as stored; ``body`` None means that the record ended with this revision."""

    kind: str
    id: str
    revision: int
    body: bytes | None
    from_us: int
    from_seq: int
    to_us: int | None = None
    to_seq: int | None = None


class Rows(Protocol):
    """Current rows, read inside the transaction that will change them."""

    def current(self, kind: str, id: str) -> Row | None:
        """The newest revision (also one that ended the record), or None if there never was one."""
        ...

    def current_all(self, kind: str, prefix: str) -> list[Row]:
        """The newest revision of every record of ``kind`` whose id starts with ``prefix``; ended ones left out; ordered by id."""
        ...


class Buffer:
    """Implements :class:`leverframe.core.command.Transaction` over :class:`Rows`; each record changes at most once a transaction."""

    def __init__(self, rows: Rows, actor: Actor, now_us: int) -> None:
        self._rows = rows
        self._actor = actor
        self._now_us = now_us
        self._bodies: dict[tuple[str, str], bytes | None] = {}

    @property
    def now_us(self) -> int:
        """The clock's time of this transaction."""
        return self._now_us

    @property
    def actor(self) -> Actor:
        """Who is asking."""
        return self._actor

    @property
    def changes(self) -> list[tuple[str, str, bytes | None]]:
        """(kind, id, new body or None), ordered by kind and id."""
        return [(kind, id, body) for (kind, id), body in sorted(self._bodies.items(), key=lambda item: item[0])]

    def get(self, kind: str, id: str, type: type[T]) -> T | None:
        """The record as this transaction leaves it."""
        if (kind, id) in self._bodies:
            body = self._bodies[kind, id]
        else:
            row = self._rows.current(kind, id)
            body = row.body if row is not None else None
        return None if body is None else msgspec.json.decode(body, type=type)

    def find(self, kind: str, type: type[T], prefix: str = "") -> list[T]:
        """All records of ``kind`` as this transaction leaves them, ordered by id."""
        bodies: dict[str, bytes | None] = {row.id: row.body for row in self._rows.current_all(kind, prefix)}
        bodies.update({id: body for (k, id), body in self._bodies.items() if k == kind and id.startswith(prefix)})
        return [msgspec.json.decode(body, type=type) for _, body in sorted(bodies.items()) if body is not None]

    def put(self, kind: str, id: str, record: msgspec.Struct) -> None:
        """Insert or replace.

        Raises
        ------
        InvalidInput: no usable id, or the record cannot be read back from JSON (NaN, for one).  LimitExceeded: too large.
        """
        check_record_name(kind, id)
        body = canonical_json(record)
        if len(body) > RECORD_BYTES_MAX:
            raise LimitExceeded("record too large", where=f"{kind}/{id}", expected=f"{RECORD_BYTES_MAX} bytes", got=str(len(body)))
        try:
            msgspec.json.decode(body, type=type(record))
        except msgspec.MsgspecError as error:
            raise InvalidInput("the record could not be read back", where=f"{kind}/{id}", got=str(error)) from error
        self._bodies[kind, id] = body

    def delete(self, kind: str, id: str) -> None:
        """End a record.

        Raises
        ------
        NotFound: there is none.
        """
        row = self._rows.current(kind, id)
        stored = row is not None and row.body is not None
        if self._bodies.get((kind, id), row.body if row else None) is None:
            raise NotFound("no such record to end", where=f"{kind}/{id}")
        if stored:
            self._bodies[kind, id] = None
        else:
            del self._bodies[kind, id]


def check_record_name(kind: str, id: str) -> None:
    """Raise InvalidInput unless ``kind`` and ``id`` can name a record: printable, not empty, bounded."""
    for part, text in (("kind", kind), ("id", id)):
        if not text or len(text) > ID_CHARS_MAX or not text.isprintable():
            raise InvalidInput(f"not a record {part}", where=f"{kind}/{id}"[:80], expected=f"1 to {ID_CHARS_MAX} printable characters")


def live_at(revisions: list[Row], at_us: int) -> Row | None:
    """The revision that was live at ``at_us``: among those that began by then, the newest written (see ``store.py`` on clocks).

    >>> row = lambda n, at: Row(kind="k", id="i", revision=n, body=b"{}", from_us=at, from_seq=n)
    >>> live_at([row(1, 100), row(2, 200), row(3, 50)], 150).revision
    3
    """
    return next((row for row in reversed(revisions) if row.from_us <= at_us), None)


def revision(row: Row, actor: str, action: str, type: type[T]) -> Revision[T]:
    """A stored row with who wrote it and by what action."""
    record = None if row.body is None else msgspec.json.decode(row.body, type=type)
    return Revision(record=record, from_us=row.from_us, to_us=row.to_us, seq=row.from_seq, actor=actor, action=action)
