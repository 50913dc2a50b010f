"""The strip over an endpoint's past: a block a period at its place, and nothing made of what was only told later."""

import re

import msgspec

from leverframe.apps.console.live_strip import WIDTH, live_strip
from leverframe.apps.platform.views.history import HistoryEntry
from leverframe.core.clock import HOUR_US, SECOND_US


def entry(from_us: int, to_us: int | None, version: str) -> HistoryEntry:
    arms = (f"{version} 100 %",)
    told = {"release": "", "actor": "a", "action": "x", "reason": "", "approvals": (), "seq": 1}
    return HistoryEntry(from_us=from_us, to_us=to_us, version=version, arms=arms, **told)


PAST = (entry(0, HOUR_US, "m@v1"), entry(HOUR_US, 3 * HOUR_US, "m@v<2>"), entry(3 * HOUR_US, None, "m@v1"))


def test_blocks_lie_where_their_periods_lie_and_one_version_has_one_shade():
    strip = live_strip(PAST, 4 * HOUR_US)
    assert strip is not None
    blocks = re.findall(r'class="live s(\d)" x="([0-9.]+)" y="1" width="([0-9.]+)"', strip.chart)
    assert [(int(s), float(x), float(w)) for s, x, w in blocks] == [(0, 0.0, 250.0), (1, 250.0, 500.0), (0, 750.0, 250.0)]
    assert "m@v&lt;2&gt;" in strip.chart
    assert "m@v<2>" not in strip.chart
    assert strip.periods[1] == (3600, 3 * 3600, "m@v<2> (m@v<2> 100 %)")
    assert (strip.from_s, strip.to_s) == (0, 4 * 3600)


def test_a_correction_is_no_period_of_the_route():
    told = msgspec.structs.replace(PAST[1], corrected=True)
    strip = live_strip((PAST[0], told, PAST[2]), 4 * HOUR_US)
    assert strip is not None
    assert len(strip.periods) == 2


def test_nothing_was_ever_live():
    assert live_strip((), HOUR_US) is None


def test_a_period_that_begins_now_has_a_width():
    strip = live_strip((entry(5 * SECOND_US, None, "m@v1"),), 5 * SECOND_US)
    assert strip is not None
    assert f'width="{WIDTH:.1f}"' in strip.chart
