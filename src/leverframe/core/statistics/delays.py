"""How late labels come, estimated although the latest ones are not here yet; and means that who answers first does not decide."""

import math

import numpy as np
from numpy.typing import ArrayLike

from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.intervals import normal_quantile
from leverframe.core.statistics.margins import Floats

WEIGHT_MAX = 5.0
"""A label counts at most this often for those of its kind that are still on their way; younger requests than that are left out."""


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


def weighted_outcome_mean(
    values: ArrayLike, kinds: ArrayLike, ages: ArrayLike, curves: dict[float, DelayCurve]
) -> tuple[float, int] | None:
    r"""Mean outcome of all requests from those labelled so far, each counting for those of its kind that are still on their way.

    How late a label comes depends on what it says (an early landing is known early), so each kind of label has its own curve
    :math:`G_y`, known from older requests, and a request of age :math:`a` counts :math:`1 / G_y(a)`:

    .. math:: \frac{\sum_i 1\{\text{labelled}\}\, x_i / G_{y_i}(a_i)}{\sum_i 1\{\text{labelled}\} / G_{y_i}(a_i)}

    A reading for people. Verdicts rest on requests old enough to need no weights.

    Parameters
    ----------
    values, kinds, ages: of the labelled requests, ``[rows]`` each: outcome, label, age now.    curves: by kind of label.

    Returns
    -------
    the mean and the rows it rests on; None when no row is old enough. A row is used only if every kind of its age would weigh at most
    :data:`WEIGHT_MAX`: leaving out by kind would be the very bias that the weights are against.

    Source: Horvitz, Thompson 1952; Robins, Rotnitzky, Zhao 1994.

    >>> quick, slow = DelayCurve([1.0] * 4, [True] * 4), DelayCurve([1.0, 3.0], [True, True])
    >>> weighted_outcome_mean([0.0, 0.0, 1.0], [0, 0, 1], [2.0, 2.0, 2.0], {0.0: quick, 1.0: slow})
    (0.5, 3)
    """
    x, kind, age = (np.asarray(value, dtype=np.float64).ravel() for value in (values, kinds, ages))
    shares = {label: 1.0 - curve._at(age)[0] for label, curve in curves.items()}
    usable = np.logical_and.reduce([share >= 1.0 / WEIGHT_MAX for share in shares.values()]) if shares else np.zeros(x.size, dtype=bool)
    weight = np.zeros(x.size)
    for label, share in shares.items():
        weight = np.where(usable & (kind == label), 1.0 / np.maximum(share, 1.0 / WEIGHT_MAX), weight)
    if not weight.sum():
        return None
    return float((weight * x).sum() / weight.sum()), int((weight > 0.0).sum())
