from datetime import UTC, datetime

import pytest

from leverframe.core.clock import HOUR_US, MINUTE_US
from leverframe.release.plans.windows import Calendar, Closure, Opening, calendar_faults, closed_because, opens_at

VIENNA = "Europe/Vienna"
OFFICE = Calendar(zone=VIENNA, openings=(Opening(opens="09:00", closes="17:00"),))


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("utc", "open_now"),
    [
        ("2026-03-27T07:59", False),  # Friday in winter time: 08:59
        ("2026-03-27T08:00", True),
        ("2026-03-30T06:59", False),  # Monday after the clocks went forward: 08:59 again, an hour earlier in UTC
        ("2026-03-30T07:00", True),
        ("2026-03-30T15:00", False),  # 17:00 is not in the hours any more
        ("2026-03-28T10:00", False),  # Saturday
    ],
)
def test_nine_o_clock_stays_nine_o_clock_when_the_clocks_change(utc: str, open_now: bool) -> None:
    assert (closed_because(OFFICE, us(utc)) == "") is open_now


def test_an_hour_lived_twice_is_open_twice_and_a_skipped_one_never() -> None:
    night = Calendar(zone=VIENNA, openings=(Opening(weekdays=("sun",), opens="02:00", closes="03:00"),))
    autumn = us("2026-10-24T23:00")  # 01:00 summer time; 02:00-03:00 comes at 00:00 and again at 01:00 UTC
    assert [closed_because(night, autumn + h * HOUR_US) == "" for h in range(4)] == [False, True, True, False]
    spring = us("2026-03-28T23:00")  # the hour from 02:00 to 03:00 of the 29th does not exist
    assert [closed_because(night, spring + h * HOUR_US) == "" for h in range(5)] == [False] * 5
    assert opens_at(night, spring) == us("2026-04-05T00:00"), "the Sunday after is the first that has the hour"


def test_the_next_opening_is_found_to_the_minute_over_weekends_closures_and_changes_of_the_clock() -> None:
    assert opens_at(OFFICE, us("2026-03-27T16:00")) == us("2026-03-30T07:00"), "Friday evening to Monday 09:00 summer time"
    assert opens_at(OFFICE, us("2026-03-30T07:30")) == us("2026-03-30T07:30"), "open now"
    feast = Calendar(
        zone=VIENNA,
        openings=(Opening(opens="09:07", closes="17:00"),),
        closures=(Closure(first="2026-12-24", last="2027-01-06", reason="feast"),),
    )
    assert opens_at(feast, us("2026-12-23T20:00")) == us("2027-01-07T08:07")
    assert "feast" in closed_because(feast, us("2026-12-28T12:00"))
    never = Calendar(closures=(Closure(first="2026-01-01", last="2029-01-01", reason="sunset"),))
    assert opens_at(never, us("2026-03-27T16:00")) is None


def test_a_calendar_agrees_with_itself_minute_by_minute() -> None:
    start = us("2026-10-23T12:00")
    for minute in range(0, 5 * 24 * 60, 7):
        at_us = start + minute * MINUTE_US
        opens_us = opens_at(OFFICE, at_us)
        assert opens_us is not None
        assert closed_because(OFFICE, opens_us) == ""
        assert opens_us == at_us or closed_because(OFFICE, opens_us - MINUTE_US)


def test_every_fault_of_a_calendar_is_named_at_once() -> None:
    broken = Calendar(
        zone="Europe/Atlantis",
        openings=(Opening(opens="17:00", closes="09:00"), Opening(weekdays=()), Opening(closes="24:00")),
        closures=(Closure(first="2026-02-30", last="2026-03-01", reason="x"), Closure(first="2026-03-01", last="2026-03-02", reason="")),
    )
    assert [fault.where for fault in calendar_faults(broken, "c")] == [
        "c.zone",
        "c.openings 1",
        "c.openings 2",
        "c.closures 1",
        "c.closures 2",
    ]
