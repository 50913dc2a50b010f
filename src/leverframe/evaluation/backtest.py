"""How a model would have done over time: the same metrics, window by window."""

import numpy as np
from numpy.typing import ArrayLike

from leverframe.core.clock import DAY_US, iso_from_us
from leverframe.core.errors import LimitExceeded, SchemaMismatch
from leverframe.core.evaluation import Metric
from leverframe.evaluation.metrics import checked, measure

WINDOWS_MAX = 1_000
WEEK_US = 7 * DAY_US


def backtest(
    labels: ArrayLike, scores: ArrayLike, asked_at_us: ArrayLike, rng: np.random.Generator, *, window_us: int = WEEK_US
) -> tuple[Metric, ...]:
    """Every metric on each window of ``window_us``, oldest first; the slice is ``from=<ISO 8601 start>``. Empty windows are left out.

    Parameters
    ----------
    asked_at_us: ``[rows]`` moments, microseconds UTC, in any order. The first window starts at the day of the oldest.
    window_us: length of a window, microseconds, >= 1.

    Raises
    ------
    SchemaMismatch: another number of moments than rows.    LimitExceeded: more than ``WINDOWS_MAX`` windows.

    >>> found = backtest([0, 1, 1], [0.2, 0.9, 0.4], [0, 1, WEEK_US], np.random.default_rng(0))
    >>> [(m.slice, m.value) for m in found if m.name == "accuracy"]
    [('from=1970-01-01T00:00:00Z', 1.0), ('from=1970-01-08T00:00:00Z', 0.0)]
    """
    y, p = checked(labels, scores)
    moments = np.asarray(asked_at_us, dtype=np.int64).ravel()
    if len(moments) != len(y):
        raise SchemaMismatch("moments do not match the rows", where="backtest", expected=f"{len(y)} moments", got=str(len(moments)))
    start = int(moments.min()) // DAY_US * DAY_US
    position = (moments - start) // window_us
    if int(position.max()) >= WINDOWS_MAX:
        raise LimitExceeded(
            "too many windows",
            where="backtest",
            expected=f"<= {WINDOWS_MAX}",
            got=str(int(position.max()) + 1),
            next_step="use a longer window",
        )
    found: list[Metric] = []
    for index in np.unique(position):
        rows = np.flatnonzero(position == index)
        found += measure(y[rows], p[rows], rng, slice=f"from={iso_from_us(start + int(index) * window_us)}")
    return tuple(found)
