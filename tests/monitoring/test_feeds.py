from tests.monitoring.world import START_US, fresh

from leverframe.core.clock import HOUR_US
from leverframe.monitoring.feeds import feed_signals


def test_a_feed_on_time_is_quiet_and_a_late_one_is_not() -> None:
    memory: dict = {}
    assert feed_signals([fresh(START_US)], memory) == []
    late = feed_signals([fresh(START_US + 9 * HOUR_US, lag_us=5 * HOUR_US)], memory)
    assert [(s.kind, s.subject, s.observed, s.threshold) for s in late] == [("freshness", "origin_weather", 5.0, 2.0)]
    assert "nothing for 5.0 h" in late[0].detail


def test_a_feed_that_repeats_itself_is_stuck() -> None:
    """It arrives every hour and says nothing newer: on time by its arrivals, dead by its content."""
    memory: dict = {}
    found = []
    for hour in range(6):
        now_us = START_US + hour * HOUR_US
        found.append(feed_signals([fresh(now_us, event_lag_us=2 * HOUR_US + hour * HOUR_US)], memory))
    assert [len(each) for each in found] == [0, 0, 0, 1, 1, 1]
    assert "nothing newer" in found[-1][0].detail
    moving: dict = {}
    assert not any(feed_signals([fresh(START_US + hour * HOUR_US)], moving) for hour in range(6)), "the control: a moving feed"
