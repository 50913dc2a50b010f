"""The one table of HTTP status codes, and the one JSON shape of an error."""

from typing import Any

import msgspec

from leverframe.core.errors import InvalidInput, LeverframeError, LimitExceeded, NotFound, Overloaded, Unavailable

STATUS_OF_CODE = {
    "invalid_input": 400,
    "contract_violation": 422,
    "schema_mismatch": 422,
    "limit_exceeded": 413,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "refused": 412,
    "integrity": 500,
    "overloaded": 429,
    "quota_exceeded": 429,
    "unavailable": 503,
    "deadline_exceeded": 504,
    "internal": 500,
}
"""Error code (``core.errors``) to HTTP status; the documentation test holds that every code is here."""


def status_of(error: LeverframeError) -> int:
    """The HTTP status an error is answered with.

    >>> status_of(NotFound("no such model"))
    404
    """
    return STATUS_OF_CODE[error.code]


def error_body(error: LeverframeError, request_id: str) -> bytes:
    """The error as JSON: ``LeverframeError.to_dict`` and the request's id."""
    facts: dict[str, Any] = error.to_dict() | {"request_id": request_id}
    return msgspec.json.encode(facts)


def internal_error(request_id: str) -> LeverframeError:
    """What a caller is told about an unforeseen fault."""
    return LeverframeError(
        "something went wrong on the server's side", next_step=f"look for request {request_id} in the control plane's log"
    )


def error_of_status(status: int, path: str, detail: str = "") -> LeverframeError:
    """The Leverframe error for a fault that the web framework found by itself (no route, wrong method, bad form)."""
    if status == 404:
        return NotFound("there is no such address", where=path, next_step="GET /api/v1/openapi.json lists them all")
    if status == 405:
        return InvalidInput("this address does not take that method", where=path, next_step="GET /api/v1/openapi.json lists the methods")
    if status == 413:
        return LimitExceeded("the request is larger than allowed", where=path)
    if status == 429:
        return Overloaded("too many requests", where=path)
    if status >= 500:
        return Unavailable("the server cannot answer this now", where=path)
    return InvalidInput(detail or "the request cannot be understood", where=path)
