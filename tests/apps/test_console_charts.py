"""Charts say what the numbers say: positions, marks and the words for those who cannot see them."""

import re

from tests.apps.fake_records import monitor

from leverframe.apps.console.charts import Cell, Frame, heat_strip, interval_chart, nice_ticks
from leverframe.apps.console.monitor_rows import drift_rows
from leverframe.apps.platform.views import IntervalPoint


def _point(n, estimate, half):
    return IntervalPoint(
        rule="a<b", stage="canary", at_us=n, n=n, estimate=estimate, low=estimate - half, high=estimate + half, margin=0.01
    )


def test_a_frame_maps_its_corners_to_the_corners_of_the_plot():
    frame = Frame(x=(10.0, 20.0), y=(-1.0, 1.0), x_label="x", y_label="y", width=172, height=152)
    assert (frame.px(10.0), frame.px(20.0)) == (0.0, 100.0)
    assert (frame.py(1.0), frame.py(-1.0), frame.py(0.0)) == (0.0, 100.0, 50.0)


def test_ticks_are_round_and_inside():
    assert nice_ticks(-0.07, 0.16) == [-0.05, 0.0, 0.05, 0.1, 0.15]
    assert nice_ticks(5.0, 5.0) == [5.0]


def test_the_interval_chart_escapes_names_and_says_the_last_look():
    chart = str(interval_chart([_point(n, 0.02, 1.0 / n) for n in (10, 100, 1000)]))
    assert "a&lt;b in stage canary: after 1,000 observations 0.0200, interval 0.0190 to 0.0210, margin 0.01" in chart
    assert len(re.findall("<circle", chart)) == 3
    assert "a<b" not in chart


def test_one_look_can_be_drawn():
    assert "<polyline" in str(interval_chart([_point(10, 0.0, 0.1)]))


def test_only_what_the_monitor_called_an_alarm_is_marked():
    strip = str(heat_strip([Cell(ratio=3.0, alarm=False, title="unjudged"), Cell(ratio=1.1, alarm=True, title="judged")], "column"))
    assert strip.count('class="mark"') == 1
    assert "h4" in strip


def test_columns_in_alarm_come_first():
    rows = drift_rows(monitor())
    assert [row["alarm"] for row in rows] == [True, True, True, False, False]
