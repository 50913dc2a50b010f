"""One rate (errors, slow answers, hits): a confidence sequence that is exact at every sample size, from the very first request."""

import math

import numpy as np
from numpy.typing import ArrayLike

from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.special import Floats, log_beta, log_times

_BISECTIONS = 50

JEFFREYS = 0.5
"""The Beta(1/2, 1/2) mixture is sharp near 0 and 1, where rates of errors live."""


def rate_log_evidence(events: ArrayLike, trials: ArrayLike, p: ArrayLike, *, prior: tuple[float, float] = (JEFFREYS, JEFFREYS)) -> Floats:
    r"""Logarithm of the beta-binomial mixture's evidence against the rate ``p``, for arrays of counts.

    .. math:: E_n(p) = \frac{B(a + s, b + n - s)}{B(a, b)\, p^s (1 - p)^{n - s}}

    Parameters
    ----------
    events, trials: counts, 0 <= events <= trials.    p: rates, 0 to 1.    prior: the mixture Beta(a, b).

    Source: Robbins 1970; Howard, Ramdas, McAuliffe, Sekhon 2021, arXiv 1810.08240.

    >>> rate_log_evidence([0, 3], 3, 0.5).round(4).tolist()
    [0.9163, 0.9163]
    """
    s = np.asarray(events, dtype=np.float64)
    f = np.asarray(trials, dtype=np.float64) - s
    a, b = prior
    return np.asarray(log_beta(a + s, b + f) - float(log_beta(a, b)) - log_times(s, p) - log_times(f, 1.0 - np.asarray(p)))


class RateSequence:
    r"""Beta-binomial mixture confidence sequence for the probability of an event.

    A rate ``p`` stays in the interval while the mixture has not won ``1/alpha`` against it (:func:`rate_log_evidence`). Under ``p`` the
    evidence is a martingale that starts at 1, so by Ville's inequality it ever reaches ``1/alpha`` with probability at most ``alpha``.
    No approximation, hence usable after one request.

    Parameters
    ----------
    prior: the Beta(prior, prior) mixture.

    Source: Robbins 1970; Howard, Ramdas, McAuliffe, Sekhon 2021, arXiv 1810.08240.

    >>> rate = RateSequence()
    >>> rate.update(events=0, trials=100)
    >>> low, high = rate.interval(0.05)
    >>> low, round(high, 4)
    (0.0, 0.057)
    """

    def __init__(self, *, prior: float = JEFFREYS) -> None:
        self._prior = prior
        self.events = 0
        self.n = 0

    def update(self, *, events: int, trials: int) -> None:
        """Fold ``trials`` trials in, of which ``events`` had the event.

        Raises
        ------
        InvalidInput: more events than trials, or a negative count.
        """
        if not 0 <= events <= trials:
            raise InvalidInput("events must be between 0 and trials", where="rate sequence", expected=f"0..{trials}", got=str(events))
        self.events += events
        self.n += trials

    @property
    def estimate(self) -> float | None:
        """Share of trials with the event, None before the first."""
        return self.events / self.n if self.n else None

    def log_evidence(self, p: float) -> float:
        """Natural logarithm of the evidence against the rate ``p``."""
        return float(rate_log_evidence(self.events, self.n, p, prior=(self._prior, self._prior)))

    def interval(self, alpha: float) -> tuple[float, float]:
        """The rates not excluded, over all looks together, at level ``alpha``."""
        if not self.n:
            return 0.0, 1.0
        centre = self.events / self.n
        limit = -math.log(alpha)
        low = 0.0 if self.log_evidence(0.0) < limit else self._edge(0.0, centre, limit)
        high = 1.0 if self.log_evidence(1.0) < limit else self._edge(1.0, centre, limit)
        return low, high

    def _edge(self, excluded: float, kept: float, limit: float) -> float:
        """Bisect between an excluded and a kept rate; evidence is convex in the rate, so there is one edge on each side."""
        for _ in range(_BISECTIONS):
            middle = 0.5 * (excluded + kept)
            if self.log_evidence(middle) < limit:
                kept = middle
            else:
                excluded = middle
        return excluded
