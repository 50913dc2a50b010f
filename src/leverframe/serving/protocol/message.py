"""One request and one response, as bytes, with the bounds that hold before anything is parsed."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from leverframe.core.errors import LeverframeError
from leverframe.core.route import Caller

JSON = b"application/json"

REASONS: Mapping[int, bytes] = {
    200: b"OK",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    409: b"Conflict",
    411: b"Length Required",
    413: b"Content Too Large",
    415: b"Unsupported Media Type",
    422: b"Unprocessable Content",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
}

STATUS_OF_CODE: Mapping[str, int] = {
    "invalid_input": 400,
    "contract_violation": 400,
    "schema_mismatch": 400,
    "limit_exceeded": 413,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "refused": 422,
    "integrity": 503,
    "unavailable": 503,
    "overloaded": 503,
    "quota_exceeded": 429,
    "deadline_exceeded": 504,
    "internal": 500,
}
"""The gateway's table from error code to HTTP status."""


class HttpLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the HTTP door; what happens at each bound stands behind it."""

    head_bytes_max: int = 16_384  # 431, closed
    headers_max: int = 64  # 431, closed
    body_bytes_max: int = 8_388_608  # 413, closed; also the bound of a decompressed body
    request_s_max: float = 10.0  # from the first byte to the last: 408, closed
    idle_s_max: float = 75.0  # between requests: closed
    unread_s_max: float = 10.0  # a client that does not read its answers: closed
    connections_max: int = 12_000  # 503, closed
    write_buffer_bytes_max: int = 262_144  # reading pauses until the client reads
    stop_grace_s: float = 10.0  # requests under way at SIGTERM may finish


class Head:
    """A request's head as the parser read it, kept by :mod:`leverframe.serving.wire.heads`.

    ``permit`` is the stamp of the routes under which the door found its sender permitted, ``caller`` who that is.
    """

    __slots__ = ("body_bytes", "caller", "headers", "permit", "target")

    def __init__(self, target: bytes, headers: dict[bytes, bytes], body_bytes: int) -> None:
        self.target = target
        self.headers = headers
        self.body_bytes = body_bytes
        self.permit: object = None
        self.caller: Caller | None = None


class Request(msgspec.Struct, eq=False, gc=False):
    """A whole request: method, target, the headers the gateway knows (lower case), and the body; ``head`` when it came before."""

    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    body: bytes
    arrived_ns: int
    head: Head | None = None


class Response(msgspec.Struct, eq=False, gc=False):
    """A whole answer; ``extra`` are complete header lines."""

    status: int
    body: bytes
    content_type: bytes = JSON
    extra: bytes = b""


Handler = Callable[[Request], "Response | Awaitable[Response]"]

_OK_JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "


def response_bytes(response: Response, *, close: bool, head_only: bool = False) -> bytes:
    """The answer as it goes over the wire.

    >>> response_bytes(Response(200, b"{}"), close=False).splitlines()[0]
    b'HTTP/1.1 200 OK'
    """
    body = response.body
    if response.status == 200 and response.content_type is JSON and not (response.extra or close or head_only):
        return b"%b%d\r\n\r\n%b" % (_OK_JSON, len(body), body)
    return b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b%b\r\n%b" % (
        response.status,
        REASONS[response.status],
        response.content_type,
        len(body),
        response.extra,
        b"Connection: close\r\n" if close else b"",
        b"" if head_only else body,
    )


def error_response(error: LeverframeError, *, status: int = 0, example: object = None) -> Response:
    """The one shape of an error: ``error`` (a sentence), ``code``, ``where``, ``expected``, ``got``, ``next``, ``faults`` and, when the
    caller's request can be shown how, a correct ``example``."""
    status = status or STATUS_OF_CODE.get(error.code, 500)
    document = error.to_dict()
    if example is not None:
        document["example"] = example
    extra = b""
    if status in (429, 503):
        extra = b"Retry-After: 1\r\n"
    elif status == 401:
        extra = b"WWW-Authenticate: Bearer\r\n"
    return Response(status, msgspec.json.encode(document), extra=extra)
