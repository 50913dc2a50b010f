"""The control application: every route under one guard, and none without a permission."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from leverframe import __version__
from leverframe.apps.control import (
    events,
    routes_data,
    routes_exceptions,
    routes_experiments,
    routes_feature_health,
    routes_feature_services,
    routes_features,
    routes_history,
    routes_keeping,
    routes_leakage,
    routes_lineage,
    routes_materializing,
    routes_objectives,
    routes_online,
    routes_operating,
    routes_policies,
    routes_projects,
    routes_promoting,
    routes_record,
    routes_registries,
    routes_release,
    routes_rollouts,
    routes_sources,
    routes_streams,
    routes_tables,
    routes_training,
    routes_webhooks,
)
from leverframe.apps.control.door import endpoint_of
from leverframe.apps.control.guard import ErrorPage, Guard, error_response
from leverframe.apps.control.openapi import describe
from leverframe.apps.control.route import Route
from leverframe.apps.control.status_codes import error_of_status
from leverframe.apps.web.body import UploadSlots
from leverframe.apps.web.endpoint import PUBLIC, Endpoint
from leverframe.apps.web.events import EventStreams
from leverframe.core.errors import Refused

if TYPE_CHECKING:
    from leverframe.apps.platform.platform import Platform

HEALTH_PATH = "/api/v1/health"
PUBLIC_PATHS = frozenset({HEALTH_PATH, "/login", "/static/{name}"})
"""All that may be seen without a token; the default-deny test holds that there is nothing else."""

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")

ROUTES: tuple[Route, ...] = (
    *routes_record.ROUTES,
    *routes_policies.ROUTES,
    *routes_data.ROUTES,
    *routes_keeping.ROUTES,
    *routes_sources.ROUTES,
    *routes_streams.ROUTES,
    *routes_features.ROUTES,
    *routes_leakage.ROUTES,
    *routes_lineage.ROUTES,
    *routes_materializing.ROUTES,
    *routes_online.ROUTES,
    *routes_feature_health.ROUTES,
    *routes_feature_services.ROUTES,
    *routes_projects.ROUTES,
    *routes_training.ROUTES,
    *routes_registries.ROUTES,
    *routes_release.ROUTES,
    *routes_exceptions.ROUTES,
    *routes_rollouts.ROUTES,
    *routes_history.ROUTES,
    *routes_promoting.ROUTES,
    *routes_experiments.ROUTES,
    *routes_tables.ROUTES,
    *routes_objectives.ROUTES,
    *routes_operating.ROUTES,
    *routes_webhooks.ROUTES,
)


def create_app(platform: "Platform", *, allowed_hosts: Iterable[str] = LOOPBACK_HOSTS, console: bool = True) -> FastAPI:
    """The ASGI application.

    Parameters
    ----------
    platform: the use cases.
    allowed_hosts: names a Host header may carry.
    console: whether the web console is served too.

    Raises
    ------
    Refused: a route declares no permission, or is public without being on the list.
    """
    app = FastAPI(title="Leverframe", version=__version__, docs_url=None, redoc_url=None, openapi_url=None, telemetry={"tracing": False})
    document: dict[str, Any] = {}
    description = Route(
        method="GET",
        path="/api/v1/openapi.json",
        permission="Platform.Read",
        run=lambda call: document,
        gives=dict[str, Any],
        summary="This description",
    )
    routes = (*ROUTES, description)
    document.update(describe(routes, __version__))
    slots = UploadSlots()
    for route in routes:
        _add(app, route.method, route.path, endpoint_of(route, platform, slots))
    streams = EventStreams()
    _add(app, "GET", events.PATH, events.events_endpoint(platform, streams))
    _add(app, "GET", HEALTH_PATH, _health_endpoint())
    error_page: ErrorPage | None = None
    if console:
        from leverframe.apps.console.console import Console

        built = Console(platform, streams)
        app.state.console = built
        error_page = built.error_page
        for method, path, endpoint in built.endpoints():
            _add(app, method, path, endpoint)
    _translate_framework_errors(app, error_page)
    app.add_middleware(Guard, allowed_hosts=tuple(allowed_hosts), error_page=error_page)
    check_permissions(app)
    return app


def check_permissions(app: FastAPI) -> None:
    """Refuse an application with a route that nobody decided on."""
    for route in app.routes:
        path = str(getattr(route, "path", route))
        permission = getattr(getattr(route, "endpoint", None), "permission", "")
        if not permission:
            raise Refused("a route declares no permission", where=path, next_step="declare it through Route(permission=...)")
        if permission == PUBLIC and path not in PUBLIC_PATHS:
            raise Refused("a route is public without being on the list", where=path, expected=", ".join(sorted(PUBLIC_PATHS)))


def _add(app: FastAPI, method: str, path: str, endpoint: Endpoint) -> None:
    app.add_api_route(path, endpoint, methods=[method], response_model=None, include_in_schema=False)


def _health_endpoint() -> Endpoint:
    async def health(request: Request) -> Response:
        return Response(b'{"live":true}', media_type="application/json")

    health.permission = PUBLIC  # type: ignore[attr-defined]
    return health


def _translate_framework_errors(app: FastAPI, error_page: ErrorPage | None) -> None:
    async def on_http(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, HTTPException)
        error = error_of_status(exc.status_code, request.url.path, str(exc.detail))
        response = error_response(error, request.scope, error_page, exc.status_code)
        response.headers.update(exc.headers or {})
        return response

    async def on_invalid(request: Request, exc: Exception) -> Response:
        return error_response(error_of_status(400, request.url.path), request.scope, error_page)

    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)
