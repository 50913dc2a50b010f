from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.core.errors import InvalidInput
from leverframe.core.request_time import (
    REQUEST_TIME_FUNCTIONS,
    SCALAR_FUNCTIONS,
    day_of_week,
    day_of_year,
    hour_of_day,
    is_weekend,
    minute_of_day,
    minute_of_day_of,
    month_of_year,
    request_time_function,
)

ZONE = {"zone": "America/New_York"}


@given(
    st.lists(st.integers(0, 2_000_000_000), min_size=1, max_size=30),
    st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_equal_to_the_standard_library_on_each_row(seconds, zone):
    moments = [datetime.fromtimestamp(s, UTC).astimezone(ZoneInfo(zone)) for s in seconds]
    array, params = np.array(seconds, dtype=np.int64), {"zone": zone}
    # Kolkata is half an hour off; Lord Howe's summer is half an hour long, and begins on a half hour of UTC.
    assert minute_of_day(array, params).tolist() == [m.hour * 60 + m.minute for m in moments]
    assert day_of_week(array, params).tolist() == [m.weekday() for m in moments]
    assert day_of_year(array, params).tolist() == [m.timetuple().tm_yday for m in moments]
    assert hour_of_day(array, params).tolist() == [m.hour for m in moments]
    assert month_of_year(array, params).tolist() == [m.month for m in moments]
    assert is_weekend(array, params).tolist() == [m.weekday() > 4 for m in moments]


@given(st.integers(-60_000_000_000, 200_000_000_000), st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata"]))
def test_one_moment_alone_is_the_same(second, zone):
    for name, alone in SCALAR_FUNCTIONS.items():
        expected = request_time_function(name)(np.array([second], dtype=np.int64), {"zone": zone})[0]
        assert alone(second, {"zone": zone}) == expected, name


def test_the_hour_lost_and_the_hour_repeated():
    spring = np.array([1362898800 - 60, 1362898800])  # 2013-03-10 01:59 EST, 03:00 EDT
    autumn = np.array([1383454800 - 60, 1383454800 + 3600 - 60])  # 2013-11-03 00:59 EDT, 01:59 EDT
    assert minute_of_day(spring, ZONE).tolist() == [119.0, 180.0]
    assert minute_of_day(autumn + 3600, ZONE).tolist() == [119.0, 119.0], "01:59 happens twice that night"


def test_a_clock_that_changes_on_a_half_hour():
    """An offset looked up once an hour would put these thirty minutes into the wrong hour."""
    howe = {"zone": "Australia/Lord_Howe"}
    spring = int(datetime(2013, 10, 5, 15, 30, tzinfo=UTC).timestamp())  # 02:00 becomes 02:30
    assert minute_of_day(np.array([spring - 60, spring]), howe).tolist() == [119.0, 150.0]


def test_a_name_that_is_no_function_lists_those_there_are():
    clock, calendar = {"minute_of_day", "hour_of_day"}, {"day_of_week", "is_weekend", "day_of_year", "month_of_year"}
    assert set(REQUEST_TIME_FUNCTIONS) == clock | calendar
    with pytest.raises(InvalidInput, match="minute_of_day"):
        request_time_function("__import__")


@pytest.mark.parametrize("moment", [9 * 10**18, -9 * 10**18, 1_364_814_000_000])
def test_a_moment_in_another_unit_is_refused_and_not_a_crash(moment: int) -> None:
    """Milliseconds or garbage in a field of seconds would otherwise overflow the calendar and look like a fault of ours."""
    for function in (minute_of_day, day_of_week):
        with pytest.raises(InvalidInput, match="outside the calendar"):
            function(np.array([moment, 0], dtype=np.int64), {"zone": "America/New_York"})
    with pytest.raises(InvalidInput, match="outside the calendar"):
        minute_of_day_of(moment, {"zone": "America/New_York"})
