"""Signed-in browsers: the token stays in this process, the browser holds a random name for it."""

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec

from leverframe.core.errors import Forbidden

COOKIE = "lever_session"
SESSION_SECONDS_MAX = 12 * 3600
SESSIONS_MAX = 1000


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One signed-in browser. ``bearer`` is asked again at every request, so that revoking a token ends its sessions.

    ``tried`` holds the newest try of each endpoint: a form answers with a redirect, and the page after it shows what came back.
    """

    id: str
    bearer: str
    csrf: str
    opened_at_s: float
    tried: dict[str, Any] = {}

    def check_form(self, given: str) -> None:
        """Let a form pass only when it was drawn for this session.

        Raises
        ------
        Forbidden: the form's token is not this session's (another site sent the form, or it is from an earlier session).
        """
        if not hmac.compare_digest(given.encode(), self.csrf.encode()):
            raise Forbidden("this form was not drawn for this session", where="csrf", next_step="load the page again and repeat")


class Sessions:
    """The open sessions of this process, oldest dropped beyond ``SESSIONS_MAX``."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._open: OrderedDict[str, Session] = OrderedDict()

    def open(self, bearer: str) -> Session:
        """Start a session for ``bearer``."""
        session = Session(id=secrets.token_urlsafe(32), bearer=bearer, csrf=secrets.token_urlsafe(32), opened_at_s=self._monotonic_s())
        self._open[session.id] = session
        while len(self._open) > SESSIONS_MAX:
            self._open.popitem(last=False)
        return session

    def find(self, id: str) -> Session | None:
        """The session called ``id``, unless it is over."""
        session = self._open.get(id)
        if session is not None and self._monotonic_s() - session.opened_at_s > SESSION_SECONDS_MAX:
            self.close(id)
            return None
        return session

    def close(self, id: str) -> None:
        """End a session."""
        self._open.pop(id, None)
