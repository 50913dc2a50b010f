"""What every ledger does with a command: find its handler, decide, run it, and write down what it did."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from leverframe.core.actor import Actor
from leverframe.core.command import Command, Handles, Receipt
from leverframe.core.digest import canonical_json, digest_bytes
from leverframe.core.errors import Conflict, InvalidInput, LimitExceeded
from leverframe.governance.decision import OWN_POLICY, Decides, Extends, OwnPolicy, require
from leverframe.governance.ledger.buffer import Buffer, Row, Rows
from leverframe.governance.ledger.chain import GENESIS, AuditEntry, Change, seal

KEY_CHARS_MAX = 200
COMMAND_BYTES_MAX = 1024 * 1024
"""A larger command carries bytes that belong in the artifact store."""


COMMANDS_MAX = 10_000
"""Commands in one transaction: while it lasts nobody else writes."""


class Registry:
    """Which handler carries out which command.

    Raises
    ------
    TypeError: a command without ``action`` or ``resource``, or registered twice: the process must not start.
    """

    def __init__(self, handlers: Iterable[Handles]) -> None:
        self._handlers: dict[type[Command], Handles] = {}
        names: set[str] = set()
        for handles in handlers:
            kind = handles.command
            if not kind.action or "." not in kind.action:
                raise TypeError(f"command {kind.__name__} declares no action such as 'Release.Apply': nobody could be permitted to use it")
            if kind.resource is Command.resource:
                raise TypeError(f"command {kind.__name__} does not say what resource it acts on")
            if kind.__name__ in names:
                raise TypeError(f"command {kind.__name__} is registered twice")
            names.add(kind.__name__)
            self._handlers[kind] = handles

    @property
    def actions(self) -> frozenset[str]:
        """Every action some command needs."""
        return frozenset(kind.action for kind in self._handlers)

    def of(self, command: Command) -> Handles:
        """The handler of ``command``; a TypeError (programmer's fault) when nobody registered one."""
        try:
            return self._handlers[type(command)]
        except KeyError:
            raise TypeError(f"no handler is registered for command {type(command).__name__}") from None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A command as it will be recorded."""

    actor: Actor
    command: Command
    key: str
    name: str
    body: str


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A command carried out, not yet committed: its entry, the new rows, and what the handler returned."""

    entry: AuditEntry
    rows: tuple[Row, ...]
    result: Any

    @property
    def receipt(self) -> Receipt:
        """The proof handed out once this is committed."""
        return Receipt(seq=self.entry.seq, hash=self.entry.hash, result=self.result)


def ask(actor: Actor, command: Command, key: str) -> Asked:
    """Check the outer form of a request to change something.

    Raises
    ------
    InvalidInput: no usable key.  LimitExceeded: the command is too large.
    """
    if not key or len(key) > KEY_CHARS_MAX or not key.isprintable():
        raise InvalidInput("not an idempotency key", where="key", expected=f"1 to {KEY_CHARS_MAX} printable characters", got=repr(key[:40]))
    body = canonical_json(command).decode()
    if len(body) > COMMAND_BYTES_MAX:
        raise LimitExceeded("command too large", where=type(command).__name__, expected=f"{COMMAND_BYTES_MAX} bytes", got=str(len(body)))
    return Asked(actor=actor, command=command, key=key, name=type(command).__name__, body=body)


def ask_all(actor: Actor, commands: Sequence[tuple[Command, str]]) -> tuple[Asked, ...]:
    """``ask`` for each command with its key.

    Raises
    ------
    LimitExceeded: too many at once.    InvalidInput, LimitExceeded: as :func:`ask`.
    """
    if len(commands) > COMMANDS_MAX:
        raise LimitExceeded("too many commands at once", where="ledger", expected=f"at most {COMMANDS_MAX}", got=str(len(commands)))
    return tuple(ask(actor, command, key) for command, key in commands)


def replayed(asked: Asked, earlier: AuditEntry) -> Receipt:
    """The first receipt again.

    Raises
    ------
    Conflict: the key belongs to another command.
    """
    if (earlier.command, earlier.body) != (asked.name, asked.body):
        raise Conflict(
            "this idempotency key was used for another command",
            where=f"key {asked.key}",
            expected=f"the same {earlier.command} as in audit entry {earlier.seq}",
            got=asked.name if asked.name != earlier.command else f"a {asked.name} with other content",
            next_step="use a fresh key for a new intention",
        )
    return Receipt(seq=earlier.seq, hash=earlier.hash, result=msgspec.json.decode(earlier.result), replayed=True)


def carry_out(
    asked: Asked,
    registry: Registry,
    policy: Decides,
    rows: Rows,
    *,
    after: AuditEntry | None,
    at_us: int,
    recorded_at_us: int,
) -> Done:
    """Decide and run ``asked`` against ``rows``; what comes back must be committed whole or dropped whole.

    Raises
    ------
    Forbidden: policy.  Whatever the handler raises: nothing is changed.
    """
    command, handles = asked.command, registry.of(asked.command)
    transaction = Buffer(rows, asked.actor, at_us)
    facts = dict(handles.facts(command, transaction)) if handles.facts is not None else {}
    if transaction.changes:
        raise TypeError(f"the facts of {asked.name} changed records; facts only look")
    decision = require(_in_force(policy, rows), asked.actor, command.action, command.resource(), command.team(), facts)
    result = msgspec.to_builtins(handles.run(command, transaction))
    seq = after.seq + 1 if after is not None else 1
    new_rows = tuple(_revised(rows, kind, id, body, at_us, seq) for kind, id, body in transaction.changes)
    entry = AuditEntry(
        seq=seq,
        at_us=at_us,
        recorded_at_us=recorded_at_us,
        actor=asked.actor.subject,
        roles=asked.actor.roles,
        action=command.action,
        resource=command.resource(),
        team=command.team(),
        key=asked.key,
        command=asked.name,
        body=asked.body,
        result=canonical_json(result).decode(),
        changes=tuple(Change(r.kind, r.id, r.revision, None if r.body is None else digest_bytes(r.body)) for r in new_rows),
        policy_ids=decision.policy_ids,
        prev=after.hash if after is not None else GENESIS,
    )
    return Done(entry=seal(entry), rows=new_rows, result=result)


def _in_force(policy: Decides, rows: Rows) -> Decides:
    """The policies as of this transaction: the shipped ones, and the installation's own."""
    own = [row.body for row in rows.current_all(OWN_POLICY, "") if row.body is not None]
    if not own or not isinstance(policy, Extends):
        return policy
    return policy.with_own(tuple(msgspec.json.decode(body, type=OwnPolicy).text for body in own))


def _revised(rows: Rows, kind: str, id: str, body: bytes | None, at_us: int, seq: int) -> Row:
    before = rows.current(kind, id)
    return Row(kind=kind, id=id, revision=before.revision + 1 if before else 1, body=body, from_us=at_us, from_seq=seq)
