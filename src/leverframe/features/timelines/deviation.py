"""The sample standard deviation from exact sums, in a fixed order of operations, so that every engine finds the same bits.

With whole numbers ``x`` (millionths), ``n`` of them, their sum ``s`` and sum of squares ``t``: let ``q`` be the floor of ``s / n`` and
``r = s - n q``. Then the sum of ``(x - q)²`` is exactly ``d = t - q (s + r)``, small where the values are close together, and

    std = sqrt((d - r² / n) / (n - 1)) / 10⁶

has nothing left to cancel that matters. ``d`` needs 128 bits on the way (|x| summed may reach 9e18) and is turned into a float as
``float(d >> 64) 2⁶⁴ + float(d mod 2⁶⁴)``: an integer's correctly rounded conversion is not to be had in every engine, this is.
"""

import math

import numpy as np
import numpy.typing as npt

Int = npt.NDArray[np.int64]
Unsigned = npt.NDArray[np.uint64]
Float = npt.NDArray[np.float64]

TWO_64 = 18446744073709551616.0
_MICROS = 1_000_000.0
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFF_FFFF)


def deviation(n: int, total: int, squares: int) -> float:
    """The deviation of one window; NaN for fewer than two values.

    >>> deviation(3, 6_000_000, 14_000_000_000_000)
    1.0
    """
    if n < 2:
        return math.nan
    floor, rest = divmod(total, n)
    spread = squares - floor * (total + rest)
    about = float(spread >> 64) * TWO_64 + float(spread & 0xFFFF_FFFF_FFFF_FFFF)
    return math.sqrt((about - float(rest) * float(rest) / float(n)) / float(n - 1)) / _MICROS


def square_limbs(values: Int) -> tuple[Int, Int, Int]:
    """``values²`` as limbs whose sums over any rows stay exact: units, multiples of 2³² and of 2⁶⁴."""
    size = np.abs(values).astype(np.uint64)
    high, low = size >> _HALF, size & _LOW
    low_square, cross = low * low, np.uint64(2) * high * low
    units = low_square & _LOW
    middles = (low_square >> _HALF) + (cross & _LOW)
    tops = high * high + (cross >> _HALF)
    return units.astype(np.int64), middles.astype(np.int64), tops.astype(np.int64)


def deviations(n: Int, total: Int, limbs: tuple[Int, Int, Int]) -> Float:
    """``deviation`` of many windows at once; shape ``[windows]``.

    >>> x = np.array([1_000_000, 2_000_000, 3_000_000])
    >>> sums = [np.array([limb.sum()]) for limb in square_limbs(x)]
    >>> deviations(np.array([3]), np.array([6_000_000]), (sums[0], sums[1], sums[2])).tolist()
    [1.0]
    """
    enough = n > 1
    count = np.where(enough, n, 2)
    floor = total // count
    rest = total - floor * count
    high, low = _wide(limbs)
    taken_high, taken_low = _product(floor, total + rest)
    spread_low = low - taken_low
    spread_high = high - taken_high - (low < taken_low).astype(np.uint64)
    about = spread_high.astype(np.float64) * TWO_64 + spread_low.astype(np.float64)
    left = rest.astype(np.float64)
    whole: Float = np.sqrt((about - left * left / count.astype(np.float64)) / (count - 1).astype(np.float64)) / _MICROS
    return np.where(enough, whole, np.nan)


def _wide(limbs: tuple[Int, Int, Int]) -> tuple[Unsigned, Unsigned]:
    """The (high, low) halves of a sum of squares."""
    units, middles, tops = (limb.astype(np.uint64) for limb in limbs)
    shifted = (middles & _LOW) << _HALF
    low = units + shifted
    high = tops + (middles >> _HALF) + (low < units).astype(np.uint64)
    return high, low


def _product(a: Int, b: Int) -> tuple[Unsigned, Unsigned]:
    """The (high, low) halves of ``a b`` modulo 2¹²⁸, in two's complement."""
    x, y = np.abs(a).astype(np.uint64), np.abs(b).astype(np.uint64)
    x_high, x_low, y_high, y_low = x >> _HALF, x & _LOW, y >> _HALF, y & _LOW
    low_low = x_low * y_low
    first = x_high * y_low + (low_low >> _HALF)
    second = x_low * y_high + (first & _LOW)
    high = x_high * y_high + (first >> _HALF) + (second >> _HALF)
    low = (second << _HALF) | (low_low & _LOW)
    negative = (a < 0) != (b < 0)
    flipped_low = ~low + np.uint64(1)
    flipped_high = ~high + (flipped_low == 0).astype(np.uint64)
    return np.where(negative, flipped_high, high), np.where(negative, flipped_low, low)
