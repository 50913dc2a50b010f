"""The ledger's in-memory twin: the same answers as ``store.py`` (one contract suite holds both to it), gone with the process."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from leverframe.core.actor import Actor
from leverframe.core.clock import Clock
from leverframe.core.command import Command, Handles, Receipt, Revision
from leverframe.governance.decision import Decides, Decision, Fact
from leverframe.governance.ledger.buffer import Row, live_at, revision
from leverframe.governance.ledger.carry_out import Asked, Registry, ask, ask_all, carry_out, replayed
from leverframe.governance.ledger.chain import AuditEntry

T = TypeVar("T", bound=msgspec.Struct)


class AllowEverything:
    """A policy for tests of other things: whatever is asked is permitted."""

    def decide(self, actor: Actor, action: str, resource: str, team: str, facts: Mapping[str, Fact]) -> Decision:
        """Allowed, by a policy named for what it is."""
        return Decision(allowed=True, policy_ids=("allow-everything",), reasons=("a test said so",))


class MemoryJournal:
    """A :class:`leverframe.core.command.Journal` in dictionaries.

    Parameters
    ----------
    clock: dates records and entries.
    policy: decides every command (:class:`AllowEverything` in tests of other things).
    handlers: the commands it knows.
    """

    def __init__(self, clock: Clock, policy: Decides, handlers: Iterable[Handles]) -> None:
        self._clock = clock
        self._policy = policy
        self._registry = Registry(handlers)
        self._revisions: dict[tuple[str, str], list[Row]] = {}
        self._entries: list[AuditEntry] = []
        self._keys: dict[tuple[str, str], AuditEntry] = {}
        self._lock = threading.RLock()

    def write(self, actor: Actor, command: Command, *, key: str) -> Receipt:
        """Authorise, change and record, all or nothing; see :class:`leverframe.core.command.Journal`."""
        asked = ask(actor, command, key)
        with self._lock:
            return self._carried(asked)

    def write_all(self, actor: Actor, commands: Sequence[tuple[Command, str]]) -> tuple[Receipt, ...]:
        """Each command with its key, in order: all of them, or none; see :class:`leverframe.core.command.Journal`."""
        several = ask_all(actor, commands)
        with self._lock:
            before = {name: list(rows) for name, rows in self._revisions.items()}, list(self._entries), dict(self._keys)
            try:
                return tuple(self._carried(asked) for asked in several)
            except BaseException:
                self._revisions, self._entries, self._keys = before
                raise

    def _carried(self, asked: Asked) -> Receipt:
        earlier = self._keys.get((asked.actor.subject, asked.key))
        if earlier is not None:
            return replayed(asked, earlier)
        now_us = self._clock.now_us()
        after = self._entries[-1] if self._entries else None
        done = carry_out(asked, self._registry, self._policy, self, after=after, at_us=now_us, recorded_at_us=now_us)
        for row in done.rows:
            self._append(row)
        self._entries.append(done.entry)
        self._keys[asked.actor.subject, asked.key] = done.entry
        return done.receipt

    def _append(self, row: Row) -> None:
        revisions = self._revisions.setdefault((row.kind, row.id), [])
        if revisions:
            to_us = max(revisions[-1].from_us, row.from_us)
            revisions[-1] = msgspec.structs.replace(revisions[-1], to_us=to_us, to_seq=row.from_seq)
        revisions.append(row)

    def current(self, kind: str, id: str) -> Row | None:
        """The newest revision, or None."""
        return self._revisions.get((kind, id), [None])[-1]

    def current_all(self, kind: str, prefix: str) -> list[Row]:
        """The newest revisions that did not end their record, ordered by id."""
        found = [rows[-1] for (k, id), rows in self._revisions.items() if k == kind and id.startswith(prefix)]
        return sorted((row for row in found if row.body is not None), key=lambda row: row.id)

    def get(self, kind: str, id: str, type: type[T], *, at_us: int | None = None) -> T | None:
        """The record as of ``at_us`` (None: now)."""
        with self._lock:
            row = self.current(kind, id) if at_us is None else live_at(self._revisions.get((kind, id), []), at_us)
        return None if row is None or row.body is None else msgspec.json.decode(row.body, type=type)

    def find(self, kind: str, type: type[T], *, prefix: str = "", at_us: int | None = None) -> list[T]:
        """All records of ``kind`` whose id starts with ``prefix`` as of ``at_us``, ordered by id."""
        with self._lock:
            if at_us is None:
                rows = self.current_all(kind, prefix)
            else:
                ids = sorted(id for k, id in self._revisions if k == kind and id.startswith(prefix))
                lives = [live_at(self._revisions[kind, id], at_us) for id in ids]
                rows = [row for row in lives if row is not None]
        return [msgspec.json.decode(row.body, type=type) for row in rows if row.body is not None]

    def history(self, kind: str, id: str, type: type[T]) -> list[Revision[T]]:
        """Every state the record was in, in the order written; ``record`` is None while it was ended."""
        with self._lock:
            return [
                revision(row, self._entries[row.from_seq - 1].actor, self._entries[row.from_seq - 1].action, type)
                for row in self._revisions.get((kind, id), [])
            ]

    def revision_at(self, kind: str, id: str, type: type[T], at_us: int, *, known_us: int | None = None) -> Revision[T] | None:
        """The state the record was in at ``at_us``, as known at ``known_us`` (None: as known now)."""
        with self._lock:
            known = [entry for entry in self._entries if known_us is None or entry.recorded_at_us <= known_us]
            last = max(known, key=lambda entry: (entry.recorded_at_us, entry.seq), default=None)
            known_seq = len(self._entries) if known_us is None else last.seq if last is not None else 0
            row = live_at([row for row in self._revisions.get((kind, id), []) if row.from_seq <= known_seq], at_us)
            if row is None:
                return None
            entry = self._entries[row.from_seq - 1]
        return revision(row, entry.actor, entry.action, type)

    def audit(self, *, after: int = 0, limit: int = 100, newest_first: bool = False) -> list[AuditEntry]:
        """Up to ``limit`` entries beyond ``after`` in reading direction (newest first: below it; 0 means from the end)."""
        with self._lock:
            if newest_first:
                end = after - 1 if after else len(self._entries)
                return self._entries[max(0, end - limit) : end][::-1]
            return self._entries[after : after + limit]

    def entries_total(self) -> int:
        """How many commands were committed."""
        return len(self._entries)

    def close(self) -> None:
        """Nothing to let go of."""
