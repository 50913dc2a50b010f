import numpy as np
import pytest

from leverframe.evaluation.calibration import calibration_bins, calibration_error


def test_bins_hold_all_rows_and_their_means(scored):
    labels, scores = scored
    bins = calibration_bins(labels, scores)
    assert [b.n for b in bins] == pytest.approx([200] * 10, abs=1)
    assert sum(b.n * b.predicted for b in bins) == pytest.approx(scores.sum())
    assert sum(b.n * b.observed for b in bins) == pytest.approx(labels.sum())
    assert [b.predicted for b in bins] == sorted(b.predicted for b in bins)


def test_error_is_the_weighted_gap_of_the_bins(scored):
    labels, scores = scored
    bins = calibration_bins(labels, scores)
    expected = sum(b.n * abs(b.predicted - b.observed) for b in bins) / len(labels)
    assert calibration_error(labels, scores, np.random.default_rng(0)).value == pytest.approx(expected)


def test_a_true_probability_and_a_doubled_one_are_told_apart(scored):
    labels, scores = scored
    true = calibration_error(labels, scores, np.random.default_rng(0))
    doubled = calibration_error(labels, np.minimum(1.0, 2 * scores), np.random.default_rng(0))
    assert true.low == 0.0, "the interval of a calibrated score must reach down to nothing"
    assert doubled.low > 0.2
    assert doubled.value == pytest.approx(np.minimum(1.0, 2 * scores).mean() - labels.mean(), abs=0.01)


def test_one_score_for_all_rows_is_one_bin():
    labels = np.array([0.0, 1.0, 1.0, 1.0])
    (only,) = calibration_bins(labels, np.full(4, 0.5))
    assert (only.predicted, only.observed, only.n) == (0.5, 0.75, 4)
    assert calibration_error(labels, np.full(4, 0.5), np.random.default_rng(0)).value == 0.25


def test_a_calibrated_score_is_seldom_accused():
    rng, accused = np.random.default_rng(3), 0
    for _ in range(100):
        scores = rng.beta(2, 5, 500)
        labels = (rng.random(500) < scores).astype(float)
        accused += calibration_error(labels, scores, rng, resamples=100).low > 0.0
    assert accused <= 5, f"{accused} of 100 calibrated scores were called uncalibrated at 95 %"
