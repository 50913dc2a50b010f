import msgspec
import numpy as np
import pytest

from leverframe.core.clock import DAY_US
from leverframe.core.digest import canonical_json
from leverframe.core.profile import ReferenceProfile
from leverframe.core.statistics.binning import count_bins, total_variation
from leverframe.training.profile import WINDOW_ROWS_MIN, column_profile, reference_profile, score_profile, window_distances


def days(rows_a_day, number):
    return np.repeat(np.arange(number) * DAY_US, rows_a_day)


def test_counts_are_those_of_the_reference_and_distances_those_of_its_days():
    rng = np.random.default_rng(0)
    values, at_us = rng.normal(size=1_000), days(100, 10)
    values[::10] = np.nan
    profile = column_profile("x", values, at_us, bins=5)
    assert profile.counts == tuple(count_bins(values, profile.edges, profile.low, profile.high))
    assert (profile.counts[-2], profile.counts[-1], sum(profile.counts)) == (100, 0, 1_000)
    expected = []
    for day in range(10):
        rows = at_us == day * DAY_US
        counted = [count_bins(values[part], profile.edges, profile.low, profile.high) for part in (rows, ~rows)]
        expected.append(total_variation(*counted))
    assert profile.null_distances == tuple(sorted(expected))


def test_days_that_last_differ_more_than_shuffled_rows():
    """Why the null must keep time: shuffling the same rows hides how much days differ."""
    rng = np.random.default_rng(1)
    values = np.repeat(rng.normal(size=30), 100) + rng.normal(size=3_000) * 0.3
    ordered = column_profile("x", values, days(100, 30))
    shuffled = column_profile("x", rng.permutation(values), days(100, 30))
    assert min(ordered.null_distances) > max(shuffled.null_distances)


def test_thin_windows_teach_nothing_and_one_window_has_no_rest():
    values = np.arange(100.0)
    thin = WINDOW_ROWS_MIN - 1
    assert window_distances(values[: 2 * thin], days(thin, 2), (50.0,), 0.0, 99.0) == ()
    assert window_distances(values, days(100, 1), (50.0,), 0.0, 99.0) == ()


def test_the_score_is_counted_on_unseen_rows_but_its_null_uses_all_days():
    rng = np.random.default_rng(2)
    fitted, held = (rng.random(600), days(60, 10)), (rng.random(300) * 0.5, days(60, 5))
    profile = score_profile([fitted, held])
    assert sum(profile.counts) == 300
    assert profile.high == held[0].max()
    assert len(profile.null_distances) == 15
    assert list(profile.null_distances) == sorted(profile.null_distances)


def test_the_profile_survives_its_json_also_with_an_empty_column():
    matrix = np.column_stack([np.random.default_rng(0).normal(size=200), np.full(200, np.nan)])
    scores = [(np.full(200, 0.5), days(100, 2))]
    profile = reference_profile(["a", "empty"], matrix, days(100, 2), [0.0, 1.0] * 100, scores, roc_auc=0.7, log_loss=0.5)
    assert msgspec.json.decode(canonical_json(profile), type=ReferenceProfile) == profile
    assert profile.columns[1].counts == (0, 200, 0)
    assert (profile.rows, profile.window_us, profile.roc_auc) == (200, DAY_US, 0.7)
    assert profile.label_rate == pytest.approx(0.5)
