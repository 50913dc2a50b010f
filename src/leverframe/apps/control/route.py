"""What a route declares: its permission first, then what it takes, what it gives and what it runs."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from leverframe.core.actor import Actor

if TYPE_CHECKING:
    from leverframe.apps.platform.platform import Platform

MEBIBYTE = 1024 * 1024
BODY_BYTES_MAX = MEBIBYTE
UPLOAD_BYTES_MAX = 256 * MEBIBYTE


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A route that takes no query parameters."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One authenticated request, decoded.

    ``body`` is a value of the route's ``takes``, ``query`` of its ``query``; ``key`` is the idempotency key (empty on reads).
    """

    platform: "Platform"
    actor: Actor
    path: Mapping[str, str]
    query: Any
    body: Any
    key: str


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the API.

    ``permission`` is the Cedar action. A read is decided at the door, on ``resource`` (``kind/id``, filled from the path); a write is
    decided inside the ledger, in the transaction that makes the change. ``example`` is a body that decodes (shown in OpenAPI, and used
    by the test that knocks on every door). ``every_team``: the answer is about all teams at once and cannot be cut to one.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    permission: str
    run: Callable[[Call], Any]
    gives: Any
    summary: str
    takes: Any = None
    query: type[msgspec.Struct] = NoQuery
    resource: str = "platform/leverframe"
    example: Any = None
    query_example: dict[str, str] = {}
    body_bytes_max: int = BODY_BYTES_MAX
    media_type: str = "application/json"
    every_team: bool = False

    @property
    def writes(self) -> bool:
        """Whether the route changes something."""
        return self.method != "GET"
