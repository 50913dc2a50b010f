"""The clock and the calendar of a moment in seconds since 1970-01-01 UTC, in a time zone that is written down."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from leverframe.core.expressions.tree import Column, Function, Operation
from leverframe.core.request_time import QUARTER_MAX, QUARTER_MIN, QUARTER_S, REQUEST_TIME_FUNCTIONS, SCALAR_FUNCTIONS

EPOCH_S_MIN, EPOCH_S_MAX = QUARTER_MIN * QUARTER_S, QUARTER_MAX * QUARTER_S
"""Moments outside the calendar's years 1 to 9999 are missing, as are NaN and infinities."""
_SAYS = {
    "minute_of_day": "minutes since local midnight",
    "hour_of_day": "the local clock's hour",
    "day_of_week": "Monday 0 to Sunday 6",
    "is_weekend": "1 on Saturdays and Sundays, else 0",
    "day_of_year": "1 to 366",
    "month_of_year": "1 to 12",
}


def _one(scalar: Callable[[int, Mapping[str, str]], float], params: Mapping[str, str], moment_s: float) -> float | None:
    if not EPOCH_S_MIN <= moment_s <= EPOCH_S_MAX:
        return None
    return scalar(math.floor(moment_s), params)


def _many(function: Callable[..., Any], params: Mapping[str, str], moment: Column) -> Column:
    inside = (moment.values >= EPOCH_S_MIN) & (moment.values <= EPOCH_S_MAX)
    if moment.absent is not None:
        inside &= ~moment.absent
    whole = np.where(inside, np.floor(moment.values), 0.0).astype(np.int64)
    return Column(function(whole, params), ~inside)


def _array_of_one(function: Callable[..., npt.NDArray[np.float64]], moment_s: int, params: Mapping[str, str]) -> float:
    return float(function(np.array([moment_s], dtype=np.int64), params)[0])


def _make(name: str) -> Callable[..., Operation]:
    function = REQUEST_TIME_FUNCTIONS[name]
    scalar = SCALAR_FUNCTIONS.get(name) or partial(_array_of_one, function)

    def make(zone: str = "UTC") -> Operation:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("an IANA time zone, such as 'Europe/Berlin'") from error
        params = {"zone": zone}
        one = partial(_one, scalar, params)
        return Operation(
            takes=("number",),
            gives="number",
            one=lambda moment_s: None if moment_s is None else one(moment_s),
            many=partial(_many, function, params),
            strict=False,
        )

    return make


FUNCTIONS: dict[str, Function] = {
    name: Function(f"{name}(moment_s, 'Area/City')", says, constants=("text",), optional=1, make=_make(name))
    for name, says in _SAYS.items()
}
"""Without a zone in UTC."""
