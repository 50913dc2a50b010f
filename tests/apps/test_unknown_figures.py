"""A figure that cannot be computed yet reaches clients and pages as unknown, not as a number or a decoding error."""

import math

import msgspec
from tests.apps import fake_records as records
from tests.apps.fake_platform import FakePlatform
from tests.apps.in_process import browser, client_of

from leverframe.apps.console.charts import interval_chart
from leverframe.apps.platform.monitoring import with_known_figures
from leverframe.apps.platform.views import IntervalPoint, MonitorView

NAN = float("nan")


def unknown_monitor() -> MonitorView:
    seen = records.monitor()
    first = seen.windows[0] | {"distance": NAN, "threshold": math.inf}
    return msgspec.structs.replace(
        seen, windows=(first, *seen.windows[1:]), performance=({"from_us": 0, "to_us": 1, "roc_auc": NAN, "n": 3},), budget={"spent": NAN}
    )


def test_no_figure_of_a_monitor_view_is_a_nan():
    view = with_known_figures(unknown_monitor())
    assert (view.windows[0]["distance"], view.windows[0]["threshold"]) == (None, None)
    assert (view.performance[0]["roc_auc"], view.performance[0]["n"], view.budget) == (None, 3, {"spent": None})
    assert view.windows[1] == records.monitor().windows[1]
    assert msgspec.json.decode(msgspec.json.encode(view), type=MonitorView) == view, "what a client gets is what was meant"


def test_the_monitor_page_is_drawn_with_unknown_figures():
    platform = FakePlatform()
    platform.monitoring.monitor = lambda endpoint: with_known_figures(unknown_monitor())
    pages = browser(platform)
    pages.post("/login", data={"token": "admin-token", "next": "/"})
    page = pages.get("/monitor/flight-delay")
    assert page.status_code == 200
    assert "nan" not in page.text


def test_an_interval_without_a_bound_travels_and_is_left_out_of_the_chart():
    """Before this the client said that the answer had another shape than it knew."""
    release = records.running_release()
    open_ended = msgspec.structs.replace(release.intervals[0], low=None, high=None)
    platform = FakePlatform()
    platform.release.release = lambda release_id: msgspec.structs.replace(release, intervals=(open_ended, *release.intervals[1:]))
    with client_of(platform) as client:
        assert client.release.get("rel-0004").intervals[0].low is None
    drawn = str(interval_chart((open_ended, *release.intervals[1:])))
    assert drawn.count("<circle") == len(release.intervals) - 1
    assert "No interval" in interval_chart((open_ended,))
    assert IntervalPoint.__annotations__["margin"] is float, "a margin is declared, never unknown"
