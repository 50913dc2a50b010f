"""The deviation from exact sums: right for the hardest numbers, and the same bits for one window and for many."""

import math
import statistics

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.features.timelines.deviation import deviation, deviations, square_limbs


def many(whole: list[int]) -> float:
    values = np.array(whole, dtype=np.int64)
    units, middles, tops = (np.array([limb.sum()]) for limb in square_limbs(values))
    return float(deviations(np.array([len(whole)]), np.array([values.sum()]), (units, middles, tops))[0])


def one(whole: list[int]) -> float:
    return deviation(len(whole), sum(whole), sum(x * x for x in whole))


sizes = st.sampled_from([9, 10**4, 10**9, 2 * 10**17])
whole_lists = sizes.flatmap(lambda size: st.lists(st.integers(-size, size), min_size=2, max_size=40))


@given(whole_lists, st.integers(-(10**15), 10**15))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_it_is_the_sample_deviation_and_the_same_for_one_and_for_many(whole: list[int], shift: int) -> None:
    """A sum of squares that wrapped around, or lost its last digits far from zero, would show here."""
    if abs(shift) + max(map(abs, whole)) < 2 * 10**17:
        whole = [x + shift for x in whole]
    assert one(whole) == many(whole)
    exact = (
        statistics.stdev(map(float, whole)) / 1e6
        if max(map(abs, whole)) < 2**53
        else float(np.std([float(x) for x in whole], ddof=1)) / 1e6
    )
    assert math.isclose(one(whole), exact, rel_tol=1e-12, abs_tol=0.0 if max(map(abs, whole)) < 2**53 else 1.0)


def test_equal_values_deviate_by_exactly_nothing() -> None:
    """A running float formula gives 1e-8 here, or the root of a negative number."""
    for value in (0, 1, -7, 10**12 + 1, 4 * 10**18):
        assert one([value, value]) == many([value, value]) == 0.0
    assert math.isnan(one([5]))
    assert math.isnan(many([5]))


def test_the_largest_numbers_that_are_let_in_do_not_wrap_around() -> None:
    """Absolute values may add up to 9e18 millionths."""
    whole = [4_500_000_000_000_000_000, -4_500_000_000_000_000_000]
    assert one(whole) == many(whole)
    assert math.isclose(one(whole), 4.5e12 * math.sqrt(2), rel_tol=1e-15)
