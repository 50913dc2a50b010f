"""Means against a harm margin (losses, revenue, anything with a variance): aimed normal mixtures, valid as the central limit theorem is.

The pages that share this base say what their rows are: paired differences and two arms (here), sums over callers (:mod:`.clusters`),
rows with what a covariate explains taken out (:mod:`.covariate`), blocks of positives and negatives (:mod:`.auc`).
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.margins import Floats
from leverframe.core.statistics.sequential import BURN_IN_ROWS, EVERYTHING, RunningMoments
from leverframe.core.statistics.special import log_normal_cdf

HARM_SPREAD = 2.0
"""Harm is looked for up to about so many margins beyond the margin."""

PROOF_SPREAD = 0.25
"""Proof is aimed at equality, give or take this part of the margin."""

YOUNG = 3.0
"""A variance estimated from ``n`` rows is trusted up to the factor ``1 + YOUNG / sqrt(n)``; the suite of sequences checks it."""

AIMED = 0.9
"""Part of the proof's mixture that is aimed at equality."""

FLOOR = 2.0
"""Smallest standard deviation believed, in margins: two nearly identical models differ in few rows, and a variance of zero over the first
rows is no proof that the next will not differ."""

_PICTURE = 129


def normal_log_evidence(
    n: ArrayLike, mean: ArrayLike, variance: ArrayLike, null: ArrayLike, *, aim: ArrayLike, spread: ArrayLike, above: bool
) -> Floats:
    r"""Evidence against "the mean is at most ``null``" (``above``), or "at least", by a mixture aimed at ``aim`` and cut off at ``null``.

    With :math:`s^2 = \sigma^2/n` and a normal prior :math:`N(a, \tau^2)` restricted to means :math:`\mu > m` beyond the null:

    .. math:: E_n = \frac{N(\bar x; a, \tau^2 + s^2)}{N(\bar x; m, s^2)} \cdot \frac{\Pr(\mu > m \mid \bar x)}{\Pr(\mu > m)}

    Every part of the mixture gains only if the null is wrong, so under any mean that the null allows this is a supermartingale that starts
    at 1. With ``aim = null`` it is Robbins' one-sided (half-normal) mixture; aimed at a known alternative it is nearly Wald's test.

    Parameters
    ----------
    n: rows, >= 1.    mean, variance: of the rows; the variance is taken as known (asymptotics: Waudby-Smith et al. 2021).
    null: the mean argued against.    aim, spread: centre and standard deviation of the prior.

    Source: Robbins 1970; Howard et al. 2021, proposition 6; Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas 2021, arXiv 2103.06476.

    >>> float(normal_log_evidence(100, 0.1, 1.0, 0.0, aim=0.0, spread=0.3, above=True).round(3))
    -0.196
    """
    sign = 1.0 if above else -1.0
    x, m, a = (sign * np.asarray(value, dtype=np.float64) for value in (mean, null, aim))
    s2, t2 = np.asarray(variance, dtype=np.float64) / np.asarray(n, dtype=np.float64), np.square(spread)
    total = s2 + t2
    ratio = 0.5 * np.log(s2 / total) - 0.5 * (x - a) ** 2 / total + 0.5 * (x - m) ** 2 / s2
    centre, width = (a * s2 + x * t2) / total, np.sqrt(t2 * s2 / total)
    return np.asarray(ratio + log_normal_cdf((centre - m) / width) - log_normal_cdf((a - m) / np.sqrt(t2)))


def mean_log_evidence(n: ArrayLike, mean: ArrayLike, variance: ArrayLike, difference: ArrayLike, margin: float) -> tuple[Floats, Floats]:
    """Harm and proof at each ``difference``, as every page of this family judges them; 0 (nothing known) without rows.

    Harm mixes over means up to some margins beyond; proof is aimed at equality.

    >>> harm, proof = mean_log_evidence(800, 0.0, 0.04, 0.02, 0.02)
    >>> float(harm.round(1)), float(proof.round(1))
    (-3.1, 3.7)
    """
    d = np.asarray(difference, dtype=np.float64)
    harm = normal_log_evidence(n, mean, variance, d, aim=d, spread=HARM_SPREAD * margin, above=True)
    aimed = normal_log_evidence(n, mean, variance, d, aim=np.minimum(0.0, d), spread=PROOF_SPREAD * margin, above=False)
    # Where the truth is not equality, the wide mixture still narrows; where it is, it costs a tenth of a nat.
    wide = normal_log_evidence(n, mean, variance, d, aim=d, spread=HARM_SPREAD * margin, above=False)
    return harm, np.asarray(np.logaddexp(aimed + math.log(AIMED), wide + math.log(1.0 - AIMED)))


def trusted(variance: ArrayLike, rows: ArrayLike, margin: float) -> Floats:
    """The variance believed after ``rows`` rows: at least the floor's, and more while it is young."""
    count = np.asarray(rows, dtype=np.float64)
    return np.asarray(np.maximum(variance, (FLOOR * margin) ** 2) * (1.0 + YOUNG / np.sqrt(count)))


class NormalMargin:
    """The common part: evidence from a summary ``(n, mean, variance of a row)`` that a page supplies, None while it is too young.

    Parameters
    ----------
    margin: > 0, the tolerated difference.
    """

    def __init__(self, margin: float) -> None:
        if not margin > 0.0 or not math.isfinite(margin):
            raise InvalidInput("margin out of range", where="margin test", expected="above 0", got=f"{margin:g}")
        self.margin = margin

    def summary(self) -> tuple[float, float, float] | None:
        """Rows, mean and trusted variance of a row; None before anything can be said."""
        raise NotImplementedError

    def _evidence(self, difference: ArrayLike) -> tuple[Floats, Floats]:
        summary = self.summary()
        if summary is None:
            nothing = np.zeros_like(np.asarray(difference, dtype=np.float64))
            return nothing, nothing
        return mean_log_evidence(*summary, difference, self.margin)

    @property
    def log_harm(self) -> float:
        """Evidence against a difference of at most the margin."""
        return float(self._evidence(self.margin)[0])

    @property
    def log_proof(self) -> float:
        """Evidence against a difference of at least the margin."""
        return float(self._evidence(self.margin)[1])

    @property
    def growth(self) -> float:
        r"""Of the proof, per observation: :math:`(m - \bar x)^2 / 2\sigma^2`; not positive when the mean lies beyond the margin."""
        summary = self.summary()
        if summary is None or summary[1] >= self.margin:
            return 0.0
        return (self.margin - summary[1]) ** 2 / (2.0 * summary[2])

    def interval(self, alpha: float) -> tuple[float, float]:
        """The means not excluded, each side at level ``alpha``; the ends are excluded ones, at most 1/64 of the half width too far out."""
        summary = self.summary()
        if summary is None:
            return EVERYTHING
        n, mean, variance = summary
        reach = math.sqrt(2.0 * variance / n * (-math.log(alpha) + 7.0 + math.log1p(n)))
        ladder = np.linspace(0.0, reach, _PICTURE)
        harm, proof = self._evidence(mean - ladder)[0], self._evidence(mean + ladder)[1]
        limit = -math.log(alpha)
        under, over = np.flatnonzero(harm >= limit), np.flatnonzero(proof >= limit)
        low = mean - float(ladder[under[0]]) if under.size else -math.inf
        return low, mean + float(ladder[over[0]]) if over.size else math.inf


class MeanMargin(NormalMargin):
    """The mean of independent rows, e.g. the paired difference of two models' losses on the same request.

    Rows may be folded in any order and in any batches.

    Parameters
    ----------
    margin: tolerated mean.    burn_in: rows before anything is said.

    >>> losses = MeanMargin(margin=0.02)
    >>> losses.update(np.tile([-0.1, 0.1], 200))
    >>> losses.log_proof > 3.0, [round(end, 3) for end in losses.interval(0.05)]
    (True, [-0.016, 0.014])
    """

    def __init__(self, *, margin: float, burn_in: int = BURN_IN_ROWS) -> None:
        super().__init__(margin)
        self._moments = RunningMoments()
        self._burn_in = burn_in

    def update(self, values: ArrayLike) -> None:
        """Fold rows in."""
        self._moments.update(values)

    @property
    def n(self) -> int:
        """Rows."""
        return self._moments.n

    @property
    def estimate(self) -> float | None:
        """The mean so far, None before the first row."""
        return self._moments.mean if self.n else None

    def summary(self) -> tuple[float, float, float] | None:
        """Rows, mean and trusted variance; None during the burn-in."""
        if self.n < self._burn_in:
            return None
        return self.n, self._moments.mean, float(trusted(self._moments.variance, self.n, self.margin))


class DifferenceMargin(NormalMargin):
    r"""The difference of two arms' means, different requests, assigned at random: unbounded outcomes such as revenue, too.

    With :math:`n = n_1 + n_0` requests the difference of means is a mean of :math:`n` rows of variance
    :math:`\sigma^2 = n (s_1^2 / n_1 + s_0^2 / n_0)`.

    Source: Waudby-Smith et al. 2021, section 4 (randomised experiments).

    >>> revenue = DifferenceMargin(margin=0.05)
    >>> revenue.update(candidate=np.tile([0.0, 0.2], 200), champion=np.tile([0.0, 0.2], 200))
    >>> revenue.log_proof > 3.0, revenue.estimate
    (True, 0.0)
    """

    def __init__(self, *, margin: float, burn_in: int = BURN_IN_ROWS) -> None:
        super().__init__(margin)
        self._candidate, self._champion = RunningMoments(), RunningMoments()
        self._burn_in = burn_in

    def update(self, *, candidate: ArrayLike = (), champion: ArrayLike = ()) -> None:
        """Fold rows of each arm in."""
        self._candidate.update(candidate)
        self._champion.update(champion)

    @property
    def n(self) -> int:
        """Rows of the smaller arm: what the comparison really rests on."""
        return min(self._candidate.n, self._champion.n)

    @property
    def estimate(self) -> float | None:
        """Candidate mean minus champion mean, None while an arm is empty."""
        return self._candidate.mean - self._champion.mean if self.n else None

    def summary(self) -> tuple[float, float, float] | None:
        """Requests, difference and trusted variance of a request; None while an arm is young."""
        if self.n < self._burn_in:
            return None
        one, zero = self._candidate, self._champion
        rows = one.n + zero.n
        spread = trusted(one.variance, one.n, self.margin) / one.n + trusted(zero.variance, zero.n, self.margin) / zero.n
        return rows, one.mean - zero.mean, float(rows * spread)

    @property
    def growth(self) -> float:
        """Of the proof, per row of the smaller arm."""
        return super().growth * (self._candidate.n + self._champion.n) / self.n if self.n else 0.0
