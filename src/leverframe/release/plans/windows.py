"""When a release may climb: business hours of a place, and days on which nothing moves. Rollback asks nobody's calendar.

Hours are wall-clock hours of a time zone: nine o'clock stays nine o'clock when the clocks change. An hour that a zone skips in spring never
comes, and one that it lives twice in autumn is open both times.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from leverframe.core.clock import MINUTE_US, SECOND_US
from leverframe.core.errors import Fault

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

OPENINGS_MAX = 20
CLOSURES_MAX = 100
"""More of either are refused: a calendar is read at every climb."""

LOOK_AHEAD_DAYS = 400
"""How far ahead the next opening is looked for; a calendar that stays shut for longer is said to stay shut."""

_STEP = timedelta(minutes=15)


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """Hours of some weekdays, from ``opens`` (included) to ``closes`` (not included), as ``HH:MM``; ``24:00`` is the end of the day."""

    weekdays: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri")
    opens: str = "09:00"
    closes: str = "17:00"


class Closure(msgspec.Struct, frozen=True, kw_only=True):
    """Whole local days, ``first`` to ``last`` (ISO dates, both included), on which nothing starts or climbs."""

    first: str
    last: str
    reason: str


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """Openings and closures in ``zone`` (IANA name); without openings it is always open outside the closures."""

    zone: str = "UTC"
    openings: tuple[Opening, ...] = ()
    closures: tuple[Closure, ...] = ()


def closed_because(calendar: Calendar, at_us: int) -> str:
    """Why nothing may climb at ``at_us`` (microseconds, UTC); empty when it may.

    >>> office = Calendar(zone="Europe/Vienna", openings=(Opening(opens="09:00", closes="17:00"),))
    >>> closed_because(office, 1_774_853_999_000_000)
    'it is Mon 08:59 in Europe/Vienna, outside the release hours'
    >>> closed_because(office, 1_774_854_000_000_000)
    ''
    """
    local = _local(calendar.zone, at_us)
    day = local.date().isoformat()
    for closure in calendar.closures:
        if closure.first <= day <= closure.last:
            return f"releases are closed from {closure.first} to {closure.last}: {closure.reason}"
    if not calendar.openings or any(_within(opening, local) for opening in calendar.openings):
        return ""
    return f"it is {local:%a %H:%M} in {calendar.zone}, outside the release hours"


def opens_at(calendar: Calendar, at_us: int) -> int | None:
    """The first moment from ``at_us`` on when something may climb, to the minute; None: not within :data:`LOOK_AHEAD_DAYS`."""
    if not closed_because(calendar, at_us):
        return at_us
    first = _local(calendar.zone, at_us)
    for days in range(LOOK_AHEAD_DAYS):
        day = first.date() + timedelta(days=days)
        if _may_open(calendar, day) and (found := _opening_of(calendar, day, at_us)) is not None:
            return found
    return None


def calendar_faults(calendar: Calendar, where: str) -> list[Fault]:
    """Everything wrong with a calendar: an unknown zone, hours or dates that cannot be read, or that never come."""
    faults = []
    try:
        _zone(calendar.zone)
    except (KeyError, ValueError, OSError):
        faults.append(
            Fault(where=f"{where}.zone", what="no such time zone", expected="an IANA name, Europe/Vienna", got=calendar.zone[:60])
        )
    if len(calendar.openings) > OPENINGS_MAX or len(calendar.closures) > CLOSURES_MAX:
        faults.append(Fault(where=where, what="too many entries", expected=f"{OPENINGS_MAX} openings, {CLOSURES_MAX} closures at most"))
    for place, opening in enumerate(calendar.openings[:OPENINGS_MAX], 1):
        if not opening.weekdays or not (_is_hour(opening.opens) and _is_hour(opening.closes) and opening.opens < opening.closes):
            expected = "weekdays, and HH:MM before HH:MM of the same day"
            faults.append(
                Fault(where=f"{where}.openings {place}", what="never open", expected=expected, got=f"{opening.opens}-{opening.closes}")
            )
    for place, closure in enumerate(calendar.closures[:CLOSURES_MAX], 1):
        if not (_is_day(closure.first) and _is_day(closure.last) and closure.first <= closure.last and closure.reason.strip()):
            expected = "two ISO dates, the first first, and a reason"
            faults.append(
                Fault(where=f"{where}.closures {place}", what="no closure", expected=expected, got=f"{closure.first}-{closure.last}"[:60])
            )
    return faults


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _local(zone: str, at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us // SECOND_US, _zone(zone))


def _within(opening: Opening, local: datetime) -> bool:
    return WEEKDAYS[local.weekday()] in opening.weekdays and opening.opens <= f"{local:%H:%M}" < opening.closes


def _may_open(calendar: Calendar, day: date) -> bool:
    shut = any(closure.first <= day.isoformat() <= closure.last for closure in calendar.closures)
    return not shut and (not calendar.openings or any(WEEKDAYS[day.weekday()] in opening.weekdays for opening in calendar.openings))


def _opening_of(calendar: Calendar, day: date, from_us: int) -> int | None:
    """The first open minute of a local day at or after ``from_us``, walked in real time so that changes of the clock count as they come."""
    moment = datetime.combine(day, time(), _zone(calendar.zone)).astimezone(UTC)
    end = datetime.combine(day + timedelta(days=1), time(), _zone(calendar.zone)).astimezone(UTC)
    before = from_us
    while moment < end:
        at_us = max(from_us, int(moment.timestamp()) * SECOND_US)
        if not closed_because(calendar, at_us):
            return _first_open(calendar, before, at_us)
        before, moment = at_us, moment + _STEP
    return None


def _first_open(calendar: Calendar, shut_us: int, open_us: int) -> int:
    """The first open minute after ``shut_us``, which is at most a step before ``open_us``."""
    minute = max(shut_us, open_us - 15 * MINUTE_US) // MINUTE_US * MINUTE_US
    while minute < open_us:
        if minute > shut_us and not closed_because(calendar, minute):
            return minute
        minute += MINUTE_US
    return open_us


def _is_hour(text: str) -> bool:
    hours, _, minutes = text.partition(":")
    well_formed = len(text) == 5 and hours.isdecimal() and minutes.isdecimal()
    return well_formed and ((int(hours) < 24 and int(minutes) < 60) or text == "24:00")


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
