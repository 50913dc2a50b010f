"""The control API's door: who gets in, what bodies it takes, and what it says when it refuses."""

import json
import logging

import pytest
from tests.apps.fake_platform import FakePlatform
from tests.apps.in_process import ADMIN, browser

from leverframe.apps.control.app import create_app
from leverframe.apps.control.guard import SECURITY_HEADERS
from leverframe.apps.control.route import BODY_BYTES_MAX
from leverframe.apps.control.server import check_exposure
from leverframe.apps.web.body import UploadSlots
from leverframe.apps.web.events import EventStreams
from leverframe.core.errors import Overloaded, Refused


@pytest.fixture
def platform():
    return FakePlatform()


@pytest.fixture
def api(platform):
    return browser(platform)


def test_the_first_answer_is_a_record_and_carries_the_security_headers(api):
    answer = api.get("/api/v1/status", headers=ADMIN)
    assert answer.status_code == 200
    assert answer.json()["endpoints"][0]["endpoint"]["arms"][0]["version"] == "flight-delay@v2"
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer nope"}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer "}])
def test_without_a_good_token_nothing_is_answered(api, header):
    answer = api.get("/api/v1/status", headers=header)
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthenticated"
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_session_cookie_opens_no_api_route(api):
    api.post("/login", data={"token": "admin-token", "next": "/"})
    assert api.get("/").status_code == 200, "the session itself is good"
    assert api.get("/api/v1/status").status_code == 401, "a cookie would let another site write through the browser"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", ""])
def test_another_host_name_is_refused_because_of_dns_rebinding(api, host):
    answer = api.get("/api/v1/health", headers={"Host": host})
    assert answer.status_code == 403
    assert answer.json()["where"] == "Host"


@pytest.mark.parametrize("host", ["localhost:8400", "127.0.0.1", "[::1]:8400", "LOCALHOST"])
def test_loopback_names_with_any_port_are_answered(api, host):
    assert api.get("/api/v1/health", headers={"Host": host}).status_code == 200


def test_a_missing_idempotency_key_is_made_and_returned(api, platform):
    body = {"names": ["origin_weather"]}
    made = api.post("/api/v1/materializations", headers=ADMIN, json=body).headers["idempotency-key"]
    kept = api.post("/api/v1/materializations", headers=ADMIN | {"Idempotency-Key": "mine-1"}, json=body).headers["idempotency-key"]
    assert kept == "mine-1"
    assert [call[2] for call in platform.calls.made] == [made, "mine-1"], "the ledger must see the key the caller sees"


@pytest.mark.parametrize("key", ["x" * 129, "a b", "a\x7fb", "schlüssel".encode()])
def test_a_strange_idempotency_key_is_refused(api, key):
    answer = api.post("/api/v1/materializations", headers=ADMIN | {"Idempotency-Key": key}, json={})
    assert answer.status_code == 400
    assert answer.json()["where"] == "Idempotency-Key"


def test_every_unknown_field_is_named_at_once(api):
    body = {"endpoint": "flight-delay", "version": "flight-delay@v2", "strat": 1, "nots": ""}
    answer = api.post("/api/v1/plans", headers=ADMIN, json=body).json()
    assert answer["code"] == "invalid_input"
    assert [fault["where"] for fault in answer["faults"]] == ["strat", "nots"]


def test_an_unknown_field_deep_in_a_record_is_named_with_its_place(api):
    view = {
        "name": "v", "source": "s", "entity": ["e"], "event_time": "t", "arrival_time": "t",
        "expressions": [{"name": "a", "sql": "a"}, {"name": "b", "sqll": "b", "sql": "b"}],
    }  # fmt: skip
    answer = api.post("/api/v1/views", headers=ADMIN, json=view).json()
    assert [fault["where"] for fault in answer["faults"]] == ["expressions.1.sqll"]


@pytest.mark.parametrize(
    "raw", [b"{", b"[]", b'{"endpoint": 5, "version": "x"}', b"\xff\xfe", b"null", b'{"endpoint":"e","version":"v","strategy":"yolo"}']
)
def test_a_body_of_another_shape_is_400_with_the_reason(api, raw, platform):
    answer = api.post("/api/v1/plans", headers=ADMIN, content=raw)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert answer.json()["got"]
    assert platform.calls.made == []


def test_deep_nesting_is_cheap_to_refuse(api):
    deep = b'{"endpoint":"e","version":"v","overrides":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_001
    answer = api.post("/api/v1/plans", headers=ADMIN, content=deep)
    assert answer.status_code in (400, 413)


def test_an_announced_body_beyond_the_bound_is_refused_unread(api, platform):
    answer = api.post("/api/v1/plans", headers=ADMIN, content=b"x" * (BODY_BYTES_MAX + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "limit_exceeded")
    assert platform.calls.made == []


def test_a_body_that_hides_its_length_is_counted_while_it_streams(api, platform):
    sent = []

    def chunks():
        for _ in range(64):
            sent.append(1)
            yield b"x" * 65_536

    answer = api.post("/api/v1/plans", headers=ADMIN, content=chunks())
    assert answer.status_code == 413
    assert platform.calls.made == []


def test_uploads_beyond_the_slots_are_shed_and_slots_come_back():
    slots = UploadSlots(1)
    with slots.hold(2**28):
        with pytest.raises(Overloaded), slots.hold(2**28):
            pass
        with slots.hold(1000):
            pass
    with slots.hold(2**28):
        pass


def test_a_large_upload_arrives_whole(api, platform):
    body = b"PAR1" + b"\x00" * 3_000_000
    answer = api.post("/api/v1/datasets/weather/snapshots?format=parquet", headers=ADMIN, content=body)
    assert answer.json()["accepted"] is True
    assert platform.calls.made[0][3] == ("weather", body, "parquet")


def test_an_unforeseen_fault_tells_the_caller_nothing_and_the_log_everything(platform, caplog):
    def explode():
        raise RuntimeError("password=hunter2 at /srv/secret.py")

    platform.doctor = explode
    with caplog.at_level(logging.ERROR, logger="leverframe.control"):
        answer = browser(platform).get("/api/v1/doctor", headers=ADMIN)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text
    logged = json.loads(caplog.records[-1].getMessage())
    assert logged["request_id"] == answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "hunter2" in logged["trace"]


@pytest.mark.parametrize(("query", "names"), [("limit=0", "limit"), ("limit=1001", "limit"), ("foo=1", "foo"), ("after=x", "after")])
def test_an_impossible_query_parameter_is_named(api, query, names):
    answer = api.get(f"/api/v1/audit?{query}", headers=ADMIN)
    assert answer.status_code == 400
    assert names in answer.json()["got"]


def test_a_digest_in_an_address_must_be_a_digest(api):
    answer = api.get("/api/v1/plans/..%2F..%2Fetc%2Fpasswd", headers=ADMIN)
    assert answer.status_code in (400, 404)
    assert api.get("/api/v1/plans/sha256:xyz", headers=ADMIN).json()["code"] == "invalid_input"


def test_an_unknown_lever_is_named_with_those_there_are(api):
    answer = api.post("/api/v1/endpoints/prod/flight-delay/levers/explode", headers=ADMIN, json={})
    assert answer.status_code == 404
    assert "rollback" not in answer.json()["expected"]
    assert "disable-feature" in answer.json()["expected"]


async def test_events_begin_after_the_last_one_seen(platform):
    events = EventStreams(look_seconds=0.0)._events(platform, 57, False)
    chunks = [await anext(events) for _ in range(3)]
    await events.aclose()
    assert chunks[0].startswith(b"retry:")
    assert [chunk.split(b"\n")[0] for chunk in chunks[1:]] == [b"id: 58", b"id: 59"]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "example.org"])
def test_listening_beyond_loopback_in_the_clear_is_refused(host):
    with pytest.raises(Refused, match="without encryption"):
        check_exposure(host, tls=False, allow_exposure=False)
    check_exposure(host, tls=True, allow_exposure=False)


def test_without_the_console_there_are_no_pages(platform):
    paths = {route.path for route in create_app(platform, console=False).routes}
    assert all(path.startswith("/api/") for path in paths)


def test_openapi_describes_every_served_api_route(api):
    document = api.get("/api/v1/openapi.json", headers=ADMIN).json()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    served = {
        (method, route.path)
        for route in api.app.routes
        for method in route.methods
        if route.path.startswith("/api/") and route.path not in ("/api/v1/health", "/api/v1/events")
    }
    assert described == served
    assert document["paths"]["/api/v1/plans"]["post"]["x-permission"] == "Release.Plan"
    assert "RunView" in document["components"]["schemas"]
