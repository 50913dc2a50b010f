"""Every address of the control plane demands a token and a permission; the exceptions are a list of four."""

import re

import pytest
from fastapi import FastAPI
from tests.apps.fake_platform import FakePlatform
from tests.apps.in_process import browser

from leverframe.apps.control.app import PUBLIC_PATHS, ROUTES, check_permissions, create_app
from leverframe.apps.web.endpoint import PUBLIC
from leverframe.core.errors import Refused

BODIES = {(route.method, route.path): route for route in ROUTES}
VALUES = {
    "team": "flights",
    "view": "origin_weather",
    "digest": "sha256:" + "0" * 64,
    "name": "flight-delay@v1",
    "lever": "pin",
    "endpoint": "flight-delay",
    "environment": "prod",
    "dataset": "weather",
    "model": "flight-delay",
    "run_id": "run-0002",
    "job_id": "mat-0001",
    "experiment_id": "prod.flight-delay.x0001",
    "table": "nightly",
    "release_id": "rel-0002",
    "token_id": "tok-1",
    "tenant": "acme",
    "webhook": "ops-chat",
    "rule": "evidence-runbook",
    "registry": "mlflow",
    "erasure": "erasure-1",
    "thing": "weather.temp",
    "source": "landing",
    "stream": "trips",
    "other": "flight-delay@v2",
}


def _doors():
    for route in create_app(FakePlatform()).routes:
        for method in sorted(route.methods - {"HEAD", "OPTIONS"}):
            yield pytest.param(method, route.path, route.endpoint.permission, id=f"{method} {route.path}")


DOORS = list(_doors())
CLOSED = [door for door in DOORS if door.values[2] != PUBLIC]


def _address(path):
    return re.sub(r"\{(\w+)\}", lambda found: VALUES[found.group(1)], path)


def test_only_health_login_and_static_files_are_public():
    assert {door.values[1] for door in DOORS if door.values[2] == PUBLIC} == PUBLIC_PATHS
    assert frozenset({"/api/v1/health", "/login", "/static/{name}"}) == PUBLIC_PATHS
    assert len(CLOSED) > 50


@pytest.fixture(scope="module")
def stranger():
    return browser(FakePlatform())


@pytest.mark.parametrize(("method", "path", "permission"), CLOSED)
def test_without_a_token_every_door_is_shut(stranger, method, path, permission):
    assert stranger.request(method, _address(path), content=b"{}").status_code == 401


@pytest.mark.parametrize(("method", "path", "permission"), [door for door in CLOSED if door.values[1].startswith("/api/")])
def test_with_the_wrong_role_every_api_door_is_shut(method, path, permission):
    platform = FakePlatform()
    route = BODIES.get((method, path))
    body = {"json": route.example} if route and route.example is not None else {"content": b"x"}
    answer = browser(platform).request(method, _address(path), headers={"Authorization": "Bearer nobody-token"}, **body)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert platform.calls.made == []


@pytest.mark.parametrize(
    ("method", "path", "permission"), [d for d in CLOSED if not d.values[1].startswith("/api/") and d.values[0] == "GET"]
)
def test_with_the_wrong_role_every_page_is_shut(method, path, permission):
    pages = browser(FakePlatform())
    pages.post("/login", data={"token": "nobody-token", "next": "/"})
    assert pages.get(_address(path)).status_code == 403


def test_an_application_with_an_undeclared_route_refuses_to_start():
    app = FastAPI(openapi_url=None)

    async def loose():
        return {}

    app.add_api_route("/loose", loose)
    with pytest.raises(Refused, match="declares no permission"):
        check_permissions(app)


def test_an_application_with_an_unlisted_public_route_refuses_to_start():
    async def open_door():
        return {}

    open_door.permission = PUBLIC
    app = FastAPI(openapi_url=None)
    app.add_api_route("/open", open_door)
    with pytest.raises(Refused, match="without being on the list"):
        check_permissions(app)
