"""Fixed-sample confidence intervals: rates, means, ROC AUC, and anything that can be re-weighted.

These hold for one look at a finished sample, such as a holdout. For numbers that are looked at while they grow, see :mod:`.sequential`.
"""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leverframe.core.errors import InvalidInput

Floats = NDArray[np.float64]

RESAMPLES_MAX = 10_000
WEIGHTS_MAX = 4_000_000
"""Bootstrap weights held in memory at a time (32 MB); more rows are worked off in more rounds."""


class Interval(NamedTuple):
    """A point estimate and the two ends of its confidence interval."""

    value: float
    low: float
    high: float


def normal_quantile(confidence: float) -> float:
    """How many standard errors a two-sided interval of this ``confidence`` reaches to either side.

    >>> round(normal_quantile(0.95), 4)
    1.96
    """
    if not 0.0 < confidence < 1.0:
        raise InvalidInput("confidence out of range", where="interval", expected="between 0 and 1", got=str(confidence))
    return NormalDist().inv_cdf(0.5 + confidence / 2.0)


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    r"""Wilson's score interval for a rate; honest near 0 and 1, and for few rows.

    .. math:: \frac{\hat p + z^2/2n \pm z \sqrt{\hat p (1 - \hat p)/n + z^2/4n^2}}{1 + z^2/n}

    Parameters
    ----------
    successes: 0 to ``n``.    n: rows; 0 gives the interval that says nothing.

    Source: Wilson 1927, JASA 22.

    >>> [round(x, 4) for x in wilson(8, 10)]
    [0.8, 0.4902, 0.9433]
    """
    if not 0 <= successes <= n:
        raise InvalidInput("successes out of range", where="wilson", expected=f"0 to {n}", got=str(successes))
    if n == 0:
        return Interval(0.5, 0.0, 1.0)
    z = normal_quantile(confidence)
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    radius = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # At the ends the formula is exact up to rounding, and the interval must contain its own estimate.
    return Interval(rate, min(rate, max(0.0, centre - radius)), max(rate, min(1.0, centre + radius)))


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """The mean of independent rows with its normal interval (sample variance, n - 1).

    Raises
    ------
    InvalidInput: fewer than two rows, or a value that is not finite.

    >>> [round(x, 3) for x in mean_interval([1.0, 2.0, 3.0])]
    [2.0, 0.868, 3.132]
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    if len(array) < 2 or not np.isfinite(array).all():
        raise InvalidInput("a mean's interval needs two finite values", where="mean_interval", expected=">= 2", got=str(len(array)))
    mean = float(array.mean())
    radius = normal_quantile(confidence) * float(array.std(ddof=1)) / math.sqrt(len(array))
    return Interval(mean, mean - radius, mean + radius)


def midranks(values: ArrayLike) -> Floats:
    """Ranks 1 to n, ties sharing the mean of their ranks.

    >>> midranks([10.0, 20.0, 20.0, 5.0]).tolist()
    [2.0, 3.5, 3.5, 1.0]
    """
    _, inverse, counts = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Floats = ends[inverse] - (counts[inverse] - 1) / 2.0
    return ranks


def delong(labels: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    r"""ROC AUCs of several scores on the same rows, with the covariance of their estimates.

    With structural components :math:`V_{10}(i) = P(\text{a negative scores below positive } i)` and :math:`V_{01}(j)` likewise,
    the covariance is :math:`S_{10}/m + S_{01}/n`. Computed from midranks, so it takes a sort and no pair is ever formed.

    Parameters
    ----------
    labels: ``[rows]`` of 0 and 1, at least two of each.
    scores: ``[k, rows]``, finite; larger means likelier to be 1.

    Returns
    -------
    aucs ``[k]`` and covariance ``[k, k]``.

    Raises
    ------
    InvalidInput: fewer than two rows of a class.

    Source: DeLong, DeLong, Clarke-Pearson 1988, Biometrics 44; Sun, Xu 2014, IEEE Signal Processing Letters 21.

    >>> aucs, covariance = delong([0, 0, 1, 1], [[0.1, 0.4, 0.35, 0.8]])
    >>> aucs.tolist(), covariance.shape
    ([0.75], (1, 1))
    """
    positive = np.asarray(labels, dtype=np.float64).ravel() > 0.5
    matrix = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    m, n = int(positive.sum()), int((~positive).sum())
    if m < 2 or n < 2:
        raise InvalidInput("ROC AUC needs two rows of each class", where="delong", expected=">= 2", got=f"{m} positive, {n} negative")
    over_negatives, over_positives = np.empty((len(matrix), m)), np.empty((len(matrix), n))
    for index, row in enumerate(matrix):
        ranks = midranks(row)
        over_negatives[index] = (ranks[positive] - midranks(row[positive])) / n
        over_positives[index] = 1.0 - (ranks[~positive] - midranks(row[~positive])) / m
    covariance = np.atleast_2d(np.cov(over_negatives)) / m + np.atleast_2d(np.cov(over_positives)) / n
    return over_negatives.mean(axis=1), covariance


def auc_interval(labels: ArrayLike, scores: ArrayLike, confidence: float = 0.95) -> Interval:
    """ROC AUC with DeLong's interval, cut to [0, 1].

    A score that separates the sample completely has zero estimated variance; the rarer class then bounds what can be claimed (Wilson).

    >>> [round(x, 3) for x in auc_interval([0, 0, 0, 1, 1, 1], [0.1, 0.4, 0.35, 0.8, 0.38, 0.9])]
    [0.889, 0.581, 1.0]
    """
    aucs, covariance = delong(labels, scores)
    auc, variance = float(aucs[0]), float(covariance[0, 0])
    if variance <= 0.0 and auc in (0.0, 1.0):
        positives = int((np.asarray(labels).ravel() > 0.5).sum())
        rarer = min(positives, np.asarray(labels).size - positives)
        return wilson(round(auc * rarer), rarer, confidence)
    radius = normal_quantile(confidence) * math.sqrt(max(variance, 0.0))
    return Interval(auc, max(0.0, auc - radius), min(1.0, auc + radius))


def auc_gain_interval(labels: ArrayLike, scores: ArrayLike, other: ArrayLike, confidence: float = 0.95) -> Interval:
    """How much larger the ROC AUC of ``scores`` is than that of ``other`` on the same rows: paired, hence much narrower than two intervals.

    >>> labels = [0, 0, 0, 1, 1, 1]
    >>> auc_gain_interval(labels, [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6])
    Interval(value=0.0, low=0.0, high=0.0)
    """
    aucs, covariance = delong(labels, np.vstack([np.asarray(scores, dtype=np.float64), np.asarray(other, dtype=np.float64)]))
    gain = float(aucs[0] - aucs[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2.0 * covariance[0, 1])
    radius = normal_quantile(confidence) * math.sqrt(max(variance, 0.0))
    return Interval(gain, max(-1.0, gain - radius), min(1.0, gain + radius))


def bootstrap_interval(
    statistic: Callable[[Floats], Floats], rows: int, rng: np.random.Generator, *, resamples: int = 200, confidence: float = 0.95
) -> Interval:
    """Interval of a statistic by the Poisson bootstrap: each row counts Poisson(1) times, which needs no index per resample.

    The percentile interval is shifted by the bootstrap's own estimate of bias, because a statistic such as calibration error is
    larger on resampled rows than on the rows themselves.

    Parameters
    ----------
    statistic: takes weights ``[resamples, rows]`` and returns ``[resamples]`` values; all-ones weights give the estimate.
    rows: rows of the sample, >= 2.    resamples: 20 to ``RESAMPLES_MAX``.

    Source: Efron 1979; Chamandy et al. 2012, "Estimating uncertainty for massive data streams".

    >>> values = np.arange(100.0)
    >>> interval = bootstrap_interval(lambda w: w @ values / w.sum(axis=1), 100, np.random.default_rng(1))
    >>> interval.value, interval.low < 49.5 < interval.high
    (49.5, True)
    """
    if rows < 2 or not 20 <= resamples <= RESAMPLES_MAX:
        raise InvalidInput("bootstrap out of range", where="bootstrap", expected=f"20 to {RESAMPLES_MAX}", got=f"{resamples}, {rows} rows")
    value = float(statistic(np.ones((1, rows)))[0])
    at_a_time = max(1, WEIGHTS_MAX // rows)
    draws = np.concatenate(
        [
            statistic(rng.poisson(1.0, size=(min(at_a_time, resamples - done), rows)).astype(np.float64))
            for done in range(0, resamples, at_a_time)
        ]
    )
    draws = draws[np.isfinite(draws)]
    bias = float(draws.mean()) - value
    low, high = np.quantile(draws, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0]) - bias
    return Interval(value, min(value, float(low)), max(value, float(high)))
