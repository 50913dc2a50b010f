"""The ledger as a transaction that only looks: facts of a decision can be computed without making it."""

from typing import TypeVar

import msgspec

from leverframe.core.actor import Actor
from leverframe.core.command import Journal

T = TypeVar("T", bound=msgspec.Struct)


class Looking:
    """Implements :class:`leverframe.core.command.Transaction` over a journal; a change is a programmer's fault."""

    def __init__(self, journal: Journal, actor: Actor, now_us: int) -> None:
        self._journal = journal
        self.actor = actor
        self.now_us = now_us

    def get(self, kind: str, id: str, type: type[T]) -> T | None:
        """The current record, or None."""
        return self._journal.get(kind, id, type)

    def find(self, kind: str, type: type[T], prefix: str = "") -> list[T]:
        """All current records of a kind."""
        return self._journal.find(kind, type, prefix=prefix)

    def put(self, kind: str, id: str, record: msgspec.Struct) -> None:
        """Never: facts only look."""
        raise TypeError("a look changes nothing")

    def delete(self, kind: str, id: str) -> None:
        """Never: facts only look."""
        raise TypeError("a look changes nothing")
