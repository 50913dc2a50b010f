"""An endpoint as both doors know it: a coroutine that carries the permission it needs."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

Endpoint = Callable[[Request], Awaitable[Response]]

PUBLIC = "Public"
"""The permission of the few endpoints that need none; each of them is also named in ``control.app.PUBLIC_PATHS``."""


def fill(template: str, path: dict[str, str]) -> str:
    """``endpoint/{environment}/{endpoint}`` with the path's own values.

    >>> fill("endpoint/{environment}/{endpoint}", {"environment": "prod", "endpoint": "flight-delay"})
    'endpoint/prod/flight-delay'
    """
    for name, value in path.items():
        template = template.replace(f"{{{name}}}", value)
    return template
