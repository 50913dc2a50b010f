"""Does 30 % mean 30 %: predicted probabilities against observed rates."""

import math

import numpy as np
from numpy.typing import NDArray

from leverframe.core.evaluation import CalibrationBin
from leverframe.core.statistics.binning import bin_edges
from leverframe.core.statistics.intervals import Interval, bootstrap_interval

Floats = NDArray[np.float64]

BINS = 10
RESAMPLES = 200


def _bins_of(scores: Floats, bins: int) -> NDArray[np.int64]:
    edges, _, _ = bin_edges(scores, bins)
    return np.searchsorted(np.asarray(edges), scores, side="right")


def calibration_bins(labels: Floats, scores: Floats, bins: int = BINS) -> tuple[CalibrationBin, ...]:
    """The reliability diagram's points: bins of about equally many rows, lowest scores first; equal scores share a bin.

    Parameters
    ----------
    labels: ``[rows]`` of 0 and 1.    scores: ``[rows]`` probabilities.

    >>> [(b.predicted, b.observed, b.n) for b in calibration_bins(np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.2, 0.2, 0.9, 0.9]), 2)]
    [(0.2, 0.5, 2), (0.9, 1.0, 2)]
    """
    position = _bins_of(scores, bins)
    counts = np.bincount(position)
    predicted, observed = np.bincount(position, weights=scores), np.bincount(position, weights=labels)
    return tuple(
        CalibrationBin(predicted=float(p / n), observed=float(o / n), n=int(n))
        for p, o, n in zip(predicted, observed, counts, strict=True)
        if n
    )


def calibration_error(
    labels: Floats, scores: Floats, rng: np.random.Generator, *, bins: int = BINS, resamples: int = RESAMPLES
) -> Interval:
    r"""Expected calibration error over equal-mass bins, with a bias-corrected bootstrap interval.

    .. math:: \mathrm{ECE} = \sum_b \frac{n_b}{n} \left| \bar p_b - \bar y_b \right|

    A perfect model's estimate is not zero but about :math:`\sqrt{2/\pi} \sum_b \frac{n_b}{n} \sqrt{\bar p_b (1 - \bar p_b) / n_b}`; the
    lower end is brought down by that much, so that a calibrated score is not accused. The upper end is left where it is.

    Source: Naeini, Cooper, Hauskrecht 2015, AAAI; Nixon et al. 2019, "Measuring calibration in deep learning" (adaptive bins).

    >>> calibration_error(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.random.default_rng(0)).value
    0.0
    """
    position = _bins_of(scores, bins)
    order = np.argsort(position, kind="stable")
    starts = np.unique(position[order], return_index=True)[1]
    gaps = (scores - labels)[order]

    def error(weights: Floats) -> Floats:
        per_bin = np.abs(np.add.reduceat(weights * gaps, starts, axis=1))
        with np.errstate(invalid="ignore"):
            result: Floats = per_bin.sum(axis=1) / weights.sum(axis=1)
        return result

    interval = bootstrap_interval(error, len(scores), rng, resamples=resamples)
    return Interval(interval.value, max(0.0, interval.low - _noise_floor(scores, position)), min(1.0, interval.high))


def _noise_floor(scores: Floats, position: NDArray[np.int64]) -> float:
    """The error that a perfectly calibrated score is expected to show on so many rows."""
    counts = np.bincount(position)
    used = counts > 0
    p = np.bincount(position, weights=scores)[used] / counts[used]
    return float(math.sqrt(2.0 / math.pi) * (np.sqrt(counts[used] * p * (1.0 - p))).sum() / len(scores))
