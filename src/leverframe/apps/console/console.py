"""The console as endpoints: sign-in, pages, forms, static files, events, and an error page."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from leverframe import __version__
from leverframe.apps.console import (
    actions,
    pages,
    pages_contract,
    pages_endpoints,
    pages_experiments,
    pages_features,
    pages_lineage,
    pages_policies,
    pages_promoting,
    pages_requirements,
    pages_tables,
    pages_webhooks,
)
from leverframe.apps.console.door import Form, Page, Visit, check_origin, key_of, local_address, read_form, session_of
from leverframe.apps.console.session import COOKIE, SESSION_SECONDS_MAX, Session, Sessions
from leverframe.apps.console.words import FILTERS
from leverframe.apps.web.endpoint import PUBLIC, Endpoint, fill
from leverframe.apps.web.events import EventStreams
from leverframe.apps.web.tenants import admitted
from leverframe.core.actor import Actor
from leverframe.core.digest import digest_bytes
from leverframe.core.errors import LeverframeError, NotFound, Unauthenticated

if TYPE_CHECKING:
    from leverframe.apps.platform.platform import Platform

HERE = Path(__file__).parent
WITH_PAGES = (
    pages,
    pages_endpoints,
    pages_contract,
    pages_experiments,
    pages_features,
    pages_lineage,
    pages_policies,
    pages_promoting,
    pages_tables,
    pages_webhooks,
)
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


WITH_FORMS = (actions, pages_experiments, pages_policies, pages_promoting, pages_requirements, pages_tables)


class Console:
    """Pages over a platform.

    Parameters
    ----------
    platform: the use cases.
    streams: the process's event streams, shared with the API.
    """

    def __init__(self, platform: "Platform", streams: EventStreams) -> None:
        self._platform = platform
        self._streams = streams
        self.sessions = Sessions()
        self._static = {path.name: path.read_bytes() for path in sorted((HERE / "static").iterdir())}
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(FILTERS)
        assets = {name: f"/static/{name}?v={digest_bytes(data)[7:19]}" for name, data in self._static.items()}
        self._templates.globals.update(assets=assets, version=__version__, quote=lambda text: quote(str(text), safe="@:"))

    def endpoints(self) -> Iterator[tuple[str, str, Endpoint]]:
        """Method, path and endpoint of everything the console serves."""
        yield "GET", "/login", _declared(self._show_login, PUBLIC)
        yield "POST", "/login", _declared(self._login, PUBLIC)
        yield "GET", "/static/{name}", _declared(self._file, PUBLIC)
        yield "POST", "/logout", _declared(self._logout, "Platform.Read")
        yield "GET", "/events", _declared(self._events, "Platform.Read")
        yield "GET", "/audit/export", _declared(self._export, "Audit.Read")
        for page in (page for module in WITH_PAGES for page in module.PAGES):
            yield "GET", page.path, self._page(page)
        for form in (form for module in WITH_FORMS for form in module.FORMS):
            yield "POST", form.path, self._form(form)

    def error_page(self, error: LeverframeError, request_id: str) -> str:
        """An error for a person: what happened, what to do next; the sign-in page when that is what is missing."""
        if error.code == "unauthenticated":
            return self._render("login.html", next=local_address(error.where), failed="")
        return self._render("error.html", error=error, request_id=request_id)

    def _render(self, template: str, **facts: object) -> str:
        common = {"session": None, "actor": None, "now_us": self._platform.now_us(), "key": uuid.uuid4().hex, "done": "", "here": ""}
        return self._templates.get_template(template).render(common | facts)

    async def _enter(
        self, request: Request, permission: str, resource: str = "platform/leverframe", *, every_team: bool = False
    ) -> tuple[Session, Actor, "Platform"]:
        session = session_of(request, self.sessions)
        actor = await run_in_threadpool(self._platform.access.authenticate, session.bearer)
        path = {name: str(value) for name, value in request.path_params.items()}
        writes = request.method != "GET"
        seen = await run_in_threadpool(admitted, self._platform, actor, permission, resource, path, writes=writes, every_team=every_team)
        return session, actor, seen

    def _visit(self, request: Request, session: Session, actor: Actor, seen: "Platform", form: dict[str, str]) -> Visit:
        path = {name: str(value) for name, value in request.path_params.items()}
        query = dict(request.query_params)
        return Visit(platform=seen, actor=actor, session=session, path=path, query=query, form=form, key=key_of(form))

    def _page(self, page: Page) -> Endpoint:
        async def show(request: Request) -> Response:
            resource = fill(page.resource, {name: str(value) for name, value in request.path_params.items()})
            session, actor, seen = await self._enter(request, page.permission, resource)
            visit = self._visit(request, session, actor, seen, {})
            done = actions.DONE.get(visit.query.get("done", ""), "")

            def render() -> str:
                return self._render(page.template, session=session, actor=actor, done=done, here=page.path, **page.facts(visit))

            return Response(await run_in_threadpool(render), media_type="text/html")

        return _declared(show, page.permission)

    def _form(self, form: Form) -> Endpoint:
        async def submit(request: Request) -> Response:
            check_origin(request)
            session, actor, seen = await self._enter(request, form.permission)
            fields = await read_form(request)
            session.check_form(fields.get("csrf", ""))
            address = await run_in_threadpool(form.run, self._visit(request, session, actor, seen, fields))
            return RedirectResponse(address, 303)

        return _declared(submit, form.permission)

    async def _show_login(self, request: Request) -> Response:
        return Response(
            self._render("login.html", next=local_address(request.query_params.get("next", "/")), failed=""), media_type="text/html"
        )

    async def _login(self, request: Request) -> Response:
        check_origin(request)
        fields = await read_form(request)
        address = local_address(fields.get("next", "/"))
        bearer = fields.get("token", "").strip()
        try:
            await run_in_threadpool(self._platform.access.authenticate, bearer)
        except Unauthenticated as error:
            return Response(self._render("login.html", next=address, failed=error.sentence()), 401, media_type="text/html")
        session = self.sessions.open(bearer)
        response = RedirectResponse(address, 303)
        response.set_cookie(
            COOKIE, session.id, max_age=SESSION_SECONDS_MAX, httponly=True, samesite="strict", secure=request.url.scheme == "https"
        )
        return response

    async def _logout(self, request: Request) -> Response:
        check_origin(request)
        session, _, _ = await self._enter(request, "Platform.Read")
        session.check_form((await read_form(request)).get("csrf", ""))
        self.sessions.close(session.id)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE)
        return response

    async def _file(self, request: Request) -> Response:
        name = str(request.path_params["name"])
        if name not in self._static:
            raise NotFound("there is no such file", where=f"/static/{name[:80]}")
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(self._static[name], headers=headers, media_type=MEDIA_TYPES[Path(name).suffix])

    async def _events(self, request: Request) -> StreamingResponse:
        _, _, seen = await self._enter(request, "Platform.Read")
        return await self._streams.respond(request, seen, numbers_only=True)

    async def _export(self, request: Request) -> Response:
        await self._enter(request, "Audit.Read", every_team=True)
        headers = {"Content-Disposition": 'attachment; filename="leverframe-audit.jsonl"'}
        return Response(await run_in_threadpool(self._platform.audit.export), headers=headers, media_type="application/x-ndjson")


def _declared(endpoint: Endpoint, permission: str) -> Endpoint:
    """``endpoint`` with the permission that ``control.app.check_permissions`` looks for."""

    async def declared(request: Request) -> Response:
        return await endpoint(request)

    declared.permission = permission  # type: ignore[attr-defined]
    return declared
