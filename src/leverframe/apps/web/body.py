"""Reading a request: bounded in bytes and seconds, decoded strictly, with every unknown field named at once."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from starlette.requests import Request

from leverframe.core.errors import DeadlineExceeded, Fault, InvalidInput, LimitExceeded, Overloaded

BODY_SECONDS_MAX = 120.0
UPLOADS_AT_ONCE_MAX = 4
LARGE_BODY_BYTES = 4 * 1024 * 1024


class UploadSlots:
    """How many large bodies may be in memory at once; one more is shed, not queued."""

    def __init__(self, slots_max: int = UPLOADS_AT_ONCE_MAX) -> None:
        self._free = slots_max

    @contextmanager
    def hold(self, bytes_max: int) -> Iterator[None]:
        """Hold a slot while a request that may carry ``bytes_max`` bytes is read and worked on; small ones need none.

        Raises
        ------
        Overloaded: none is free.
        """
        if bytes_max <= LARGE_BODY_BYTES:
            yield
            return
        if self._free <= 0:
            raise Overloaded("too many uploads at once", where="upload", next_step="try again in a few seconds")
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


async def read_body(request: Request, bytes_max: int) -> bytes:
    """The whole body, counted while it streams in.

    Raises
    ------
    LimitExceeded: more than ``bytes_max`` bytes were announced or came.
    DeadlineExceeded: it took longer than ``BODY_SECONDS_MAX`` seconds.
    """
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal():
        raise InvalidInput("content-length is not a number", where="content-length")
    if int(announced) > bytes_max:
        raise _too_large(request, bytes_max)
    chunks = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for chunk in request.stream():
                chunks += chunk
                if len(chunks) > bytes_max:
                    raise _too_large(request, bytes_max)
    except TimeoutError as exc:
        raise DeadlineExceeded("the body did not arrive in time", where=request.url.path, expected=f"{BODY_SECONDS_MAX:g} s") from exc
    return bytes(chunks)


def _too_large(request: Request, bytes_max: int) -> LimitExceeded:
    return LimitExceeded("the body is larger than allowed", where=request.url.path, expected=f"at most {bytes_max} bytes")


def decode_json(raw: bytes, type: Any) -> Any:
    """``raw`` as a value of ``type``; a field the type does not have is a fault, because it is a misspelt one.

    >>> class Note(msgspec.Struct):
    ...     note: str = ""
    >>> decode_json(b'{"note": "fine"}', Note)
    Note(note='fine')
    >>> decode_json(b'{"noot": "?"}', Note)
    Traceback (most recent call last):
    leverframe.core.errors.InvalidInput: body: 1 unknown field: noot; expected only fields of Note, got noot. Next: \
GET /api/v1/openapi.json shows the shape
    """
    try:
        plain = msgspec.json.decode(raw or b"{}")
        value = msgspec.convert(plain, type)
    except RecursionError:
        raise LimitExceeded("the body is nested too deeply", where="body") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InvalidInput(
            "the body is not what this address takes", where="body", got=str(exc), next_step="GET /api/v1/openapi.json shows the shape"
        ) from exc
    unknown = list(_unknown_fields(plain, msgspec.to_builtins(value), ""))
    if unknown:
        name = getattr(type, "__name__", "the body")
        faults = [Fault(where=where, what="unknown field", expected=f"a field of {name}") for where in unknown]
        raise InvalidInput(
            f"{len(unknown)} unknown field{'s' if len(unknown) > 1 else ''}: {', '.join(unknown[:8])}",
            where="body",
            expected=f"only fields of {name}",
            got=", ".join(unknown[:8]),
            next_step="GET /api/v1/openapi.json shows the shape",
            faults=faults,
        )
    return value


def _unknown_fields(sent: Any, kept: Any, where: str) -> list[str]:
    if isinstance(sent, dict) and isinstance(kept, dict):
        missing = [f"{where}{name}" for name in sent if name not in kept]
        return missing + [found for name in sent if name in kept for found in _unknown_fields(sent[name], kept[name], f"{where}{name}.")]
    if isinstance(sent, list) and isinstance(kept, list | tuple):
        return [
            found
            for index, (one, other) in enumerate(zip(sent, kept, strict=False))
            for found in _unknown_fields(one, other, f"{where}{index}.")
        ]
    return []


def decode_query(given: Mapping[str, str], type: type[msgspec.Struct]) -> Any:
    """Query parameters as a record.

    Raises
    ------
    InvalidInput: one is unknown, missing or has an impossible value.
    """
    try:
        return msgspec.convert(dict(given), type, strict=False)
    except msgspec.ValidationError as exc:
        known = ", ".join(type.__struct_fields__) or "none"
        raise InvalidInput("a query parameter is not understood", where="query", expected=f"parameters: {known}", got=str(exc)) from exc
