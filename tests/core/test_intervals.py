import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.intervals import (
    auc_gain_interval,
    auc_interval,
    bootstrap_interval,
    delong,
    mean_interval,
    midranks,
    normal_quantile,
    wilson,
)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_scipy(case):
    successes, n = case
    expected = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    got = wilson(successes, n)
    assert got.low == pytest.approx(expected.low, abs=1e-12), "the lower end is wrong"
    assert got.high == pytest.approx(expected.high, abs=1e-12), "the upper end is wrong"
    assert got.low <= got.value <= got.high


def test_wilson_without_rows_says_nothing():
    assert wilson(0, 0)[1:] == (0.0, 1.0)
    with pytest.raises(InvalidInput):
        wilson(3, 2)


def test_normal_quantile_equals_scipy():
    assert normal_quantile(0.99) == pytest.approx(stats.norm.ppf(0.995), abs=1e-12)
    with pytest.raises(InvalidInput):
        normal_quantile(1.0)


def test_mean_interval_is_the_normal_interval_of_the_standard_error():
    values = np.random.default_rng(1).exponential(size=400)
    low, high = stats.norm.interval(0.95, values.mean(), stats.sem(values))
    assert mean_interval(values) == pytest.approx((values.mean(), low, high))


@pytest.mark.parametrize("values", [[1.0], [1.0, math.nan], [1.0, math.inf]])
def test_mean_interval_refuses_what_has_no_interval(values):
    with pytest.raises(InvalidInput):
        mean_interval(values)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60))
def test_midranks_equal_scipy_also_with_ties(values):
    assert midranks(values).tolist() == stats.rankdata(values).tolist()


def _pairwise_delong(labels, scores):
    """DeLong by its definition: every pair, no ranks."""
    positives, negatives = scores[:, labels == 1], scores[:, labels == 0]
    wins = (positives[:, :, None] > negatives[:, None, :]) + 0.5 * (positives[:, :, None] == negatives[:, None, :])
    v10, v01 = wins.mean(axis=2), wins.mean(axis=1)
    covariance = np.atleast_2d(np.cov(v10)) / v10.shape[1] + np.atleast_2d(np.cov(v01)) / v01.shape[1]
    return wins.mean(axis=(1, 2)), covariance


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 60), st.integers(1, 3))
def test_delong_equals_its_definition_pair_by_pair(seed, rows, k):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([[0, 0, 1, 1], rng.integers(0, 2, rows)])
    scores = np.round(rng.normal(size=(k, rows + 4)) + labels, 1)
    aucs, covariance = delong(labels, scores)
    expected_aucs, expected_covariance = _pairwise_delong(labels, scores)
    np.testing.assert_allclose(aucs, expected_aucs, atol=1e-12)
    np.testing.assert_allclose(covariance, expected_covariance, atol=1e-12)
    assert aucs[0] == pytest.approx(roc_auc_score(labels, scores[0]))


def test_auc_interval_covers_the_truth_as_often_as_it_says():
    rng, truth, covered = np.random.default_rng(7), stats.norm.cdf(1 / math.sqrt(2)), 0
    for _ in range(400):
        labels = np.repeat([0.0, 1.0], [120, 80])
        interval = auc_interval(labels, rng.normal(size=200) + labels)
        covered += interval.low <= truth <= interval.high
    assert 0.92 <= covered / 400 <= 0.98, "a 95 % interval must cover about 95 times in 100"


def test_complete_separation_does_not_claim_certainty():
    few = auc_interval([0, 0, 0, 1, 1, 1], [1, 2, 3, 4, 5, 6])
    assert few.value == 1.0
    assert few.low < 0.6, "three rows a class prove little"
    assert auc_interval(np.repeat([0, 1], 500), np.arange(1000)).low > 0.99


def test_paired_gain_is_antisymmetric_and_narrower_than_two_intervals():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 500)
    good = rng.normal(size=500) + labels
    worse = good + rng.normal(size=500) * 0.3
    gain, loss = auc_gain_interval(labels, good, worse), auc_gain_interval(labels, worse, good)
    assert gain.value == pytest.approx(roc_auc_score(labels, good) - roc_auc_score(labels, worse))
    assert (loss.low, loss.high) == pytest.approx((-gain.high, -gain.low))
    alone = auc_interval(labels, good)
    assert gain.high - gain.low < 0.6 * (alone.high - alone.low), "pairing must use that both scores saw the same rows"


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1, 0], [0, 0, 1]])
def test_auc_needs_two_rows_of_each_class(labels):
    with pytest.raises(InvalidInput, match="two rows of each class"):
        auc_interval(labels, np.arange(len(labels)))


def test_bootstrap_agrees_with_the_normal_interval_of_a_mean_and_repeats_from_its_seed():
    values = np.random.default_rng(5).normal(size=2_000)

    def mean(weights):
        return weights @ values / weights.sum(axis=1)

    first = bootstrap_interval(mean, 2_000, np.random.default_rng(1), resamples=1_000)
    assert first == bootstrap_interval(mean, 2_000, np.random.default_rng(1), resamples=1_000)
    expected = mean_interval(values)
    assert first.low == pytest.approx(expected.low, abs=0.006)
    assert first.high == pytest.approx(expected.high, abs=0.006)
    with pytest.raises(InvalidInput):
        bootstrap_interval(mean, 2_000, np.random.default_rng(1), resamples=5)
