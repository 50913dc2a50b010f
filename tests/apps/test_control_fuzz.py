"""The control API against its own description: whatever fits the OpenAPI document, or nearly does, is answered, and never by a 5xx.

Source: Schemathesis, property-based tests from OpenAPI.
"""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, seed, settings
from schemathesis.checks import CHECKS
from tests.apps.fake_platform import FakePlatform
from tests.apps.in_process import ADMIN, browser

from leverframe.apps.control.app import create_app
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_platform

EXAMPLES_MAX = 8
PLATFORM = FakePlatform()
APP = create_app(PLATFORM, console=False)
DOCUMENT = browser(PLATFORM, console=False).get("/api/v1/openapi.json", headers=ADMIN).json()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
SCHEMA.app = APP
ODD = ("/api/v1/audit?after=%d", "/api/v1/audit?limit=%d", "/api/v1/endpoints/prod/none/history?at_us=%d")
CHECKED = [CHECKS.get_one(name) for name in ("not_a_server_error", "content_type_conformance", "response_schema_conformance")]


@pytest.mark.slow
@SCHEMA.parametrize()
@seed(20130401)
@settings(
    max_examples=EXAMPLES_MAX,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_request_breaks_the_server_and_every_answer_fits_its_description(case):
    case.call_and_validate(headers=ADMIN | {"Host": "localhost"}, checks=CHECKED)


def test_a_fault_behind_a_route_is_noticed(monkeypatch):
    def broken():
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(PLATFORM, "status", broken)
    with pytest.raises(BaseExceptionGroup, match="Server error"):
        SCHEMA["/api/v1/status"]["GET"].Case().call_and_validate(headers=ADMIN | {"Host": "localhost"}, checks=CHECKED)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The control API over a whole empty installation: stores and the file reader have limits that a fake has not."""
    platform = open_platform(Settings(home=tmp_path_factory.mktemp("home")))
    api = browser(platform, console=False)
    api.headers["Authorization"] = f"Bearer {platform.access.bootstrap()}"
    yield api
    platform.close()


@pytest.mark.parametrize("path", ODD)
@pytest.mark.parametrize("number", [10**30, 2**63, 2**63 - 1, -(2**63) - 1])
def test_numbers_that_no_store_holds_are_the_callers_fault(real, path, number):
    assert real.get(path % number).status_code < 500


@pytest.mark.parametrize("text", [b"2001-99-99: 1", b"version: 2001-99-99", b"\xff\xfe", b"[" * 20_000, b"a: &a [*a]", b"\x00"])
def test_a_file_that_is_no_contract_is_refused_with_a_sentence(real, text):
    answer = real.post("/api/v1/contracts", content=text)
    assert (answer.status_code // 100, answer.json()["code"]) != (5, "internal")
    assert answer.status_code in (400, 413, 422)
