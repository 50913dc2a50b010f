"""Lift of a variant over the control: a two-sided interval that holds at every look, the unit of analysis being the caller.

An experiment asks another question than a release. Not "is it within a margin of the old one?" but "how much better is it, and is that more
than nothing?", for several variants and in several segments at once.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.margins import Floats
from leverframe.core.statistics.means import NormalMargin, trusted
from leverframe.core.statistics.sequential import EVERYTHING

KEYS_MAX = 200_000
"""Callers remembered in each arm; rows of further ones are not used and counted in ``left_out``."""

BURN_IN_KEYS = 100
"""Below this many callers in either arm nothing is said: the variance is too young for the asymptotic guarantee."""

YOUNG = 2.0
"""A variance estimated from ``n`` callers is trusted up to the factor ``1 + YOUNG / sqrt(n)``. Simulated over 1,200 looks at the 5 % level:
5.7 % false alarms with a burn-in of 50 and no factor on rows that are 1 with chance 0.2, 2.4 % with this burn-in and factor (skewed
exponential rows: 2.8 %; paired Brier differences: 1.5 %). Rows much more skewed than that (rare events) need the exact pages."""

_BISECTIONS = 60


def lift_log_evidence(estimate: ArrayLike, variance: ArrayLike, null: ArrayLike, spread: float) -> Floats:
    r"""Evidence against "the lift is ``null``": Robbins' two-sided normal mixture, in terms of an estimate and its variance.

    With a prior :math:`N(0, \tau^2)` on the distance of the truth from the null :math:`m`, and an estimate :math:`\hat\theta` of variance
    :math:`V` that falls as callers come:

    .. math:: E = \sqrt{\frac{V}{V + \tau^2}} \exp \frac{\tau^2 (\hat\theta - m)^2}{2 V (V + \tau^2)}

    Under the null the estimate over its variance is a Brownian motion in the clock :math:`1/V`, so this is a martingale that starts at 1.

    Parameters
    ----------
    estimate, variance: of the lift; the variance is taken as known (asymptotics).    spread: :math:`\tau`, lifts one expects to matter.

    Source: Robbins 1970; Johari, Koomen, Pekelis, Walsh 2022, "Always valid inference", Operations Research 70; Waudby-Smith et al. 2021,
    arXiv 2103.06476, for the asymptotics.

    >>> lift_log_evidence([0.0, 0.03], 1e-4, 0.0, 0.02).round(2).tolist()
    [-0.8, 2.8]
    """
    distance2, v, t2 = np.square(np.asarray(estimate) - np.asarray(null)), np.asarray(variance, dtype=np.float64), spread * spread
    return np.asarray(0.5 * np.log(v / (v + t2)) + 0.5 * t2 * distance2 / (v * (v + t2)))


def lift_radius(variance: ArrayLike, spread: float, alpha: ArrayLike) -> Floats:
    """Half width of the interval of lifts that :func:`lift_log_evidence` does not exclude at level ``alpha``.

    >>> float(lift_radius(1e-4, 0.02, 0.05).round(4))
    0.0308
    """
    v, t2 = np.asarray(variance, dtype=np.float64), spread * spread
    return np.asarray(np.sqrt(2.0 * v * (v + t2) / t2 * (-np.log(alpha) + 0.5 * np.log1p(t2 / v))))


class Lift(NamedTuple):
    """What is known of a lift at one look: estimate, variance, and both arms' means as adjusted."""

    estimate: float
    variance: float
    mean: float
    control_mean: float


class CallerSums:
    r"""One arm's outcomes summed by caller, with an optional covariate, and the sums of squares and products over callers.

    Rows of one caller resemble each other, so callers are the observations; a caller may come back at any time, and its sums grow.
    The order of rows does not matter beyond rounding.
    """

    def __init__(self) -> None:
        self._of: dict[int, tuple[float, int, float]] = {}
        self._y, self._n, self._c = 0.0, 0, 0.0
        self._products: list[float] = [0.0] * 6
        self.left_out = 0

    def add(self, key: int, value: float, covariate: float = 0.0) -> None:
        """Fold one row of the caller ``key`` in."""
        known = self._of.get(key)
        if known is None:
            if len(self._of) >= KEYS_MAX:
                self.left_out += 1
                return
            known = (0.0, 0, 0.0)
        y, n, c = known
        products = self._products
        products[0] += (2.0 * y + value) * value
        products[1] += y + value * (n + 1)
        products[2] += 2.0 * n + 1.0
        products[3] += (2.0 * c + covariate) * covariate
        products[4] += c + covariate * (n + 1)
        products[5] += y * covariate + c * value + value * covariate
        self._of[key] = (y + value, n + 1, c + covariate)
        self._y += value
        self._n += 1
        self._c += covariate

    @property
    def keys(self) -> int:
        """Callers."""
        return len(self._of)

    @property
    def rows(self) -> int:
        """Rows."""
        return self._n

    @property
    def mean(self) -> float | None:
        """Mean of a row, None before the first."""
        return self._y / self._n if self._n else None

    def residuals(self) -> tuple[float, float, float]:
        """Sums over callers of squares and product of what differs from the arm's mean: outcome, covariate, both."""
        yy, yn, nn, cc, cn, yc = self._products
        a, b = self._y / self._n, self._c / self._n
        return (
            max(yy - 2.0 * a * yn + a * a * nn, 0.0),
            max(cc - 2.0 * b * cn + b * b * nn, 0.0),
            yc - b * yn - a * cn + a * b * nn,
        )

    @property
    def covariate_mean(self) -> float:
        """Mean of the covariate over rows."""
        return self._c / self._n


def lift_of(variant: CallerSums, control: CallerSums, *, adjusted: bool = False) -> Lift | None:
    r"""The difference of two arms' means, with what a covariate explains taken out when ``adjusted``.

    Means are ratios of sums over callers, their variance is that of the ratio's linear part (delta method). The covariate was known before
    anybody met an arm, so the difference of its means is chance, and :math:`\beta` times it is taken off:

    .. math:: \hat\theta = (\bar y_1 - \bar y_0) - \beta (\bar c_1 - \bar c_0), \qquad
              \beta = \frac{\sum_i r^y_i r^c_i}{\sum_i (r^c_i)^2}

    Returns
    -------
    None while either arm has fewer than :data:`BURN_IN_KEYS` callers.

    Source: Deng, Knoblich, Lu 2018 (delta method), KDD; Deng, Xu, Kohavi, Walker 2013 (CUPED), WSDM; Lindon, Ham, Tingley, Bojinov 2022,
    arXiv 2210.08589 (at every look).

    >>> rng = np.random.default_rng(0)
    >>> arms = CallerSums(), CallerSums()
    >>> for key, score in enumerate(rng.normal(size=2000).tolist()):
    ...     arms[key % 2].add(key, score + 0.1 * float(rng.normal()) + 0.05 * (key % 2), score)
    >>> plain, adjusted = lift_of(arms[1], arms[0]), lift_of(arms[1], arms[0], adjusted=True)
    >>> round(adjusted.estimate, 2), adjusted.variance < plain.variance / 50
    (0.05, True)
    """
    if min(variant.keys, control.keys) < BURN_IN_KEYS:
        return None
    one, zero = variant.residuals(), control.residuals()
    spread = one[1] + zero[1]
    beta = (one[2] + zero[2]) / spread if adjusted and spread > 0.0 else 0.0
    variance = 0.0
    for arm, (yy, cc, yc) in ((variant, one), (control, zero)):
        squares = max(yy - 2.0 * beta * yc + beta * beta * cc, 0.0)
        variance += squares / (arm.rows * arm.rows) * (1.0 + YOUNG / math.sqrt(arm.keys))
    mean, base = variant.mean or 0.0, control.mean or 0.0
    shift = beta * (variant.covariate_mean - control.covariate_mean)
    if variance <= 0.0:
        return None
    return Lift(mean - base - shift, variance, mean, base)


class CallerMargin(NormalMargin):
    """The difference of two arms' means against a harm margin, from sums that other pages read too (:mod:`.clusters` keeps its own).

    Parameters
    ----------
    variant, control: sums that grow while this is asked.    margin: tolerated difference, larger is worse.

    >>> arms = CallerSums(), CallerSums()
    >>> for key in range(2000):
    ...     arms[key % 2].add(key, float(key % 40 < 2))
    >>> errors = CallerMargin(arms[1], arms[0], margin=0.05)
    >>> errors.n, errors.estimate, errors.log_proof > 3.0
    (1000, 0.0, True)
    """

    def __init__(self, variant: CallerSums, control: CallerSums, *, margin: float) -> None:
        super().__init__(margin)
        self._arms = variant, control

    @property
    def n(self) -> int:
        """Callers of the smaller arm."""
        return min(arm.keys for arm in self._arms)

    @property
    def estimate(self) -> float | None:
        """The variant's mean of a row minus the control's, None while an arm is empty."""
        one, zero = (arm.mean for arm in self._arms)
        return None if one is None or zero is None else one - zero

    def summary(self) -> tuple[float, float, float] | None:
        """Callers of both arms, difference, variance of a caller; None while an arm has few callers."""
        difference = self.estimate
        if self.n < BURN_IN_KEYS or difference is None:
            return None
        spread = 0.0
        for arm in self._arms:
            rows_a_key = arm.rows / arm.keys
            spread += float(trusted(arm.residuals()[0] / arm.keys / (rows_a_key * rows_a_key), arm.keys, self.margin)) / arm.keys
        keys = sum(arm.keys for arm in self._arms)
        return keys, difference, keys * spread


def lift_interval(lift: Lift | None, spread: float, alpha: float) -> tuple[float, float]:
    """The lifts not excluded, over all looks together, at level ``alpha``; everything while nothing is known."""
    if lift is None:
        return EVERYTHING
    radius = float(lift_radius(lift.variance, spread, alpha))
    return lift.estimate - radius, lift.estimate + radius


def e_bh(log_evidence: Mapping[str, float], alpha: float) -> frozenset[str]:
    r"""Which of many hypotheses are rejected with a false discovery rate of at most ``alpha``, whatever depends on what: e-BH.

    The largest :math:`k` such that :math:`k` of :math:`m` e-values reach :math:`m / (k \alpha)`; those are rejected. Valid at every
    stopping time, under any dependence (segments overlap, and share their control).

    Parameters
    ----------
    log_evidence: natural logarithm of the e-value, by hypothesis.

    Source: Wang, Ramdas 2022, "False discovery rate control with e-values", JRSS B 84.

    >>> sorted(e_bh({"a": math.log(100.0), "b": math.log(45.0), "c": math.log(20.0), "d": 0.0}, 0.05))
    ['a', 'b']
    """
    if not 0.0 < alpha < 1.0:
        raise InvalidInput("level out of range", where="e-BH", expected="between 0 and 1", got=f"{alpha:g}")
    ranked = sorted(log_evidence, key=lambda name: -log_evidence[name])
    rejected = 0
    for place, name in enumerate(ranked, 1):
        if log_evidence[name] >= math.log(len(ranked) / (place * alpha)):
            rejected = place
    return frozenset(ranked[:rejected])


def variance_for(radius: float, spread: float, alpha: float, *, power: float = 0.5) -> float:
    """The largest variance at which a lift of ``radius`` is told from none with probability ``power``.

    Raises
    ------
    InvalidInput: a power that is not 0.5, 0.8, 0.9 or 0.95, or a radius or spread that is not above 0.
    """
    beyond = {0.5: 0.0, 0.8: 0.8416, 0.9: 1.2816, 0.95: 1.6449}.get(power)
    if beyond is None or not radius > 0.0 or not spread > 0.0:
        raise InvalidInput("cannot plan for this", where="power", expected="lift and spread above 0, power 0.5, 0.8, 0.9 or 0.95")
    low, high = 1e-12 * radius * radius, radius * radius
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low * high)
        if float(lift_radius(middle, spread, alpha)) + beyond * math.sqrt(middle) <= radius:
            low = middle
        else:
            high = middle
    return low


def keys_needed(sd: float, effect: float, shares: Sequence[float], alpha: float, *, power: float = 0.8) -> int:
    """Callers (of all arms) until a lift of ``effect`` is seen with probability ``power``, looking as often as one likes.

    Parameters
    ----------
    sd: of a caller's outcome.    shares: of the variant and of the control among all who take part.

    >>> keys_needed(0.5, 0.05, (0.5, 0.5), 0.05)
    6085
    """
    if not sd > 0.0 or min(shares) <= 0.0:
        raise InvalidInput("cannot plan for this", where="power", expected="sd and shares above 0")
    return math.ceil(sd * sd * sum(1.0 / share for share in shares) / variance_for(effect, effect, alpha, power=power))
