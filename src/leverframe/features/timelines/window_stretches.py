"""Which rows count at which moments, in numpy: stretches of points in time, and what can be said of all points at once.

A row counts at the points ``first <= p < end``, which may be none. Points are numbered over all entities, entity after entity, so that
one pass over flat arrays answers for all of them. Nothing here assumes that rows leave in the order in which they came: late rows and
corrections do not.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stretches:
    """The stretches of one window: ``first`` (ascending) and ``end`` of each row that counts, over ``points`` points."""

    first: Int
    end: Int
    points: int


def greatest(stretches: Stretches, values: Any, nothing: float) -> Any:
    """The greatest of ``values`` over the rows of each point, ``nothing`` where there is none.

    ``values`` are int64 or float64, one for each stretch, and so is the answer, of shape ``[points]``.
    Every stretch is covered by two of a power-of-two length that may overlap, and these are halved level by level down to points:
    as many passes as the longest stretch has binary digits, each over flat arrays (a sparse table, filled backwards).

    >>> greatest(Stretches(np.array([0, 1]), np.array([3, 2]), 4), np.array([5.0, 7.0]), -np.inf).tolist()
    [5.0, 7.0, 5.0, -inf]
    """
    best = np.full(stretches.points, nothing, dtype=values.dtype)
    if not len(values):
        return best
    level = np.frexp((stretches.end - stretches.first).astype(np.float64))[1] - 1
    order = np.argsort(level, kind="stable")
    bounds = np.searchsorted(level[order], np.arange(level.max() + 2))
    for k in range(int(level.max()), -1, -1):
        rows = order[bounds[k] : bounds[k + 1]]
        if len(rows):
            np.maximum.at(best, stretches.first[rows], values[rows])
            np.maximum.at(best, stretches.end[rows] - (1 << k), values[rows])
        if k:
            half = 1 << (k - 1)
            lower = best.copy()
            np.maximum(lower[half:], best[:-half], out=lower[half:])
            best = lower
    return best


def distinct(stretches: Stretches, groups: Int) -> Int:
    """How many different values the rows of each point have; ``groups`` numbers the pairs of entity and value, from zero, without gaps.

    The stretches of one value are merged where they meet; then each merged stretch counts one.

    >>> distinct(Stretches(np.array([0, 1, 1]), np.array([2, 3, 2]), 4), np.array([0, 0, 1])).tolist()
    [1, 2, 1, 0]
    """
    if not len(groups):
        return np.zeros(stretches.points, dtype=np.int64)
    order = np.argsort(groups, kind="stable")
    group = groups[order]
    # Lifting each group above the one before makes one running maximum serve all groups.
    lift = group * np.int64(stretches.points + 1)
    first, reach = stretches.first[order] + lift, np.maximum.accumulate(stretches.end[order] + lift)
    begins = np.concatenate([[True], (group[1:] != group[:-1]) | (first[1:] > reach[:-1])])
    ends = np.concatenate([np.flatnonzero(begins)[1:] - 1, [len(group) - 1]])
    come = np.bincount((first - lift)[begins], minlength=stretches.points)[: stretches.points]
    gone = np.bincount((reach - lift)[ends], minlength=stretches.points)[: stretches.points]
    return np.cumsum(come - gone)
