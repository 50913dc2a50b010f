"""Request-time features: vectorised functions of a request field, the same code offline and online.

A function takes a numpy array of shape ``[rows]`` and string parameters and returns float64 of shape ``[rows]``.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from leverframe.core.errors import InvalidInput

Float = npt.NDArray[np.float64]
RequestTimeFunction = Callable[[npt.NDArray[np.int64], Mapping[str, str]], Float]


QUARTER_S = 900
"""Offsets from UTC change on whole quarters of an hour (Lord Howe Island's on the half), so one look-up a quarter is exact."""
QUARTER_MIN, QUARTER_MAX = -69_039_200, 281_557_600
"""Quarters from the epoch to the first and the last days that the calendar of Python's datetime has, less a few for the offset."""


SATURDAY = 5


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@lru_cache(maxsize=65_536)
def _utc_offset_s(quarter: int, zone: str) -> int:
    """Offset from UTC that holds in ``zone`` during the quarter of an hour that begins ``quarter`` quarters after the epoch.

    Raises
    ------
    InvalidInput: no calendar reaches that far; most likely the moment is in another unit.
    """
    from datetime import UTC, datetime

    if not QUARTER_MIN <= quarter <= QUARTER_MAX:
        raise InvalidInput(
            "a moment outside the calendar",
            where="request time",
            expected="seconds since 1970-01-01, years 1 to 9999",
            got=f"{quarter * QUARTER_S} s",
        )

    offset = datetime.fromtimestamp(quarter * QUARTER_S, UTC).astimezone(_zone(zone)).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def _local_s(epoch_s: npt.NDArray[np.int64], zone: str) -> npt.NDArray[np.int64]:
    """Seconds since 1970-01-01 on the wall clock of ``zone``."""
    quarters = epoch_s // QUARTER_S
    if len(quarters) == 1:
        return epoch_s + _utc_offset_s(int(quarters[0]), zone)
    unique, inverse = np.unique(quarters, return_inverse=True)
    offsets = np.array([_utc_offset_s(int(q), zone) for q in unique], dtype=np.int64)
    return epoch_s + offsets[inverse]


def minute_of_day(epoch_s: npt.NDArray[np.int64], params: Mapping[str, str]) -> Float:
    """Minutes since local midnight, 0 to 1439; ``params["zone"]`` is an IANA time zone.

    >>> minute_of_day(np.array([3600]), {"zone": "UTC"}).tolist()
    [60.0]
    """
    return ((_local_s(epoch_s, params.get("zone", "UTC")) % 86_400) // 60).astype(np.float64)


def hour_of_day(epoch_s: npt.NDArray[np.int64], params: Mapping[str, str]) -> Float:
    """The local clock's hour, 0 to 23; where clocks are set back, one hour comes twice.

    >>> hour_of_day(np.array([3600]), {"zone": "Europe/Berlin"}).tolist()
    [2.0]
    """
    return ((_local_s(epoch_s, params.get("zone", "UTC")) % 86_400) // 3600).astype(np.float64)


def is_weekend(epoch_s: npt.NDArray[np.int64], params: Mapping[str, str]) -> Float:
    """1 on local Saturdays and Sundays, else 0.

    >>> is_weekend(np.array([0, 2 * 86_400]), {"zone": "UTC"}).tolist()
    [0.0, 1.0]
    """
    return (day_of_week(epoch_s, params) >= SATURDAY).astype(np.float64)


def month_of_year(epoch_s: npt.NDArray[np.int64], params: Mapping[str, str]) -> Float:
    """Local month, January 1 to December 12.

    >>> month_of_year(np.array([0, 31 * 86_400]), {"zone": "UTC"}).tolist()
    [1.0, 2.0]
    """
    months = (_local_s(epoch_s, params.get("zone", "UTC")) // 86_400).astype("datetime64[D]").astype("datetime64[M]")
    return (months.astype(np.int64) % 12 + 1).astype(np.float64)


def day_of_week(epoch_s: npt.NDArray[np.int64], params: Mapping[str, str]) -> Float:
    """Local day of the week, Monday 0 to Sunday 6.

    >>> day_of_week(np.array([0]), {"zone": "UTC"}).tolist()
    [3.0]
    """
    return ((_local_s(epoch_s, params.get("zone", "UTC")) // 86_400 + 3) % 7).astype(np.float64)


def day_of_year(epoch_s: npt.NDArray[np.int64], params: Mapping[str, str]) -> Float:
    """Local day of the year, 1 to 366.

    >>> day_of_year(np.array([0, 86400]), {"zone": "UTC"}).tolist()
    [1.0, 2.0]
    """
    days = (_local_s(epoch_s, params.get("zone", "UTC")) // 86_400).astype("datetime64[D]")
    elapsed: Float = (days - days.astype("datetime64[Y]")).astype(np.float64)
    return elapsed + 1.0


def _local_s_of(epoch_s: int, zone: str) -> int:
    return epoch_s + _utc_offset_s(epoch_s // QUARTER_S, zone)


def minute_of_day_of(epoch_s: int, params: Mapping[str, str]) -> float:
    """``minute_of_day`` of one moment.

    >>> minute_of_day_of(3600, {"zone": "UTC"})
    60.0
    """
    return float(_local_s_of(epoch_s, params.get("zone", "UTC")) % 86_400 // 60)


def day_of_week_of(epoch_s: int, params: Mapping[str, str]) -> float:
    """``day_of_week`` of one moment.

    >>> day_of_week_of(0, {"zone": "UTC"})
    3.0
    """
    return float((_local_s_of(epoch_s, params.get("zone", "UTC")) // 86_400 + 3) % 7)


def hour_of_day_of(epoch_s: int, params: Mapping[str, str]) -> float:
    """``hour_of_day`` of one moment.

    >>> hour_of_day_of(3600, {"zone": "UTC"})
    1.0
    """
    return float(_local_s_of(epoch_s, params.get("zone", "UTC")) % 86_400 // 3600)


def is_weekend_of(epoch_s: int, params: Mapping[str, str]) -> float:
    """``is_weekend`` of one moment.

    >>> is_weekend_of(2 * 86_400, {"zone": "UTC"})
    1.0
    """
    return float(day_of_week_of(epoch_s, params) >= SATURDAY)


SCALAR_FUNCTIONS: Mapping[str, Callable[[int, Mapping[str, str]], float]] = {
    "minute_of_day": minute_of_day_of,
    "day_of_week": day_of_week_of,
    "hour_of_day": hour_of_day_of,
    "is_weekend": is_weekend_of,
}
"""The same functions on one whole number, where an array of one element would cost more than the answer; a test holds them equal."""


REQUEST_TIME_FUNCTIONS: Mapping[str, RequestTimeFunction] = {
    "minute_of_day": minute_of_day,
    "day_of_week": day_of_week,
    "day_of_year": day_of_year,
    "hour_of_day": hour_of_day,
    "is_weekend": is_weekend,
    "month_of_year": month_of_year,
}


def request_time_function(name: str) -> RequestTimeFunction:
    """The function called ``name``.

    Raises
    ------
    InvalidInput: there is none; the message lists those there are.
    """
    try:
        return REQUEST_TIME_FUNCTIONS[name]
    except KeyError:
        raise InvalidInput(
            "unknown request-time function", where=name, expected=", ".join(sorted(REQUEST_TIME_FUNCTIONS)), got=name
        ) from None
