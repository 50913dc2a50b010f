"""The console's way from environment to environment, what it says of a release under way, and what can be done to it."""

import msgspec
import pytest
from tests.apps import fake_records as records
from tests.apps.test_console import pages, platform, submit  # noqa: F401  fixtures and how a form is sent

from leverframe.apps.console.pages_promoting import DEEDS


def test_where_an_endpoint_stands_and_the_step_upwards(pages, platform, monkeypatch):  # noqa: F811
    html = pages.get("/environments/flight-delay").text
    assert "stage.flight-delay.0002" in html
    assert "Nothing can go up now" in html, "the same bundle is in both"
    low, high = records.ENVIRONMENTS
    newer = (msgspec.structs.replace(low, live="flight-delay@v3", bundle=records.digest("bundle3")), high)
    monkeypatch.setattr(platform.promoting, "environments", lambda endpoint: newer)
    html = pages.get("/environments/flight-delay").text
    assert "Plan for prod what answers in stage: <b>flight-delay@v3</b>" in html
    assert submit(pages, "/environments/flight-delay", "/environments/flight-delay/promote", to="prod", confirm="flight").status_code == 400
    done = submit(pages, "/environments/flight-delay", "/environments/flight-delay/promote", to="prod", confirm="flight-delay")
    assert done.headers["location"] == f"/plans/{records.digest('plan3')}"
    (request,) = platform.calls.made[-1][3]
    assert (request.endpoint, request.to) == ("flight-delay", "prod")


def test_a_release_under_way_is_told_in_plain_words(pages):  # noqa: F811
    html = pages.get("/releases/rel-0004").text
    assert "need about 1,900 more labelled requests to rule out 1.0 points of loss of AUC; ~40 min" in html
    assert "lever release watch rel-0004" in html


@pytest.mark.parametrize(("deed", "permission"), DEEDS.items())
def test_one_release_is_dealt_with_by_its_typed_name_and_a_reason(pages, platform, deed, permission):  # noqa: F811
    at = f"/releases/rel-0004/{deed}"
    assert submit(pages, "/releases/rel-0004", at, reason="as agreed", confirm="rel").status_code == 400
    assert submit(pages, "/releases/rel-0004", at, reason=" ", confirm="rel-0004").status_code == 400
    assert platform.calls.made == []
    done = submit(pages, "/releases/rel-0004", at, reason="as agreed", confirm="rel-0004")
    assert done.headers["location"] == "/releases/rel-0004?done=pulled"
    assert [(call[0], call[3]) for call in platform.calls.made] == [(permission, ("rel-0004", "as agreed"))]
