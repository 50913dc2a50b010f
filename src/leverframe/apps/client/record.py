"""The part of the client for the record and the tokens."""

import base64
from collections.abc import Sequence
from typing import Any

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform import views
from leverframe.apps.transport import Transport
from leverframe.core.actor import Actor
from leverframe.core.route import Priority


class AuditClient:
    """The record."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def entries(self, after: int = 0, limit: int = 100, newest_first: bool = True) -> tuple[views.AuditView, ...]:
        """Audit entries; ``after`` is a sequence number."""
        order = "true" if newest_first else "false"
        return self._transport.get(path_of("audit"), tuple[views.AuditView, ...], after=after, limit=limit, newest_first=order)

    def verify(self, checkpoints: Sequence[bytes] = ()) -> views.VerifyView:
        """Recompute the whole chain on the server, with ``checkpoints`` that were kept elsewhere."""
        given = ",".join(base64.urlsafe_b64encode(each).decode() for each in checkpoints)
        return self._transport.get(path_of("audit", "verify"), views.VerifyView, checkpoints=given or None)

    def checkpoint(self) -> bytes:
        """A signed statement of where the chain ends now, to be kept on another host."""
        return self._transport.get_bytes(path_of("audit", "checkpoint"))

    def export(self) -> bytes:
        """The whole chain as JSON lines."""
        return self._transport.get_bytes(path_of("audit", "export"))

    def evidence(self, release_id: str) -> bytes:
        """The evidence pack of a release (ZIP)."""
        return self._transport.get_bytes(path_of("releases", release_id, "evidence"))


class AccessClient:
    """Tokens."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def issue(
        self,
        subject: str,
        roles: Sequence[str],
        teams: Sequence[str] = (),
        *,
        days: int = 90,
        priority: Priority = "normal",
        per_second: float = 0.0,
        burst: float = 0.0,
        key: str | None = None,
    ) -> views.TokenView:
        """Make a token; its ``secret`` is in this answer and nowhere else. Gateways give it ``per_second`` requests a second (0: any)."""
        body = {"subject": subject, "roles": list(roles), "teams": list(teams), "days": days}
        body |= {"priority": priority, "per_second": per_second, "burst": burst}
        return self._transport.send("POST", path_of("tokens"), views.TokenView, body, key=key)

    def revoke(self, token_id: str, *, key: str | None = None) -> None:
        """End a token now."""
        self._transport.send("DELETE", path_of("tokens", token_id), dict[str, Any], key=key)

    def tokens(self) -> tuple[views.TokenView, ...]:
        """Every live token, without secrets."""
        return self._transport.get(path_of("tokens"), tuple[views.TokenView, ...])

    def whoami(self) -> Actor:
        """Who this client's token speaks for."""
        return self._transport.get(path_of("whoami"), Actor)
