"""Time is an argument: the shape of a clock, a clock for tests, and the unit everyone uses."""

from datetime import UTC, datetime
from typing import Protocol

from leverframe.core.errors import InvalidInput

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
_UNITS_US = {"m": MINUTE_US, "h": HOUR_US, "d": DAY_US}


class Clock(Protocol):
    """Tells the time of the world being served, in microseconds since 1970-01-01 UTC."""

    def now_us(self) -> int:
        """Microseconds since 1970-01-01 UTC."""
        ...


class ManualClock:
    """A clock that moves only when told to.

    >>> clock = ManualClock(5)
    >>> clock.advance(10); clock.now_us()
    15
    """

    def __init__(self, now_us: int = 0) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        """Microseconds since 1970-01-01 UTC."""
        return self._now_us

    def set(self, now_us: int) -> None:
        """Jump to ``now_us``, forwards or backwards."""
        self._now_us = now_us

    def advance(self, by_us: int) -> None:
        """Move by ``by_us`` microseconds."""
        self._now_us += by_us


def iso_from_us(at_us: int) -> str:
    """Render microseconds since the epoch as ISO 8601 UTC.

    >>> iso_from_us(0)
    '1970-01-01T00:00:00Z'
    """
    moment = datetime.fromtimestamp(at_us // SECOND_US, UTC)
    fraction = at_us % SECOND_US
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction:06d}Z" if fraction else f"{text}Z"


def span_words(us: int) -> str:
    """A span of time in words, as one tells how long something takes: a minute at least, and one decimal where there is one.

    >>> span_words(40 * MINUTE_US), span_words(318 * MINUTE_US), span_words(3 * DAY_US), span_words(1)
    ('40 min', '5.3 h', '3 days', '1 min')
    """
    minutes = max(us / MINUTE_US, 1.0)
    if minutes < 120.0:
        return f"{minutes:.0f} min"
    value, unit = (minutes / 60.0, "h") if minutes < 2880.0 else (minutes / 1440.0, "days")
    return f"{value:.1f}".removesuffix(".0") + f" {unit}"


def span_us(text: str, where: str) -> int:
    """Microseconds of ``90m``, ``12h`` or ``3d``.

    Raises
    ------
    InvalidInput: not of that form.

    >>> span_us("12h", "--watch") == 12 * HOUR_US
    True
    """
    try:
        return round(float(text[:-1]) * _UNITS_US[text[-1]])
    except (ValueError, KeyError, OverflowError) as error:
        raise InvalidInput("not a span of time", where=where, expected="a number and m, h or d, such as 12h", got=text[:40]) from error


def us_from_iso(text: str) -> int:
    """Parse ISO 8601 (a missing zone means UTC) into microseconds since the epoch.

    Raises
    ------
    ValueError: ``text`` is not a moment.

    >>> us_from_iso('1970-01-01T00:00:01Z')
    1000000
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * SECOND_US + delta.microseconds
