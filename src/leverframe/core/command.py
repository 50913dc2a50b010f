"""Commands: what someone asks to be changed. Handled in one place, authorised in one place, recorded in one place."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import msgspec

from leverframe.core.actor import Actor

T = TypeVar("T", bound=msgspec.Struct)


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every command.

    ``action`` is the Cedar action that must be permitted; a command without one cannot be registered. ``resource`` names the thing
    acted on as ``kind/id`` (for instance ``endpoint/prod/flight-delay``), and ``team`` the team that owns it (empty: platform-wide).
    """

    action: ClassVar[str] = ""

    def resource(self) -> str:
        """``kind/id`` of the thing acted on."""
        raise NotImplementedError

    def team(self) -> str:
        """The owning team, or empty for platform-wide things."""
        return ""


class Transaction(Protocol):
    """What a handler may see and change. Everything it puts commits together with one audit entry, or not at all.

    Records are rows of (kind, id) with a body; every change closes the current revision and opens the next one, so the past stays
    readable. ``put`` inserts or replaces, ``delete`` closes without a successor.
    """

    @property
    def now_us(self) -> int:
        """The clock's time of this transaction."""
        ...

    @property
    def actor(self) -> Actor:
        """Who is asking."""
        ...

    def get(self, kind: str, id: str, type: type[T]) -> T | None:
        """The current record, or None."""
        ...

    def find(self, kind: str, type: type[T], prefix: str = "") -> list[T]:
        """All current records of ``kind`` whose id starts with ``prefix``, ordered by id."""
        ...

    def put(self, kind: str, id: str, record: msgspec.Struct) -> None:
        """Insert or replace a record."""
        ...

    def delete(self, kind: str, id: str) -> None:
        """End a record; its history stays."""
        ...


class Revision(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One state a record was in: from ``from_us`` until ``to_us`` (None: still), put there by audit entry ``seq``."""

    record: T | None
    from_us: int
    to_us: int | None
    seq: int
    actor: str
    action: str


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """Proof that a command committed: its audit sequence number and hash; ``replayed`` when the key had been used before."""

    seq: int
    hash: str
    result: Any = None
    replayed: bool = False


class Journal(Protocol):
    """The control plane's memory as rooms see it (implemented by ``governance.ledger``)."""

    def write(self, actor: Actor, command: Command, *, key: str) -> Receipt:
        """Authorise, change and record, in one transaction; the same ``key`` and command again returns the first receipt.

        Raises
        ------
        Forbidden: policy does not permit it.    Conflict: the key was used for another command.
        Refused: a rule of the road is not met.  Unavailable: the outcome is unknown; re-read before trying again.
        """
        ...

    def write_all(self, actor: Actor, commands: Sequence[tuple[Command, str]]) -> tuple[Receipt, ...]:
        """Each command with its key as :meth:`write` would, in order, in one transaction: all of them, or none.

        Every command is permitted by itself, has an entry of its own, and sees what those before it changed.

        Raises
        ------
        LimitExceeded: too many at once.    Whatever any of them raises: nothing was changed.
        """
        ...

    def get(self, kind: str, id: str, type: type[T], *, at_us: int | None = None) -> T | None:
        """The record as of ``at_us`` (None: now)."""
        ...

    def find(self, kind: str, type: type[T], *, prefix: str = "", at_us: int | None = None) -> list[T]:
        """All records of ``kind`` whose id starts with ``prefix`` as of ``at_us``, ordered by id."""
        ...

    def history(self, kind: str, id: str, type: type[T]) -> list[Revision[T]]:
        """Every state the record was in, oldest first."""
        ...

    def revision_at(self, kind: str, id: str, type: type[T], at_us: int, *, known_us: int | None = None) -> Revision[T] | None:
        """The state the record was in at ``at_us``, as known at ``known_us`` of the machine's clock (None: as known now)."""
        ...


class Handles(msgspec.Struct, frozen=True, kw_only=True):
    """Binds a command to the plain function that carries it out, and to the facts the policy decides on.

    ``run(command, tx)`` makes the changes and returns a plain result; ``facts(command, tx)`` returns Cedar context attributes
    (booleans, integers, strings, lists of strings), computed from current rows before anything is changed.
    """

    command: type[Command]
    run: Callable[[Any, Transaction], Any]
    facts: Callable[[Any, Transaction], Mapping[str, Any]] | None = None
