"""Quantiles (p50, p99 of latency): confidence sequences without any assumption on the distribution, and two arms against a margin.

Values are kept as counts over bins that grow by a fixed ratio, so memory is bounded, any two histograms add up, and order plays no role.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.bernoulli import rate_log_evidence
from leverframe.core.statistics.margins import Floats

BIN_RATIO = 1.02
"""Each bin ends 2 % above where it begins: the error that a quantile read from the counts can have."""

BINS = 1_200
"""From 1 up to 2e10 in the value's unit (5 hours in microseconds); what is below or above falls into the first or the last bin."""

_LOG_RATIO = math.log(BIN_RATIO)


def bins_of(values: ArrayLike) -> NDArray[np.int64]:
    """The bin of each value: bin ``k`` holds values in (1.02**(k-1), 1.02**k].

    >>> bins_of([0.0, 1.0, 1.02, 1.5, 1e99]).tolist()
    [0, 0, 1, 21, 1199]
    """
    array = np.asarray(values, dtype=np.float64)
    positions = np.ceil(np.log(np.maximum(array, 1.0)) / _LOG_RATIO - 1e-9)
    return np.clip(positions, 0, BINS - 1).astype(np.int64)


def below_log_evidence(below: ArrayLike, n: ArrayLike, quantile: float, *, fewer: bool) -> Floats:
    r"""Evidence that values lie at or below some point with probability less (``fewer``), or more, than ``quantile``.

    Mixture over the likeliest rate that the hypothesis allows:
    :math:`E_n = \int p^s (1-p)^{n-s} d\pi / \sup_{p \ge q} p^s (1-p)^{n-s}`, at most what the mixture wins against the truth.

    Source: Wasserman, Ramdas, Balakrishnan 2020, "Universal inference", section 8.

    >>> below_log_evidence([2, 10, 18], 20, 0.5, fewer=True).round(1).tolist()
    [5.6, -1.7, -1.8]
    """
    s, total = np.asarray(below, dtype=np.float64), np.asarray(n, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = np.where(total > 0.0, s / total, quantile)
    allowed = np.maximum(seen, quantile) if fewer else np.minimum(seen, quantile)
    # rate_log_evidence divides by the likelihood at its argument, which here is the likeliest allowed rate.
    safe = np.clip(allowed, 0.0, 1.0)
    return np.asarray(np.where(total > 0.0, rate_log_evidence(s, total, safe), 0.0))


class QuantileSequence:
    r"""Confidence sequence for a quantile.

    How many of ``n`` values lie at or below the true quantile :math:`q` is binomial with probability :math:`p`, whatever the distribution;
    a point stays in the interval while the beta-binomial mixture has not won ``1/alpha`` against that. Ends are the ends of bins.

    Parameters
    ----------
    quantile: p, between 0 and 1.

    Source: Howard, Ramdas 2022, "Sequential estimation of quantiles with applications to A/B testing and best-arm
    identification", Bernoulli 28.

    >>> latency = QuantileSequence(0.5)
    >>> latency.update(np.arange(1.0, 1001.0))
    >>> [round(x) for x in (latency.estimate, *latency.interval(0.05))]
    [502, 437, 565]
    """

    def __init__(self, quantile: float) -> None:
        if not 0.0 < quantile < 1.0:
            raise InvalidInput("quantile out of range", where="quantile sequence", expected="between 0 and 1", got=f"{quantile:g}")
        self.quantile = quantile
        self.counts: NDArray[np.int64] = np.zeros(BINS, dtype=np.int64)
        self.n = 0

    def update(self, values: ArrayLike) -> None:
        """Fold values in, positive, in one unit throughout."""
        bins = bins_of(values)
        self.counts += np.bincount(bins.ravel(), minlength=BINS)
        self.n += bins.size

    @property
    def estimate(self) -> float | None:
        """The upper end of the bin that holds the quantile, None before the first value."""
        if not self.n:
            return None
        return BIN_RATIO ** int(np.searchsorted(np.cumsum(self.counts), self.quantile * self.n))

    def log_evidence(self) -> Floats:
        """Evidence against the quantile lying in each bin, ``[BINS]``: the least that any point of the bin has against it."""
        upto = np.cumsum(self.counts)
        nearest = np.clip(self.quantile * self.n, upto - self.counts, upto)
        return rate_log_evidence(nearest, self.n, self.quantile)

    def interval(self, alpha: float) -> tuple[float, float]:
        """The quantiles not excluded, over all looks together, at level ``alpha``: (0, infinity) before the first value."""
        if not self.n:
            return 0.0, math.inf
        kept = np.flatnonzero(self.log_evidence() < -math.log(alpha))
        low, high = int(kept[0]), int(kept[-1])
        return 0.0 if low == 0 else BIN_RATIO ** (low - 1), math.inf if high == BINS - 1 else BIN_RATIO**high


class QuantileMargin:
    r"""Is the candidate's quantile more than ``1 + margin`` times the champion's? Two arms, different requests, no assumption.

    Were the champion's quantile :math:`x`, then the candidate's values lie at or below :math:`(1 + m) x` with probability at least
    :math:`p` (hypothesis of no harm). Evidence against both together is the product of two independent e-processes, and since
    :math:`x` is not known, the least over all bins counts:

    .. math:: E_n = \min_x E^{(0)}_n(x)\, E^{(1)}_n((1 + m)\, x)

    Parameters
    ----------
    quantile: p, e.g. 0.99.    margin: relative, e.g. 0.25 for a quarter more; estimate and interval are relative differences too.

    Source: Howard, Ramdas 2022, section 5; Vovk, Wang 2021 for the product.

    >>> latency = QuantileMargin(quantile=0.5, margin=0.25)
    >>> latency.update(candidate=np.arange(200.0, 400.0), champion=np.arange(100.0, 200.0).repeat(10))
    >>> latency.log_harm > 10.0, round(latency.estimate, 1)
    (True, 1.0)
    """

    def __init__(self, *, quantile: float, margin: float) -> None:
        if not margin > 0.0:
            raise InvalidInput("margin out of range", where="quantile margin", expected="above 0", got=f"{margin:g}")
        self.margin = margin
        self.candidate, self.champion = QuantileSequence(quantile), QuantileSequence(quantile)

    def update(self, *, candidate: ArrayLike = (), champion: ArrayLike = ()) -> None:
        """Fold values of each arm in."""
        self.candidate.update(candidate)
        self.champion.update(champion)

    @property
    def n(self) -> int:
        """Values of the smaller arm."""
        return min(self.candidate.n, self.champion.n)

    @property
    def estimate(self) -> float | None:
        """How much larger the candidate's quantile is, relatively; None while an arm is empty."""
        one, zero = self.candidate.estimate, self.champion.estimate
        return None if one is None or zero is None else one / zero - 1.0

    def _evidence(self, difference: float, *, above: bool, grown: float = 1.0) -> float:
        if not self.n:
            return 0.0
        one, zero, p = self.candidate, self.champion, self.candidate.quantile
        steps = math.log1p(difference) / _LOG_RATIO
        upto = np.concatenate(([0], np.cumsum(one.counts)))
        # Bin k is (r^(k-1), r^k]: the most that can lie below its shifted end counts against harm, the least against proof.
        shift = math.ceil(steps - 1e-9) + 1 if above else math.floor(steps + 1e-9)
        below = upto[np.clip(np.arange(BINS) + shift, 0, BINS)]
        upto_zero = np.cumsum(zero.counts)
        nearest = np.clip(p * zero.n, upto_zero - zero.counts, upto_zero)
        zeros = rate_log_evidence(grown * nearest, grown * zero.n, p)
        # Where the champion alone excludes a bin by more than any candidate could make good, the minimum is not there.
        near = zeros <= zeros.min() + 60.0
        ones = below_log_evidence(grown * below[near], grown * one.n, p, fewer=above)
        return float((zeros[near] + ones).min())

    @property
    def log_harm(self) -> float:
        """Evidence against a quantile at most ``1 + margin`` times the champion's."""
        return self._evidence(self.margin, above=True)

    @property
    def log_proof(self) -> float:
        """Evidence against a quantile at least ``1 + margin`` times the champion's."""
        return self._evidence(self.margin, above=False)

    @property
    def growth(self) -> float:
        """Of the proof, per value of the smaller arm: what twice the data would add."""
        if not self.n:
            return 0.0
        return (self._evidence(self.margin, above=False, grown=2.0) - self.log_proof) / self.n

    def interval(self, alpha: float) -> tuple[float, float]:
        """Relative differences not excluded, each side at level ``alpha``: from the two arms' own sequences, a bin's width too far out."""
        one, zero = self.candidate.interval(alpha / 2.0), self.champion.interval(alpha / 2.0)
        low = one[0] / zero[1] - 1.0 if zero[1] < math.inf else -1.0
        return low, one[1] / zero[0] - 1.0 if zero[0] > 0.0 else math.inf
