"""One HTTP exchange with the control plane: time limits, retries under one idempotency key, and errors raised again as themselves."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import httpx
import msgspec

from leverframe.core import errors
from leverframe.core.errors import DeadlineExceeded, Fault, LeverframeError, Unavailable

T = TypeVar("T")

ATTEMPTS_MAX = 4
BACKOFF_S = 0.1
RETRY_STATUSES = frozenset({429, 502, 503, 504})


class WireError(msgspec.Struct, frozen=True, kw_only=True):
    """The one JSON shape of an error, as it comes over the wire."""

    error: str
    code: str = "internal"
    where: str = ""
    expected: str = ""
    got: str = ""
    next: str = ""
    faults: tuple[Fault, ...] = ()
    request_id: str = ""


def _classes(root: type[LeverframeError]) -> dict[str, type[LeverframeError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found.update(_classes(child))
    return found


def error_from(wire: WireError) -> LeverframeError:
    """The exception the server raised, rebuilt: same class, same facts, same sentence.

    >>> from leverframe.core.errors import Conflict
    >>> raised = Conflict("key was used before", where="ledger", next_step="make a new key")
    >>> again = error_from(msgspec.convert(raised.to_dict(), WireError))
    >>> (type(again).__name__, again.what, str(again) == str(raised))
    ('Conflict', 'key was used before', True)
    """
    what = wire.error
    if wire.where:
        what = what.removeprefix(f"{wire.where}: ")
    if wire.next:
        what = what.removesuffix(f". Next: {wire.next}")
    if wire.expected or wire.got:
        what = what.removesuffix(f"; {errors.expectation(wire.expected, wire.got)}")
    cls = _classes(errors.LeverframeError).get(wire.code, errors.LeverframeError)
    fault = cls(what, where=wire.where, expected=wire.expected, got=wire.got, next_step=wire.next, faults=wire.faults)
    if wire.request_id:
        fault.add_note(f"request {wire.request_id}")
    return fault


class Transport:
    """Sends requests to one address with one token.

    Parameters
    ----------
    url: ``http(s)://host:port`` of the control plane.
    token: the bearer token; empty for none.
    timeout_s: limit for one attempt, seconds.
    attempts: how often to try at most (1: never again; a prediction is asked once, so that it is counted once).
    http: another way to send (tests drive an application in process).
    sleep: how to wait between attempts, seconds.
    keys: idempotency keys of changes that were given none, one after the other; fresh ones when None.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_s: float = 30.0,
        attempts: int = ATTEMPTS_MAX,
        http: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        keys: Iterator[str] | None = None,
    ) -> None:
        self._keys = keys if keys is not None else iter(lambda: uuid.uuid4().hex, None)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        limit = httpx.Timeout(timeout_s, connect=min(5.0, timeout_s))
        self._http = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=limit, transport=http, follow_redirects=False)
        self._url = url
        self._sleep = sleep
        self._attempts = attempts

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, type: type[T], **query: Any) -> T:
        """Read ``path`` as a ``type``."""
        return self._decode(self._send("GET", path, query=query), type)

    def get_bytes(self, path: str, **query: Any) -> bytes:
        """Read ``path`` as it is."""
        return self._send("GET", path, query=query).content

    def send(
        self, method: str, path: str, type: type[T], body: Any = None, *, key: str | None = None, raw: bytes | None = None, **query: Any
    ) -> T:
        """Change something: ``body`` goes as JSON, ``raw`` as it is. All attempts carry one idempotency key (``key`` or a fresh one)."""
        content = raw if raw is not None else msgspec.json.encode(body if body is not None else {})
        headers = {
            "Idempotency-Key": key or next(self._keys),
            "Content-Type": "application/octet-stream" if raw is not None else "application/json",
        }
        return self._decode(self._send(method, path, query=query, content=content, headers=headers), type)

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        params = {name: str(value) for name, value in (query or {}).items() if value is not None}
        failure: Exception | None = None
        for attempt in range(self._attempts):
            if attempt:
                self._sleep(BACKOFF_S * 2 ** (attempt - 1))
            try:
                response = self._http.request(method, path, params=params, content=content, headers=headers)
            except httpx.TransportError as exc:
                failure = exc
                continue
            if response.status_code not in RETRY_STATUSES or attempt == self._attempts - 1:
                return self._checked(response)
        raise self._unreachable(failure) from failure

    def _unreachable(self, failure: Exception | None) -> LeverframeError:
        if isinstance(failure, httpx.TimeoutException) and not isinstance(failure, httpx.ConnectTimeout):
            return DeadlineExceeded("no answer in time; the outcome is unknown", where=self._url, next_step="read the state, then repeat")
        return Unavailable("nobody answers at this address", where=self._url, next_step="lever up (or: lever login URL)")

    @staticmethod
    def _checked(response: httpx.Response) -> httpx.Response:
        if response.status_code < 400:
            return response
        try:
            wire = msgspec.json.decode(response.content, type=WireError)
        except msgspec.DecodeError:
            raise Unavailable(
                "an answer that is not Leverframe's",
                where=str(response.url),
                got=f"HTTP {response.status_code}",
                next_step="check the address given to lever login",
            ) from None
        raise error_from(wire)

    @staticmethod
    def _decode(response: httpx.Response, type: type[T]) -> T:
        try:
            return msgspec.json.decode(response.content, type=type)
        except msgspec.DecodeError as exc:
            raise Unavailable(
                "the answer has another shape than this client knows",
                where=str(response.url),
                got=str(exc),
                next_step="use a client of the same release as the server",
            ) from exc
