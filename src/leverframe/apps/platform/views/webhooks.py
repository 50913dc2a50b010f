"""What the use cases of webhooks take and answer."""

import msgspec

from leverframe.governance.webhooks import DEFAULT_TYPES


class WebhookRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Who is to be told of what: ``types`` such as ``release.*``, ``alert.raised`` or ``*``."""

    name: str
    url: str
    types: tuple[str, ...] = DEFAULT_TYPES


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """An event that could not be delivered: which, after how many attempts, and what was said last."""

    id: str
    type: str
    queued_us: int
    attempts: int
    said: str


class WebhookView(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook and how its deliveries go. ``host`` is the address without its path, which may be a secret.

    ``read_seq`` is the audit entry it has been told up to; ``behind`` how many were written since. ``said`` is the last failure.
    """

    name: str
    host: str
    types: tuple[str, ...]
    by: str
    at_us: int
    read_seq: int
    behind: int
    waiting: int
    dead: int
    said: str
    letters: tuple[DeadLetter, ...] = ()
