"""Who is told of what happens: webhooks as records, and the commands that change them."""

import re
from typing import Any, ClassVar

import msgspec

from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.errors import Conflict, Fault, InvalidInput, LimitExceeded, NotFound

KIND_WEBHOOK = "webhook"
WEBHOOKS_MAX = 100
PATTERNS_MAX = 50
DEFAULT_TYPES = ("release.*", "contract.*", "alert.*", "approval.*")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_PATTERN = re.compile(r"\*|[a-z_]+\.(\*|[a-z_]+)")


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """``url`` is told of every event whose type fits one of ``types``, from the entry that added it on.

    ``retried_us`` is when somebody last asked for dead letters to be tried again.
    """

    name: str
    url: str
    types: tuple[str, ...]
    by: str
    at_us: int
    retried_us: int = 0


class _HookCommand(Command, frozen=True, kw_only=True):
    """What the commands of webhooks share."""

    action: ClassVar[str] = "Webhooks.Manage"

    name: str

    def resource(self) -> str:
        """``webhook/<name>``."""
        return f"webhook/{self.name}"


class AddWebhook(_HookCommand, frozen=True, kw_only=True):
    """Tell ``url`` of events whose type fits one of ``types`` (``release.*``, ``alert.raised``, ``*``) from now on."""

    url: str
    types: tuple[str, ...] = DEFAULT_TYPES


class RemoveWebhook(_HookCommand, frozen=True, kw_only=True):
    """Tell nobody there any more; what waits is dropped."""


class RetryWebhook(_HookCommand, frozen=True, kw_only=True):
    """Try the dead letters of a webhook again."""


def fits(type: str, patterns: tuple[str, ...]) -> bool:
    """Whether an event's type is one of those asked for.

    >>> fits("release.rolled_back", ("release.*",)), fits("release.planned", ("release.rolled_back", "alert.*"))
    (True, False)
    """
    area = type.partition(".")[0]
    return any(pattern in ("*", type, f"{area}.*") for pattern in patterns)


def add_webhook(command: AddWebhook, tx: Transaction) -> dict[str, Any]:
    """Put the record; its address was checked against the operator's list by whoever sends the command, and is again at every delivery.

    Raises
    ------
    InvalidInput: name or types are none.    Conflict: there is one of this name.    LimitExceeded: there are too many.
    """
    faults = []
    if not _NAME.fullmatch(command.name):
        faults.append(
            Fault(where="name", what="not a name", expected="lower-case letters, digits, - and _; up to 63", got=command.name[:80])
        )
    if not 0 < len(command.types) <= PATTERNS_MAX:
        faults.append(Fault(where="types", what="number out of range", expected=f"1 to {PATTERNS_MAX}", got=str(len(command.types))))
    wrong = [pattern[:80] for pattern in command.types if not _PATTERN.fullmatch(pattern)]
    faults += [Fault(where="types", what="not an event type", expected="release.*, alert.raised or *", got=pattern) for pattern in wrong]
    if faults:
        raise InvalidInput("; ".join(f"{f.where}: {f.what} ({f.got})" for f in faults), where="webhook", faults=faults)
    if tx.get(KIND_WEBHOOK, command.name, Webhook) is not None:
        raise Conflict("there is a webhook of this name", where=command.name, next_step=f"lever webhooks remove {command.name}")
    if len(tx.find(KIND_WEBHOOK, Webhook)) >= WEBHOOKS_MAX:
        raise LimitExceeded("too many webhooks", where=command.name, expected=str(WEBHOOKS_MAX), next_step="lever webhooks list")
    hook = Webhook(name=command.name, url=command.url, types=command.types, by=tx.actor.subject, at_us=tx.now_us)
    tx.put(KIND_WEBHOOK, command.name, hook)
    return {"webhook": command.name, "types": list(command.types)}


def remove_webhook(command: RemoveWebhook, tx: Transaction) -> dict[str, Any]:
    """End the record.

    Raises
    ------
    NotFound: there is none.
    """
    _webhook(command.name, tx)
    tx.delete(KIND_WEBHOOK, command.name)
    return {"webhook": command.name}


def retry_webhook(command: RetryWebhook, tx: Transaction) -> dict[str, Any]:
    """Note that its dead letters are to be tried again; the worker does it.

    Raises
    ------
    NotFound: there is none.
    """
    tx.put(KIND_WEBHOOK, command.name, msgspec.structs.replace(_webhook(command.name, tx), retried_us=tx.now_us))
    return {"webhook": command.name}


def _webhook(name: str, tx: Transaction) -> Webhook:
    found = tx.get(KIND_WEBHOOK, name, Webhook)
    if found is None:
        known = ", ".join(hook.name for hook in tx.find(KIND_WEBHOOK, Webhook)[:10])
        raise NotFound("no such webhook", where=name[:80], expected=known or "a webhook", next_step="lever webhooks list")
    return found


HANDLERS: tuple[Handles, ...] = (
    Handles(command=AddWebhook, run=add_webhook),
    Handles(command=RemoveWebhook, run=remove_webhook),
    Handles(command=RetryWebhook, run=retry_webhook),
)
