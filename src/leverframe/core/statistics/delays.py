"""How late labels come, estimated although the latest ones are not here yet."""

import math

import numpy as np
from numpy.typing import ArrayLike

from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.intervals import normal_quantile
from leverframe.core.statistics.margins import Floats


class DelayCurve:
    r"""Kaplan-Meier estimate of the share of labels known within a time, from requests of which some still wait.

    A request that is ``age`` old and unlabelled says only that its delay is longer than that:

    .. math:: \hat G(t) = 1 - \prod_{d_i \le t} \left(1 - \frac{\text{labels at } d_i}{\text{requests waiting just before } d_i}\right)

    Parameters
    ----------
    times: delay of a labelled request, age of an unlabelled one; any unit, >= 0.    labelled: which it is.

    Raises
    ------
    InvalidInput: no request, or a negative time.

    Source: Kaplan, Meier 1958, JASA 53; Greenwood 1926 for the variance.

    >>> curve = DelayCurve([1.0, 2.0, 2.0, 3.0], [True, True, False, True])
    >>> curve.share(0.5), round(curve.share(2.0), 3), curve.share(3.0)
    (0.0, 0.5, 1.0)
    """

    def __init__(self, times: ArrayLike, labelled: ArrayLike) -> None:
        time, known = np.asarray(times, dtype=np.float64).ravel(), np.asarray(labelled, dtype=bool).ravel()
        if not time.size or not np.isfinite(time).all() or time.min() < 0.0:
            raise InvalidInput("a delay curve needs requests with times of 0 or more", where="delay curve", got=f"{time.size} requests")
        self.times, index = np.unique(time, return_inverse=True)
        events = np.bincount(index, weights=known, minlength=self.times.size)
        leaving = np.bincount(index, minlength=self.times.size)
        waiting = time.size - np.concatenate(([0], np.cumsum(leaving)[:-1]))
        self._missing = np.cumprod(1.0 - events / waiting)
        left = waiting - events
        with np.errstate(divide="ignore", invalid="ignore"):
            self._greenwood = np.cumsum(np.where(left > 0, events / (waiting * left), 0.0))

    def _at(self, time: ArrayLike) -> tuple[Floats, Floats]:
        position = np.searchsorted(self.times, np.asarray(time, dtype=np.float64), side="right")
        missing = np.concatenate(([1.0], self._missing))[position]
        return missing, np.concatenate(([0.0], self._greenwood))[position]

    def share(self, time: float) -> float:
        """Share of all labels that are known within ``time``."""
        return float(1.0 - self._at(time)[0])

    def band(self, time: float, confidence: float = 0.95) -> tuple[float, float]:
        """Greenwood's interval of :meth:`share`, cut to [0, 1]."""
        missing, variance = (float(value) for value in self._at(time))
        radius = normal_quantile(confidence) * missing * math.sqrt(variance)
        return max(0.0, 1.0 - missing - radius), min(1.0, 1.0 - missing + radius)

    def horizon(self, share: float) -> float | None:
        """The shortest time within which ``share`` of all labels is known, None when that was not seen yet."""
        reached = np.flatnonzero(1.0 - self._missing >= share - 1e-12)
        return float(self.times[reached[0]]) if reached.size else None
