"""Around every request: the Host allow-list, a request id, security headers, and the end of every unforeseen exception."""

import json
import logging
import traceback
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leverframe.apps.control.status_codes import error_body, internal_error, status_of
from leverframe.core.errors import Forbidden, LeverframeError

log = logging.getLogger("leverframe.control")

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

ErrorPage = Callable[[LeverframeError, str], str]


def host_name(host: str) -> str:
    """The name in a Host header, without its port.

    >>> host_name("localhost:7337"), host_name("[::1]:80"), host_name("EXAMPLE.org")
    ('localhost', '::1', 'example.org')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def error_response(error: LeverframeError, scope: Scope, error_page: ErrorPage | None, status: int = 0) -> Response:
    """The error as JSON; as a page when a person's browser asked for a page (``status`` overrides the table)."""
    status = status or status_of(error)
    request_id = str(scope.get("state", {}).get("request_id", ""))
    headers = {"WWW-Authenticate": "Bearer"} if error.code == "unauthenticated" else {}
    wants_page = "text/html" in Headers(scope=scope).get("accept", "") and not scope["path"].startswith("/api/")
    if wants_page and error_page is not None:
        return Response(error_page(error, request_id), status, headers, "text/html")
    return Response(error_body(error, request_id), status, headers, "application/json")


class Guard:
    """ASGI middleware; the outermost thing that is ours.

    Parameters
    ----------
    allowed_hosts: names a Host header may carry (a page of another name that resolves here gets nothing: DNS rebinding).
    error_page: renders an error for a browser; None when there is no console.
    """

    def __init__(self, app: ASGIApp, *, allowed_hosts: Iterable[str], error_page: ErrorPage | None) -> None:
        self._app = app
        self._hosts = frozenset(name.lower().strip("[]") for name in allowed_hosts)
        self._error_page = error_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _add_headers(message, request_id)
            await send(message)

        try:
            self._check_host(scope)
            await self._app(scope, receive, guarded)
        except LeverframeError as error:
            if started:
                raise
            await error_response(error, scope, self._error_page)(scope, receive, guarded)
        except Exception as exc:
            _record(exc, scope, request_id)
            if not started:
                await error_response(internal_error(request_id), scope, self._error_page)(scope, receive, guarded)

    def _check_host(self, scope: Scope) -> None:
        host = Headers(scope=scope).get("host", "")
        if host_name(host) not in self._hosts:
            raise Forbidden(
                "this server does not answer to that name",
                where="Host",
                expected=", ".join(sorted(self._hosts)),
                got=host[:80],
                next_step="use one of these names, or allow it in the settings (allowed_hosts)",
            )


def _add_headers(message: Message, request_id: str) -> None:
    headers = MutableHeaders(scope=message)
    headers["X-Request-Id"] = request_id
    for name, value in SECURITY_HEADERS.items():
        headers[name] = value
    if "cache-control" not in headers:
        headers["Cache-Control"] = "no-store"


def _record(exc: Exception, scope: Scope, request_id: str) -> None:
    entry: dict[str, Any] = {
        "level": "error",
        "event": "unforeseen",
        "request_id": request_id,
        "method": scope["method"],
        "path": scope["path"],
        "exception": type(exc).__name__,
        "trace": "".join(traceback.format_exception(exc)),
    }
    log.error("%s", json.dumps(entry))
