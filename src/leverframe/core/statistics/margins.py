"""What a release asks of every sequence: how strong is the evidence that a difference lies beyond a margin, or within it?

Evidence is an *e-process*: under the hypothesis it argues against, its expectation is at most 1 at every stopping time, so it ever reaches
``1/alpha`` with probability at most ``alpha`` (Ville). Natural logarithms are kept. Every page gives the same four answers:

``log_harm``          evidence against "the difference (candidate minus champion) is at most the margin"
``log_proof``         evidence against "the difference is at least the margin" (non-inferiority)
``interval(alpha)``   the differences not excluded, each side at level ``alpha``
``growth``            what the proof gains an observation if things stay as they are: from it follows how much longer it takes
"""

import math
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leverframe.core.errors import InvalidInput

Floats = NDArray[np.float64]

ROWS_FORECAST_MAX = 100_000_000
"""A forecast of more observations than this is "never"."""

STEPS = (-8.0, -4.0, -2.0, -1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0)
"""Differences held against the data, in margins: fine around the margin, where the decision is, coarse where only the picture is."""


class MarginTest(Protocol):
    """A sequence that is held against a margin; the difference is candidate minus champion, larger is worse."""

    @property
    def n(self) -> int:
        """Observations the comparison rests on."""
        ...

    @property
    def estimate(self) -> float | None:
        """The difference so far, None before there is one."""
        ...

    @property
    def log_harm(self) -> float:
        """Evidence against a difference of at most the margin."""
        ...

    @property
    def log_proof(self) -> float:
        """Evidence against a difference of at least the margin."""
        ...

    @property
    def growth(self) -> float:
        """What ``log_proof`` gains an observation in the mean, were the estimates the truth; not positive: it will not be proven."""
        ...

    def interval(self, alpha: float) -> tuple[float, float]:
        """Both one-sided bounds, each at level ``alpha``."""
        ...


def more_needed(test: MarginTest, alpha: float) -> int | None:
    """About how many more observations the proof needs at level ``alpha``, if things stay as they are.

    Returns
    -------
    0 when it is proven; None when it will not be (the estimate lies beyond the margin), or nobody can tell yet.

    >>> from leverframe.core.statistics.rates import RateDifference
    >>> rates = RateDifference(margin=0.02, share=0.5)
    >>> rates.update(candidate=np.arange(400) % 2 == 0, events=np.arange(400) % 51 == 0)
    >>> more_needed(rates, 0.05) > 100
    True
    """
    missing = -math.log(alpha) - test.log_proof
    if missing <= 0.0:
        return 0
    if test.n == 0 or test.growth <= 0.0 or missing / test.growth > ROWS_FORECAST_MAX:
        return None
    return math.ceil(missing / test.growth)


class MarginGrid:
    """Evidence of both kinds against each difference of a grid that holds the margin: the common part of the pages that bet.

    The interval's ends are grid points that *are* excluded, so the grid never makes an interval too short, and an interval lies within the
    margin exactly if the proof at the margin is complete.

    Parameters
    ----------
    margin: > 0, the tolerated difference.    low, high: the range that a difference can have.
    """

    def __init__(self, margin: float, *, low: float = -1.0, high: float = 1.0) -> None:
        if not 0.0 < margin < high:
            raise InvalidInput("margin out of range", where="margin test", expected=f"above 0, below {high:g}", got=f"{margin:g}")
        self.margin = margin
        steps = np.array([step * margin for step in STEPS])
        # The ends themselves are certain not to be exceeded: no test is made there.
        self.differences: Floats = np.unique(np.concatenate(([-margin], steps[(steps > low) & (steps < high)])))
        self._ends = (low, high)
        self._at = int(np.flatnonzero(self.differences == margin)[0])
        self.above: Floats = np.zeros(self.differences.size)
        self.below: Floats = np.zeros(self.differences.size)
        self.n = 0

    @property
    def log_harm(self) -> float:
        """Evidence against a difference of at most the margin."""
        return float(self.above[self._at])

    @property
    def log_proof(self) -> float:
        """Evidence against a difference of at least the margin."""
        return float(self.below[self._at])

    def interval(self, alpha: float) -> tuple[float, float]:
        """The outermost differences that are excluded, from below and from above, each at level ``alpha``."""
        limit = -math.log(alpha)
        under, over = np.flatnonzero(self.above >= limit), np.flatnonzero(self.below >= limit)
        low = float(self.differences[under[-1]]) if under.size else self._ends[0]
        high = float(self.differences[over[0]]) if over.size else self._ends[1]
        return (low, high) if low <= high else (high, low)


class TwoSided:
    """Harm in both directions: a difference beyond ``margin`` or below ``-margin``.

    Harm is the average of the two one-sided evidences, proof the smaller of the two (an intersection-union test).

    Parameters
    ----------
    test: of the difference.    mirrored: the same kind of test, fed with the difference's negative.
    """

    def __init__(self, test: MarginTest, mirrored: MarginTest) -> None:
        self._test, self._mirrored = test, mirrored

    @property
    def n(self) -> int:
        """Observations."""
        return self._test.n

    @property
    def estimate(self) -> float | None:
        """The difference so far."""
        return self._test.estimate

    @property
    def log_harm(self) -> float:
        """Evidence against a difference within ±margin."""
        return average_log_evidence((self._test.log_harm, self._mirrored.log_harm))

    @property
    def log_proof(self) -> float:
        """Evidence against a difference that is not within ±margin."""
        return min(self._test.log_proof, self._mirrored.log_proof)

    @property
    def growth(self) -> float:
        """Of the slower side."""
        return min(self._test.growth, self._mirrored.growth)

    def interval(self, alpha: float) -> tuple[float, float]:
        """Both ends, each at level ``alpha``: the sharper of what the two tests say, each at half of it."""
        up, down = self._test.interval(alpha / 2.0), self._mirrored.interval(alpha / 2.0)
        low, high = max(up[0], -down[1]), min(up[1], -down[0])
        return (low, high) if low <= high else (high, low)


class Averaged:
    """Several tests of one hypothesis as one: the average of e-processes is an e-process, whatever depends on what.

    Used where two kinds of data speak of the same margin, such as pairs of scores and served answers.

    Parameters
    ----------
    tests: at least one; the one with most observations gives estimate, size, growth and interval.

    Source: Vovk, Wang 2021, "E-values: calibration, combination and applications", Annals of Statistics 49.
    """

    def __init__(self, *tests: MarginTest) -> None:
        self._tests = tests

    @property
    def _leading(self) -> MarginTest:
        return max(self._tests, key=lambda test: test.n)

    @property
    def n(self) -> int:
        """Observations of the test that has most."""
        return self._leading.n

    @property
    def estimate(self) -> float | None:
        """The estimate of the test that has most observations."""
        return self._leading.estimate

    @property
    def log_harm(self) -> float:
        """Logarithm of the average evidence of harm."""
        return average_log_evidence([test.log_harm for test in self._tests])

    @property
    def log_proof(self) -> float:
        """Logarithm of the average evidence of proof."""
        return average_log_evidence([test.log_proof for test in self._tests])

    @property
    def growth(self) -> float:
        """Of the test that has most observations."""
        return self._leading.growth

    def interval(self, alpha: float) -> tuple[float, float]:
        """The interval of the test with most observations, at the level that its share of the average leaves it."""
        return self._leading.interval(alpha / len(self._tests))


def average_log_evidence(logs: ArrayLike, weights: ArrayLike | None = None) -> float:
    r"""Logarithm of a weighted average of e-values, :math:`\log \sum_k w_k e^{\ell_k}`.

    Parameters
    ----------
    logs: ``[k]`` logarithms of evidence.    weights: ``[k]``, summing to at most 1; equal by default.

    >>> round(average_log_evidence([math.log(4.0), 0.0]), 6) == round(math.log(2.5), 6)
    True
    """
    values = np.asarray(logs, dtype=np.float64)
    shares = np.full(values.size, 1.0 / values.size) if weights is None else np.asarray(weights, dtype=np.float64)
    top = float(values.max())
    return top if not math.isfinite(top) else top + math.log(float((shares * np.exp(values - top)).sum()))
