"""The ledger: the only door through which control state changes, on SQLite or PostgreSQL.

**Which time?** Every revision has two orders. ``seq`` is the order in which things were written; it never goes back, and when two
answers disagree it decides. ``from_us`` is the installation's clock at the write: the valid time that "what was live at T" asks about.
A clock may go backwards (a replay starts over, a machine's clock is corrected). It is then believed, not bent: forcing it upwards would
freeze all history until an old, wrong future has passed. So a revision written later but dated earlier takes over from its date on:
**live at T is the newest-written revision among those dated T or before**. The revisions it overtook stay in ``history``, in the order
written, and each audit entry also keeps the machine's own clock (``recorded_at_us``).
"""

import copy
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, Self, TypeVar

import msgspec
from sqlalchemy import Connection

from leverframe.core.actor import Actor
from leverframe.core.clock import Clock
from leverframe.core.command import Command, Handles, Receipt, Revision
from leverframe.core.errors import NotFound
from leverframe.governance.decision import Decides
from leverframe.governance.ledger import rows as sql
from leverframe.governance.ledger.buffer import Row, revision
from leverframe.governance.ledger.carry_out import Asked, Registry, ask, ask_all, carry_out, replayed
from leverframe.governance.ledger.chain import AuditEntry
from leverframe.governance.ledger.checkpoints import Checkpoint, sign_checkpoint
from leverframe.governance.ledger.copies import export_lines, verify_connection
from leverframe.governance.ledger.engines import Sessions
from leverframe.governance.ledger.migrate import migrate
from leverframe.governance.ledger.moments import row_at, seq_known_at, written_by
from leverframe.governance.ledger.verify import AuditReport
from leverframe.governance.signing import SigningKey, TrustStore

T = TypeVar("T", bound=msgspec.Struct)

AUDIT_PAGE_ROWS_MAX = 10_000
SCANNED_PAGE_ROWS = 500
SCANNED_ROWS_MAX = 20_000
"""Entries that are looked through for one page of somebody who may not see all of them."""


class MachineClock:
    """The machine's own clock: when an entry was really made, whatever time is being replayed."""

    def now_us(self) -> int:
        """Microseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1000


class Sight(Protocol):
    """What one reader may see of the ledger."""

    def record(self, kind: str, id: str, body: bytes) -> bool:
        """Whether they may see this state of a record."""
        ...

    def entry(self, entry: AuditEntry) -> bool:
        """Whether they may see this entry of the chain."""
        ...


class Ledger:
    """Implements :class:`leverframe.core.command.Journal`.

    Parameters
    ----------
    url: ``sqlite:///<file>`` or ``postgresql://user:password@host/database``; missing migrations are run now.
    clock: dates records and entries.
    policy: decides every command.
    handlers: the commands it knows; one without an action is refused with a TypeError, so the process does not start.
    machine_clock: dates ``recorded_at_us``.

    Raises
    ------
    Unavailable: the database does not answer, or was made by a newer program.
    """

    def __init__(self, url: str, clock: Clock, policy: Decides, handlers: Iterable[Handles], *, machine_clock: Clock | None = None) -> None:
        self._registry = Registry(handlers)
        self._clock = clock
        self._policy = policy
        self._machine_clock = machine_clock or MachineClock()
        self._sessions = Sessions(url)
        self._sight: Sight | None = None
        self._whole: Ledger = self
        migrate(self._sessions)

    @property
    def whole(self) -> "Ledger":
        """This ledger with nothing left out."""
        return self._whole

    def seen_with(self, sight: Sight) -> Self:
        """This ledger as a reader with ``sight`` has it: what they may not see is not there, nor was it ever.

        Writes are the same: whether they may be made is the policy's to say. ``verify``, ``export`` and ``checkpoint`` are about the whole
        chain, always.
        """
        seen = copy.copy(self)
        seen._sight = sight
        return seen

    def sees(self, kind: str, id: str) -> bool:
        """Whether the record exists, or did, and its newest state may be seen here."""
        body = self.newest_body(kind, id)
        return body is not None and (self._sight is None or self._sight.record(kind, id, body))

    def newest_body(self, kind: str, id: str) -> bytes | None:
        """What the record says (JSON), or said before it ended, whoever looks; None: there never was one."""
        with self._sessions.reading() as connection:
            row = sql.SqlRows(connection).current(kind, id)
            if row is None or row.body is not None:
                return None if row is None else row.body
            found = sql.revisions(connection, kind, id)
        return next((row.body for row, _, _ in reversed(found) if row.body is not None), None)

    def write(self, actor: Actor, command: Command, *, key: str) -> Receipt:
        """Authorise, change and record, in one transaction; the same ``key`` and command again returns the first receipt.

        Keys belong to the actor who used them. When this returns, the change and its audit entry are on disk.

        Raises
        ------
        Forbidden: policy does not permit it.    Conflict: the key was used for another command.
        InvalidInput: no usable key.  Unavailable: nothing was changed, or the outcome is unknown; the message says which.
        Whatever the handler raises: nothing was changed.
        """
        asked = ask(actor, command, key)
        with self._sessions.writing() as connection:
            return self._carried(connection, asked)

    def write_all(self, actor: Actor, commands: Sequence[tuple[Command, str]]) -> tuple[Receipt, ...]:
        """Each command with its key as :meth:`write` would, in order, in one transaction: all of them, or none.

        Raises
        ------
        LimitExceeded: too many at once.    Whatever any of them raises, as :meth:`write`: nothing was changed.
        """
        several = ask_all(actor, commands)
        with self._sessions.writing() as connection:
            return tuple(self._carried(connection, asked) for asked in several)

    def _carried(self, connection: Connection, asked: Asked) -> Receipt:
        """``asked`` carried out and recorded within the transaction of ``connection``, or the receipt of its first time."""
        earlier = sql.entry_of_key(connection, asked.actor.subject, asked.key)
        if earlier is not None:
            return replayed(asked, earlier)
        done = carry_out(
            asked,
            self._registry,
            self._policy,
            sql.SqlRows(connection),
            after=sql.last_entry(connection),
            at_us=self._clock.now_us(),
            recorded_at_us=self._machine_clock.now_us(),
        )
        sql.append_rows(connection, done.rows)
        sql.append_entry(connection, done.entry)
        return done.receipt

    def get(self, kind: str, id: str, type: type[T], *, at_us: int | None = None) -> T | None:
        """The record as of ``at_us`` (None: as last written)."""
        with self._sessions.reading() as connection:
            row = sql.SqlRows(connection).current(kind, id) if at_us is None else row_at(connection, kind, id, at_us)
        return None if row is None or not self._seen(row) else _record(row, type)

    def find(self, kind: str, type: type[T], *, prefix: str = "", at_us: int | None = None) -> list[T]:
        """All records of ``kind`` whose id starts with ``prefix`` as of ``at_us``, ordered by id."""
        with self._sessions.reading() as connection:
            current = sql.SqlRows(connection)
            found = current.current_all(kind, prefix) if at_us is None else sql.rows_at(connection, kind, prefix, at_us)
        return [msgspec.json.decode(row.body, type=type) for row in found if row.body is not None and self._seen(row)]

    def history(self, kind: str, id: str, type: type[T]) -> list[Revision[T]]:
        """Every state the record was in, in the order written; ``record`` is None while it was ended."""
        with self._sessions.reading() as connection:
            found = sql.revisions(connection, kind, id)
        told, before = [], False
        for row, actor, action in found:
            before = before if row.body is None else self._seen(row)  # Who saw a record sees that it ended.
            if before:
                told.append(revision(row, actor, action, type))
        return told

    def revision_at(self, kind: str, id: str, type: type[T], at_us: int, *, known_us: int | None = None) -> Revision[T] | None:
        """The state the record was in at ``at_us``, as known at ``known_us`` of the machine's clock (None: as known now)."""
        with self._sessions.reading() as connection:
            row = row_at(connection, kind, id, at_us, None if known_us is None else seq_known_at(connection, known_us))
            if row is None:
                return None
            actor, action = written_by(connection, row.from_seq)
        seen = self._seen(row) if row.body is not None else self.sees(kind, id)
        return revision(row, actor, action, type) if seen else None

    def _seen(self, row: Row) -> bool:
        return self._sight is None or row.body is None or self._sight.record(row.kind, row.id, row.body)

    def audit(self, *, after: int = 0, limit: int = 100, newest_first: bool = False) -> list[AuditEntry]:
        """Up to ``limit`` (at most 10,000) entries beyond ``after`` in reading direction (newest first: below it; 0: from the end).

        Of those that may be seen here; at most ``SCANNED_ROWS_MAX`` are looked at, so that a page may be short of them.
        """
        limit = min(limit, AUDIT_PAGE_ROWS_MAX)
        if self._sight is None:
            return self._entries(after, limit, newest_first)
        told: list[AuditEntry] = []
        looked = 0
        while len(told) < limit and looked < SCANNED_ROWS_MAX:
            page = self._entries(after, SCANNED_PAGE_ROWS, newest_first)
            told += [entry for entry in page if self._sight.entry(entry)]
            looked += len(page)
            if len(page) < SCANNED_PAGE_ROWS:
                break
            after = page[-1].seq
        return told[:limit]

    def _entries(self, after: int, limit: int, newest_first: bool) -> list[AuditEntry]:
        with self._sessions.reading() as connection:
            return sql.entries(connection, after, limit, newest_first)

    def entries_total(self) -> int:
        """How many commands were committed: the last entry's number, since none is ever skipped."""
        with self._sessions.reading() as connection:
            last = sql.last_entry(connection)
        return last.seq if last is not None else 0

    def checkpoint(self, key: SigningKey) -> bytes:
        """A signed statement of where the chain ends now; keep a copy on another host.

        The ledger keeps one too. It is a statement *about* the chain and not control state, so it makes no entry of its own.

        Raises
        ------
        NotFound: nothing was written yet.
        """
        with self._sessions.writing() as connection:
            last = sql.last_entry(connection)
            if last is None:
                raise NotFound("the chain is empty", where="ledger")
            statement = Checkpoint(seq=last.seq, hash=last.hash, at_us=self._machine_clock.now_us())
            envelope = sign_checkpoint(key, statement)
            sql.keep_checkpoint(connection, statement, envelope)
        return envelope

    def verify(self, trust: TrustStore, envelopes: Sequence[bytes] = ()) -> AuditReport:
        """Check chain, records and checkpoints as they lie in the database; ``envelopes`` are checkpoints kept elsewhere."""
        with self._sessions.snapshot() as connection:
            return verify_connection(connection, trust, envelopes)

    def export(self) -> Iterator[bytes]:
        """Everything ``copies.verify_export`` needs, line by line (JSON)."""
        with self._sessions.snapshot() as connection:
            yield from export_lines(connection)

    def close(self) -> None:
        """Let go of the database."""
        self._sessions.close()


def _record(row: Row, type: type[T]) -> T | None:
    return None if row.body is None else msgspec.json.decode(row.body, type=type)
