"""One JSON shape for every refusal, and one table each for HTTP statuses and exit codes, complete over the error tree."""

import pytest
from tests.apps.fake_platform import FakePlatform
from tests.apps.in_process import ADMIN, browser

from leverframe.apps.cli.exit_codes import EXIT_OF_CODE
from leverframe.apps.control.status_codes import STATUS_OF_CODE
from leverframe.core import errors

SHAPE = {"error", "code", "where", "expected", "got", "next", "faults", "request_id"}


def _codes(root=errors.LeverframeError):
    return {root.code}.union(*(_codes(child) for child in root.__subclasses__()))


def test_every_error_code_has_a_status_and_an_exit_code():
    assert set(STATUS_OF_CODE) == _codes()
    assert set(EXIT_OF_CODE) == _codes()


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/api/v1/status", {}, 401),
        ("GET", "/api/v1/nothing-here", {}, 404),
        ("GET", "/nothing-here", {}, 404),
        ("PUT", "/api/v1/plans", {"headers": ADMIN}, 405),
        ("POST", "/api/v1/plans", {"headers": ADMIN, "content": b"{"}, 400),
        ("POST", "/api/v1/plans", {"headers": ADMIN, "content": b"x" * 2_000_000}, 413),
        ("GET", "/api/v1/versions/nope@v1", {"headers": ADMIN}, 404),
        ("GET", "/api/v1/status", {"headers": {"Authorization": "Bearer nobody-token"}}, 403),
        ("POST", "/api/v1/endpoints/prod/other/rollback", {"headers": ADMIN, "json": {"reason": "x"}}, 409),
        ("GET", "/api/v1/health", {"headers": {"Host": "evil.example"}}, 403),
        ("POST", "/login", {"content": b"token=x"}, 400),
        ("GET", "/static/none.css", {}, 404),
    ],
)
def test_every_refusal_has_the_one_shape(method, path, options, status):
    answer = browser(FakePlatform()).request(method, path, **options)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == SHAPE
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_a_browser_gets_the_same_facts_as_a_page():
    answer = browser(FakePlatform()).get("/nothing-here", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "There is no such address" in answer.text
    assert answer.headers["x-request-id"] in answer.text
