"""Reference-quantile bins: counts that add up over any window, and the distance between two of them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leverframe.core.errors import InvalidInput

BINS_MAX = 1_000
"""More bins than this would be a copy of the data, not a summary of it."""

EMPTY_RANGE = (1.0, 0.0)
"""The range of a reference without values: it contains nothing, so every value seen later is unseen."""


def bin_edges(values: ArrayLike, bins: int) -> tuple[tuple[float, ...], float, float]:
    """Inner cut points of at most ``bins`` right-open bins with about equally many reference values each, and the reference range.

    A value that fills several quantiles becomes one cut point, so discrete columns get one bin per frequent value and no empty bins.

    Parameters
    ----------
    values: reference values, any length; NaN is left out.
    bins: wanted number of bins, 1 to ``BINS_MAX``.

    Returns
    -------
    edges: ascending inner cut points (K - 1 of them for K bins), each greater than ``low``.
    low, high: smallest and largest finite value; ``(1.0, 0.0)``, the empty range, when there is none (records carry no NaN).

    Raises
    ------
    InvalidInput: ``bins`` is out of range.

    >>> bin_edges([0.0, 0.0, 0.0, 1.0, 2.0, float("nan")], 4)
    ((1.0,), 0.0, 2.0)
    """
    if not 1 <= bins <= BINS_MAX:
        raise InvalidInput("number of bins out of range", where="bin_edges", expected=f"1 to {BINS_MAX}", got=str(bins))
    array = np.asarray(values, dtype=np.float64).ravel()
    finite = array[np.isfinite(array)]
    if not len(finite):
        return (), *EMPTY_RANGE
    low, high = float(finite.min()), float(finite.max())
    cuts = np.quantile(finite, np.arange(1, bins) / bins, method="higher")
    return tuple(float(cut) for cut in np.unique(cuts) if cut > low), low, high


def count_bins(values: ArrayLike, edges: ArrayLike, low: float, high: float) -> NDArray[np.int64]:
    """Counts over the bins of ``edges``, then *missing* (NaN), then *unseen*; always sums to the number of values.

    Unseen is a value outside ``[low, high]`` by more than the range itself (infinities included): a unit that changed, not a warm day.
    With a reference that holds one single value every other value is unseen.

    Parameters
    ----------
    values: any length.
    edges: K - 1 ascending inner cut points of K right-open bins.
    low, high: the reference range; low > high when the reference had no value, and then every value is unseen.

    Returns
    -------
    int64 ``[K + 2]``.

    >>> count_bins([0.0, 1.0, 3.5, 99.0, float("nan")], (1.0,), 0.0, 2.0).tolist()
    [1, 2, 1, 1]
    """
    cuts = np.asarray(edges, dtype=np.float64)
    return np.bincount(bin_positions(values, cuts, low, high), minlength=len(cuts) + 3).astype(np.int64, copy=False)


def bin_positions(values: ArrayLike, edges: ArrayLike, low: float, high: float) -> NDArray[np.int64]:
    """The position of each value in the counts of :func:`count_bins`, for counting many windows of a batch at once.

    >>> bin_positions([0.0, 1.0, 3.5, 99.0, float("nan")], (1.0,), 0.0, 2.0).tolist()
    [0, 1, 1, 3, 2]
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    cuts = np.asarray(edges, dtype=np.float64)
    span = high - low
    missing = np.isnan(array)
    unseen = ~missing & ~((array >= low - span) & (array <= high + span))
    position = np.searchsorted(cuts, array, side="right").astype(np.int64, copy=False)
    position[missing] = len(cuts) + 1
    position[unseen] = len(cuts) + 2
    return position


def total_variation(first: ArrayLike, second: ArrayLike) -> float:
    r"""Largest difference in probability that two counted distributions give to any event, 0 (equal) to 1 (disjoint).

    .. math:: d = \tfrac{1}{2} \sum_k \left| \frac{a_k}{\sum a} - \frac{b_k}{\sum b} \right|

    Parameters
    ----------
    first, second: counts over the same bins.

    Returns
    -------
    the distance; NaN when either side counted nothing, because nothing can be said then.

    Raises
    ------
    InvalidInput: the two have different numbers of bins.

    >>> total_variation([1, 1], [3, 1])
    0.25
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise InvalidInput("counts over different bins", where="total_variation", expected=str(a.shape), got=str(b.shape))
    if a.sum() == 0 or b.sum() == 0:
        return float("nan")
    return float(0.5 * np.abs(a / a.sum() - b / b.sum()).sum())
