"""The reference profile: what the inputs and the scores looked like, and how much their days differed when nothing was wrong."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.profile import ColumnProfile, ReferenceProfile
from leverframe.core.statistics.binning import bin_edges, count_bins, total_variation

Floats = NDArray[np.float64]
Part = tuple[Floats, NDArray[np.int64]]

BINS = 20
MISSING_WINDOW_US = 3 * HOUR_US
MISSING_ROWS_MIN = 20
WINDOW_ROWS_MIN = 50
"""A window with fewer rows, or with fewer than half of the usual number (the days cut off at both ends of the reference period), differs
from the rest by chance alone and would teach that anything is normal."""


def column_profile(name: str, values: Floats, at_us: NDArray[np.int64], *, window_us: int = DAY_US, bins: int = BINS) -> ColumnProfile:
    """Counts of one column over its own quantile bins, with the time-aware null.

    Parameters
    ----------
    values: ``[rows]``, NaN for missing.    at_us: ``[rows]`` moments, microseconds UTC.    window_us: length of a window.
    """
    edges, low, high = bin_edges(values, bins)
    counts = count_bins(values, edges, low, high)
    null = window_distances(values, at_us, edges, low, high, window_us=window_us)
    missing = missing_shares(values, at_us)
    return ColumnProfile(
        name=name, edges=edges, counts=tuple(counts.tolist()), low=low, high=high, null_distances=null, null_missing=missing
    )


def missing_shares(values: Floats, at_us: NDArray[np.int64], *, window_us: int = MISSING_WINDOW_US) -> tuple[float, ...]:
    """Share of missing values in each short window with rows enough, ascending and rounded to a ten-thousandth.

    >>> missing_shares(np.repeat([np.nan, 1.0], 20), np.repeat([0, 1], 20), window_us=1)
    (0.0, 1.0)
    """
    _, window, rows = np.unique(at_us // window_us, return_inverse=True, return_counts=True)
    missing = np.bincount(window, weights=np.isnan(values), minlength=len(rows))
    enough = rows >= MISSING_ROWS_MIN
    return tuple(np.sort(np.round(missing[enough] / rows[enough], 4)).tolist())


def window_distances(
    values: Floats, at_us: NDArray[np.int64], edges: Sequence[float], low: float, high: float, *, window_us: int = DAY_US
) -> tuple[float, ...]:
    """Total-variation distance between each window and all other rows, ascending.

    Random halves of the same rows would differ far less than two days of real data do: weather lasts, and Mondays are not Sundays.

    >>> window_distances(np.repeat([0.0, 1.0, 1.0], 50), np.repeat([0, 1, 2], 50), (1.0,), 0.0, 1.0, window_us=1)
    (0.5, 0.5, 1.0)
    """
    windows = at_us // window_us
    starts = np.unique(windows)
    counts = np.array([count_bins(values[windows == start], edges, low, high) for start in starts])
    total = counts.sum(axis=0)
    rows = counts.sum(axis=1)
    enough = rows >= max(WINDOW_ROWS_MIN, float(np.median(rows)) / 2)
    distances = [total_variation(window, total - window) for window in counts[enough]]
    return tuple(sorted(d for d in distances if d == d))


def score_profile(parts: Sequence[Part], *, window_us: int = DAY_US, bins: int = BINS) -> ColumnProfile:
    """The score's profile: counts of the last part (rows the model has not seen), and the null of all parts.

    Scores of fitted rows are more extreme than those of new rows, so live scores are compared with the holdout's; but how much days differ
    among themselves can be learnt from every part, each day against the rest of its own part.

    Parameters
    ----------
    parts: (scores, moments) of the fitted rows, then of the holdout.
    """
    scores, at_us = parts[-1]
    reference = column_profile("score", scores, at_us, window_us=window_us, bins=bins)
    null = [
        d
        for values, moments in parts
        for d in window_distances(values, moments, reference.edges, reference.low, reference.high, window_us=window_us)
    ]
    return ColumnProfile(
        name="score",
        edges=reference.edges,
        counts=reference.counts,
        low=reference.low,
        high=reference.high,
        null_distances=tuple(sorted(null)),
    )


def reference_profile(
    names: Sequence[str],
    matrix: Floats,
    at_us: NDArray[np.int64],
    labels: ArrayLike,
    scores: Sequence[Part],
    *,
    roc_auc: float,
    log_loss: float,
    window_us: int = DAY_US,
    bins: int = BINS,
) -> ReferenceProfile:
    """The profile that is frozen into a bundle.

    Parameters
    ----------
    names: input columns in matrix order.    matrix: float64 ``[rows, columns]``.    at_us: ``[rows]`` moments the questions were asked.
    labels: ``[rows]`` of 0 and 1.    scores: see :func:`score_profile`.    roc_auc, log_loss: on the holdout.
    """
    return ReferenceProfile(
        rows=len(matrix),
        window_us=window_us,
        missing_window_us=MISSING_WINDOW_US,
        columns=tuple(column_profile(name, matrix[:, i], at_us, window_us=window_us, bins=bins) for i, name in enumerate(names)),
        score=score_profile(scores, window_us=window_us, bins=bins),
        label_rate=float(np.mean(np.asarray(labels, dtype=np.float64))),
        roc_auc=roc_auc,
        log_loss=log_loss,
    )
