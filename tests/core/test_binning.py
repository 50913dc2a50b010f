import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.binning import BINS_MAX, EMPTY_RANGE, bin_edges, count_bins, total_variation

VALUES = st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(math.nan), st.integers(0, 3).map(float)), max_size=80)


@given(VALUES, st.integers(1, 20), VALUES)
def test_every_value_is_counted_once_and_the_reference_has_no_unseen(reference, bins, values):
    edges, low, high = bin_edges(reference, bins)
    assert list(edges) == sorted(set(edges)), "edges must ascend without repetition"
    assert len(edges) <= bins - 1
    counts = count_bins(values, edges, low, high)
    assert counts.dtype == np.int64
    assert len(counts) == len(edges) + 3
    assert counts.sum() == len(values), "a value was lost or counted twice"
    assert counts[-2] == sum(math.isnan(v) for v in values)
    assert count_bins(reference, edges, low, high)[-1] == 0, "a reference value cannot be unseen"


@given(VALUES, VALUES, VALUES)
def test_counts_add_up_over_windows(reference, first, second):
    edges = bin_edges(reference, 5)
    assert (count_bins(first + second, *edges) == count_bins(first, *edges) + count_bins(second, *edges)).all()


def test_bins_of_a_continuous_column_hold_equally_many():
    values = np.random.default_rng(0).normal(size=10_000)
    counts = count_bins(values, *bin_edges(values, 10))
    assert counts[:-2].tolist() == pytest.approx([1_000] * 10, abs=2)


def test_a_discrete_column_has_one_bin_a_value():
    values = np.repeat([0.0, 1.0, 2.0], [50, 30, 20])
    edges, low, high = bin_edges(values, 10)
    assert edges == (1.0, 2.0)
    assert count_bins(values, edges, low, high).tolist() == [50, 30, 20, 0, 0]


def test_a_changed_unit_is_unseen_but_a_warm_day_is_not():
    edges, low, high = bin_edges(np.linspace(0.0, 60.0, 100), 5)
    counts = count_bins([75.0, -50.0, 3_600.0, math.inf, -math.inf, math.nan], edges, low, high)
    assert counts[-1] == 3, "only values further out than the range is wide are unseen"
    assert counts[-2] == 1
    assert counts[0] == 1
    assert counts[len(edges)] == 1


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf]])
def test_a_reference_without_values_makes_everything_unseen(values):
    edges, low, high = bin_edges(values, 4)
    assert (edges, (low, high)) == ((), EMPTY_RANGE)
    assert count_bins([1.0, 0.5, math.nan], edges, low, high).tolist() == [0, 1, 2]


def test_a_constant_reference_sees_only_its_value():
    assert count_bins([7.0, 7.0, 8.0], *bin_edges([7.0, 7.0], 4)).tolist() == [2, 0, 1]


@pytest.mark.parametrize("bins", [0, BINS_MAX + 1])
def test_number_of_bins_is_bounded(bins):
    with pytest.raises(InvalidInput):
        bin_edges([1.0], bins)


COUNTS = st.lists(st.integers(0, 100), min_size=4, max_size=4).filter(any)


@given(COUNTS, COUNTS, COUNTS)
def test_total_variation_is_a_distance(a, b, c):
    assert 0.0 <= total_variation(a, b) <= 1.0 + 1e-12
    assert total_variation(a, b) == total_variation(b, a)
    assert total_variation(a, [2 * x for x in a]) == pytest.approx(0.0)
    assert total_variation(a, c) <= total_variation(a, b) + total_variation(b, c) + 1e-12


def test_total_variation_of_nothing_is_unknown_and_of_other_bins_refused():
    assert total_variation([1, 0], [0, 5]) == 1.0
    assert math.isnan(total_variation([0, 0], [1, 2]))
    with pytest.raises(InvalidInput):
        total_variation([1], [1, 2])
