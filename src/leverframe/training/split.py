"""A holdout in time: judged on what came after, with a gap so that nothing leaks across."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leverframe.core.clock import DAY_US, iso_from_us
from leverframe.core.errors import InvalidInput, Refused

HOLDOUT_SHARE = 0.15
EMBARGO_US = DAY_US
"""As long as the longest feature window of the flights: a holdout question's windows then reach back over no fitted question's answer."""


@dataclass(frozen=True)
class Split:
    """Row positions to fit and to hold out; ``boundary_us`` is where the holdout starts, ``embargoed`` counts rows in neither."""

    fit: NDArray[np.int64]
    holdout: NDArray[np.int64]
    boundary_us: int
    embargoed: int


def time_split(
    asked_at_us: ArrayLike,
    label_known_at_us: ArrayLike,
    labels: ArrayLike,
    *,
    from_us: int,
    to_us: int,
    holdout_share: float = HOLDOUT_SHARE,
    embargo_us: int = EMBARGO_US,
) -> Split:
    """Hold out the last part of the window.

    A row is fitted when it was asked ``embargo_us`` before the boundary *and* its label was known by the boundary; it is held out when
    it was asked at or after the boundary; the rows between are used for neither.

    Parameters
    ----------
    asked_at_us, label_known_at_us, labels: ``[rows]``, the same order.    from_us, to_us: the window.
    holdout_share: part of the window's *time*, between 0 and 1.    embargo_us: >= 0.

    Raises
    ------
    Refused: either part would lack a class, so nothing could be fitted or judged.    InvalidInput: share or embargo out of range.

    >>> split = time_split([0, 1, 8, 9], [1, 2, 9, 10], [0, 1, 0, 1], from_us=0, to_us=10, holdout_share=0.2, embargo_us=2)
    >>> split.fit.tolist(), split.holdout.tolist(), split.boundary_us
    ([0, 1], [2, 3], 8)
    """
    if not 0.0 < holdout_share < 1.0 or embargo_us < 0 or from_us >= to_us:
        raise InvalidInput(
            "split out of range", where="split", expected="0 < share < 1, embargo >= 0", got=f"{holdout_share}, {embargo_us} us"
        )
    asked, known = np.asarray(asked_at_us, dtype=np.int64), np.asarray(label_known_at_us, dtype=np.int64)
    y = np.asarray(labels, dtype=np.float64)
    boundary_us = to_us - int((to_us - from_us) * holdout_share)
    fit = np.flatnonzero((asked < boundary_us - embargo_us) & (known <= boundary_us))
    holdout = np.flatnonzero(asked >= boundary_us)
    for name, rows in (("fit", fit), ("holdout", holdout)):
        if set(np.unique(y[rows])) != {0.0, 1.0}:
            raise Refused(
                f"the {name} part of the window lacks a class",
                where=f"boundary {iso_from_us(boundary_us)}",
                expected="rows with label 0 and rows with label 1",
                got=f"{len(rows)} rows, {int(y[rows].sum())} with label 1",
                next_step="train on a longer window",
            )
    return Split(fit=fit, holdout=holdout, boundary_us=boundary_us, embargoed=len(asked) - len(fit) - len(holdout))
