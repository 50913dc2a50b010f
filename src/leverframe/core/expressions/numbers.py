"""Arithmetic on float64 as IEEE 754 says, for one row and for columns.

What numpy rounds correctly (sums, products, quotients, remainders, roots, whole parts) it computes for columns. Where the last bit is up to
a mathematics library (logarithms, powers, angles) columns are computed row by row with the function that a single row takes: numpy has
others for arrays, which differ from machine to machine.
"""

import math
import operator
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from leverframe.core.expressions.tree import Bools, Function, Kind, Operation

NAN, INFINITY = float("nan"), float("inf")
EARTH_RADIUS_KM = 6371.0088
"""Mean radius R1 of the WGS 84 ellipsoid (Moritz 2000)."""
Floats = npt.NDArray[np.float64]


def divide(a: float, b: float) -> float:
    """The quotient; by zero, whatever its sign, an infinity of the sign of ``a``, or NaN of 0 / 0.

    >>> divide(1.0, 0.0), divide(-1.0, -0.0), divide(0.0, 0.0)
    (inf, -inf, nan)
    """
    if b:
        return a / b
    if a != a or a == 0.0:
        return NAN
    return math.copysign(INFINITY, a)


def remainder(a: float, b: float) -> float:
    """What is left of ``a`` after whole multiples of ``b``, with the sign of ``a``.

    >>> remainder(-7.0, 3.0), remainder(1.0, 0.0)
    (-1.0, nan)
    """
    try:
        return math.fmod(a, b)
    except ValueError:
        return NAN


def _whole(part: Callable[[float], int]) -> Callable[[float], float]:
    """A whole part of a float that keeps the sign of zero, and infinities."""

    def one(x: float) -> float:
        return math.copysign(float(part(x)), x) if math.isfinite(x) else x

    return one


def _guarded(function: Callable[..., float]) -> Callable[..., float]:
    """``function`` with NaN outside its domain and an infinity beyond its range, where Python raises."""

    def one(*values: float) -> float:
        try:
            return function(*values)
        except ValueError:
            return NAN
        except OverflowError:
            return INFINITY

    return one


def _log_of(function: Callable[[float], float], pole: float = 0.0) -> Callable[[float], float]:
    def one(x: float) -> float:
        if x > pole:
            return function(x)
        return -INFINITY if x == pole else NAN

    return one


def power(x: float, y: float) -> float:
    """``x`` to the power of ``y`` as C's ``pow``.

    >>> power(2.0, 3.0), power(0.0, -1.0), power(-8.0, 0.5), power(-10.0, 309.0)
    (8.0, inf, nan, -inf)
    """
    try:
        return math.pow(x, y)
    except OverflowError:
        return -INFINITY if x < 0.0 and y % 2.0 == 1.0 else INFINITY
    except ValueError:
        if x != 0.0:
            return NAN
        # A pole: odd powers keep the sign of zero.
        return math.copysign(INFINITY, x) if y % 2.0 == 1.0 else INFINITY


def sign(x: float) -> float:
    """-1, 0 or 1; of zero and NaN themselves.

    >>> sign(-3.5), sign(0.0)
    (-1.0, 0.0)
    """
    return 1.0 if x > 0.0 else -1.0 if x < 0.0 else x


def _signs(x: Floats) -> Floats:
    signs: Floats = np.sign(x)
    return np.where(x == 0.0, x, signs)


def clip(x: float, low: float, high: float) -> float:
    """``x``, or the limit that it is beyond; NaN stays NaN.

    >>> clip(7.0, 0.0, 5.0)
    5.0
    """
    return low if x < low else high if x > high else x


def haversine_km(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    """Great-circle distance in km between two places in degrees, on a sphere of the Earth's mean radius (up to 0.6 % off the ellipsoid).

    >>> round(haversine_km(40.64, -73.78, 42.36, -71.01), 1)  # JFK to BOS
    299.6
    """
    try:
        phi_a, phi_b = math.radians(lat_a), math.radians(lat_b)
        across, along = math.sin((phi_b - phi_a) / 2.0), math.sin(math.radians(lon_b - lon_a) / 2.0)
        chord = across * across + math.cos(phi_a) * math.cos(phi_b) * (along * along)
    except ValueError:  # the sine of an infinity
        return NAN
    # Rounding may lift opposite points a hair above 1.
    return 2.0 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(chord, 1.0))) if chord == chord else NAN


def _equal(a: float, b: float) -> bool:
    return a == b or (a != a and b != b)


def _unequal(a: float, b: float) -> bool:
    return not (a == b or (a != a and b != b))


def _less(a: float, b: float) -> bool:
    return a < b or (b != b and a == a)


def _at_most(a: float, b: float) -> bool:
    return a <= b or b != b


def _equals(a: Floats, b: Floats) -> Bools:
    both: Bools = (a == b) | (np.isnan(a) & np.isnan(b))
    return both


def _lesses(a: Floats, b: Floats) -> Bools:
    less: Bools = (a < b) | (np.isnan(b) & ~np.isnan(a))
    return less


def _at_mosts(a: Floats, b: Floats) -> Bools:
    most: Bools = (a <= b) | np.isnan(b)
    return most


def _number(one: Callable[..., float], many: Callable[..., Floats] | None = None, takes: int = 1) -> tuple[Operation, ...]:
    kind: Kind = "number"
    return (Operation(takes=(kind,) * takes, gives="number", one=one, many=many),)


COMPARISONS: dict[str, Operation] = {
    "=": Operation(takes=("number", "number"), gives="truth", one=_equal, many=_equals),
    "<>": Operation(takes=("number", "number"), gives="truth", one=_unequal, many=lambda a, b: ~_equals(a, b)),
    "<": Operation(takes=("number", "number"), gives="truth", one=_less, many=_lesses),
    "<=": Operation(takes=("number", "number"), gives="truth", one=_at_most, many=_at_mosts),
    ">": Operation(takes=("number", "number"), gives="truth", one=lambda a, b: _less(b, a), many=lambda a, b: _lesses(b, a)),
    ">=": Operation(takes=("number", "number"), gives="truth", one=lambda a, b: _at_most(b, a), many=lambda a, b: _at_mosts(b, a)),
}
"""Of numbers; NaN equals itself and is greater than all others, as in Polars."""

OPERATORS: dict[str, Function] = {
    "+": Function("a + b", "sum", _number(operator.add, np.add, 2)),
    "-": Function("a - b", "difference", _number(operator.sub, np.subtract, 2)),
    "*": Function("a * b", "product", _number(operator.mul, np.multiply, 2)),
    "/": Function("a / b", "ratio; x / 0 is an infinity, 0 / 0 is missing", _number(divide, lambda a, b: a / (b + 0.0), 2)),
    "%": Function("a % b", "remainder, with the sign of a", _number(remainder, np.fmod, 2)),
    "negative": Function("-a", "the other sign", _number(operator.neg, np.negative)),
}

FUNCTIONS: dict[str, Function] = {
    "abs": Function("abs(x)", "without its sign", _number(abs, np.abs)),
    "sign": Function("sign(x)", "-1, 0 or 1", _number(sign, _signs)),
    "sqrt": Function("sqrt(x)", "square root", _number(_guarded(math.sqrt), np.sqrt)),
    "floor": Function("floor(x)", "the whole number below", _number(_whole(math.floor), np.floor)),
    "ceil": Function("ceil(x)", "the whole number above", _number(_whole(math.ceil), np.ceil)),
    "round": Function("round(x)", "the nearest whole number, halves to the even one", _number(_whole(round), np.rint)),
    "mod": Function("mod(a, b)", "a % b", _number(remainder, np.fmod, 2)),
    "exp": Function("exp(x)", "e to the power of x", _number(_guarded(math.exp))),
    "ln": Function("ln(x)", "natural logarithm", _number(_log_of(math.log))),
    "log10": Function("log10(x)", "logarithm to base 10", _number(_log_of(math.log10))),
    "log2": Function("log2(x)", "logarithm to base 2", _number(_log_of(math.log2))),
    "log1p": Function("log1p(x)", "ln(1 + x), exact for small x", _number(_log_of(math.log1p, -1.0))),
    "power": Function("power(x, y)", "x to the power of y", _number(power, None, 2)),
    "sin": Function("sin(x)", "sine of radians", _number(_guarded(math.sin))),
    "cos": Function("cos(x)", "cosine of radians", _number(_guarded(math.cos))),
    "tan": Function("tan(x)", "tangent of radians", _number(_guarded(math.tan))),
    "asin": Function("asin(x)", "arc sine, radians", _number(_guarded(math.asin))),
    "acos": Function("acos(x)", "arc cosine, radians", _number(_guarded(math.acos))),
    "atan": Function("atan(x)", "arc tangent, radians", _number(math.atan)),
    "atan2": Function("atan2(y, x)", "angle of the point (x, y), radians", _number(math.atan2, None, 2)),
    "degrees": Function("degrees(x)", "radians as degrees", _number(math.degrees)),
    "radians": Function("radians(x)", "degrees as radians", _number(math.radians)),
    "clip": Function(
        "clip(x, low, high)",
        "x, or the limit it is beyond",
        _number(clip, lambda x, low, high: np.where(x < low, low, np.where(x > high, high, x)), 3),
    ),
    "haversine_km": Function(
        "haversine_km(lat1, lon1, lat2, lon2)", "great-circle distance of two places in degrees", _number(haversine_km, None, 4)
    ),
}
FUNCTIONS |= {"ceiling": FUNCTIONS["ceil"], "pow": FUNCTIONS["power"]}
