"""Confidence sequences for rates (errors, slow answers): exact at every sample size, from the very first request."""

import math

from leverframe.core.errors import InvalidInput

_BISECTIONS = 50


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


class RateSequence:
    r"""Beta-binomial mixture confidence sequence for the probability of an event.

    A rate ``p`` stays in the interval while the mixture has not won ``1/alpha`` against it:

    .. math:: E_n(p) = \frac{B(a + s, b + n - s)}{B(a, b)\, p^s (1 - p)^{n - s}} < \frac{1}{\alpha}

    with ``s`` events in ``n`` trials. Under ``p``, ``E`` is a martingale that starts at 1, so by Ville's inequality it ever reaches
    ``1/alpha`` with probability at most ``alpha``. No approximation, hence usable after one request.

    Parameters
    ----------
    prior: the Beta(prior, prior) mixture; 1/2 (Jeffreys) is sharp near 0 and 1, where rates of errors live.

    Source: Robbins 1970; Howard, Ramdas, McAuliffe, Sekhon 2021, arXiv 1810.08240.

    >>> rate = RateSequence()
    >>> rate.update(events=0, trials=100)
    >>> low, high = rate.interval(0.05)
    >>> low, round(high, 4)
    (0.0, 0.057)
    """

    def __init__(self, *, prior: float = 0.5) -> None:
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
        s, f = self.events, self.n - self.events
        if (p <= 0.0 and s) or (p >= 1.0 and f):
            return math.inf
        fit = (s * math.log(p) if s else 0.0) + (f * math.log1p(-p) if f else 0.0)
        return _log_beta(self._prior + s, self._prior + f) - _log_beta(self._prior, self._prior) - fit

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


class RateDifference:
    """Confidence sequence for the difference of two arms' rates (candidate minus champion).

    Each arm gets an exact sequence at half the level; the union bound makes the difference of their ends exact as well. It does
    not matter how the arms' requests interleave, nor whether they are the same requests.

    >>> difference = RateDifference()
    >>> difference.update(candidate=(8, 8), champion=(0, 72))
    >>> low, high = difference.interval(0.001)
    >>> low > 0.05, high
    (True, 1.0)
    """

    def __init__(self) -> None:
        self.candidate = RateSequence()
        self.champion = RateSequence()

    def update(self, *, candidate: tuple[int, int] = (0, 0), champion: tuple[int, int] = (0, 0)) -> None:
        """Fold (events, trials) of each arm in."""
        self.candidate.update(events=candidate[0], trials=candidate[1])
        self.champion.update(events=champion[0], trials=champion[1])

    @property
    def n(self) -> int:
        """Trials of the smaller arm."""
        return min(self.candidate.n, self.champion.n)

    @property
    def estimate(self) -> float | None:
        """Candidate rate minus champion rate, None while an arm is empty."""
        one, zero = self.candidate.estimate, self.champion.estimate
        return None if one is None or zero is None else one - zero

    def interval(self, alpha: float) -> tuple[float, float]:
        """The two-sided interval for the difference, valid over all looks together."""
        low_one, high_one = self.candidate.interval(alpha / 2.0)
        low_zero, high_zero = self.champion.interval(alpha / 2.0)
        return low_one - high_zero, high_one - low_zero
