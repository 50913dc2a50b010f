"""From a declared route to an HTTP endpoint: who asks, may they, what do they say, run, answer. One path for all routes."""

import re
import uuid
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from leverframe.apps.control.route import Call, Route
from leverframe.apps.web.body import UploadSlots, decode_json, decode_query, read_body
from leverframe.apps.web.endpoint import Endpoint, fill
from leverframe.apps.web.tenants import admitted
from leverframe.core.actor import Actor
from leverframe.core.errors import InvalidInput, Unauthenticated

if TYPE_CHECKING:
    from leverframe.apps.platform.platform import Platform

BEARER_CHARS_MAX = 4096
KEY_PATTERN = re.compile(r"[A-Za-z0-9_.:@/-]{1,128}")


def bearer_of(request: Request) -> str:
    """The bearer token a request carries.

    Raises
    ------
    Unauthenticated: none, or not a bearer token. Cookies are never looked at here: what a browser adds by itself is no proof of intent.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > BEARER_CHARS_MAX:
        raise Unauthenticated(
            "this address needs a token", where=request.url.path, expected="Authorization: Bearer <token>", next_step="lever login URL"
        )
    return token.strip()


def idempotency_key_of(request: Request) -> str:
    """The caller's idempotency key, or a fresh one.

    Raises
    ------
    InvalidInput: it is longer than 128 characters or has unusual ones.
    """
    key = request.headers.get("idempotency-key", "")
    if not key:
        return uuid.uuid4().hex
    if not KEY_PATTERN.fullmatch(key):
        raise InvalidInput("not an idempotency key", where="Idempotency-Key", expected="1 to 128 of A-Z a-z 0-9 _ . : @ / -")
    return key


def plain_number(value: Any) -> Any:
    """A numpy scalar (they stray into free-form dictionaries) as the Python number it is.

    Raises
    ------
    NotImplementedError: anything else has no JSON form.
    """
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"no JSON form for {type(value).__name__}")


def endpoint_of(route: Route, platform: "Platform", slots: UploadSlots) -> Endpoint:
    """The coroutine that answers ``route``; it carries the route's permission, and the application refuses endpoints without one."""

    async def endpoint(request: Request) -> Response:
        path = {name: str(value) for name, value in request.path_params.items()}
        actor = await run_in_threadpool(platform.access.authenticate, bearer_of(request))
        resource = fill(route.resource, path)
        seen = await run_in_threadpool(
            admitted, platform, actor, route.permission, resource, path, writes=route.writes, every_team=route.every_team
        )
        with slots.hold(route.body_bytes_max if route.writes else 0):
            call = await _call(request, route, seen, actor, path)
            result = await run_in_threadpool(route.run, call)
        content = result if isinstance(result, bytes) else msgspec.json.encode(result, enc_hook=plain_number)
        headers = {"Idempotency-Key": call.key} if route.writes else {}
        return Response(content, media_type=route.media_type, headers=headers)

    endpoint.permission = route.permission  # type: ignore[attr-defined]
    endpoint.__name__ = re.sub(r"\W+", "_", f"{route.method} {route.path}").strip("_").lower()
    return endpoint


async def _call(request: Request, route: Route, platform: "Platform", actor: Actor, path: dict[str, str]) -> Call:
    query = decode_query(request.query_params, route.query)
    key = idempotency_key_of(request) if route.writes else ""
    body: Any = None
    if route.writes:
        raw = await read_body(request, route.body_bytes_max)
        if route.takes is bytes:
            body = raw
        elif route.takes is not None:
            body = decode_json(raw, route.takes)
    return Call(platform=platform, actor=actor, path=path, query=query, body=body, key=key)
