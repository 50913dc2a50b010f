"""Bounded means by an empirical Bernstein inequality: a closed form, exact, wider than betting and cheaper than its grid."""

import math

import numpy as np
from numpy.typing import ArrayLike

from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.sequential import finite_values

_CAUTION = 0.5


class BernsteinSequence:
    r"""Predictable plug-in empirical-Bernstein confidence sequence for the mean of values in a known range.

    .. math:: \frac{\sum \lambda_i x_i}{\sum \lambda_i} \pm \frac{\log(2/\alpha) + \sum v_i \psi(\lambda_i)}{\sum \lambda_i}, \quad
              v_i = (x_i - \hat\mu_{i-1})^2, \quad \psi(\lambda) = -\log(1 - \lambda) - \lambda

    after rescaling to [0, 1], with :math:`\lambda_i = \min\{\sqrt{2 \log(2/\alpha_0) / (\hat\sigma^2_{i-1}\, i \log(1 + i))}, 1/2\}`.
    The order of the rows matters a little (the weights are predictable), batches do not.

    Parameters
    ----------
    low, high: range of a value.    alpha_planned: the level the weights are tuned for; :meth:`interval` is valid at every level.

    Source: Waudby-Smith, Ramdas 2023, theorem 2, arXiv 2010.09686.

    >>> sequence = BernsteinSequence(low=-1.0, high=1.0)
    >>> sequence.update(np.tile([0.2, 0.4], 500))
    >>> [round(end, 2) for end in sequence.interval(0.05)]
    [0.28, 0.32]
    """

    def __init__(self, *, low: float, high: float, alpha_planned: float = 0.05) -> None:
        if not low < high:
            raise InvalidInput("empty range", where="Bernstein sequence", expected="low < high", got=f"{low:g}, {high:g}")
        self._low, self._width = low, high - low
        self._log_term = 2.0 * math.log(2.0 / alpha_planned)
        self.n = 0
        self._sum, self._squares = 0.0, 0.25
        self._weights, self._weighted, self._penalty = 0.0, 0.0, 0.0

    def update(self, values: ArrayLike) -> None:
        """Fold rows in, in their order.

        Raises
        ------
        InvalidInput: a value outside the range, or not finite.
        """
        x = (finite_values(values) - self._low) / self._width
        if x.size == 0:
            return
        if x.min() < 0.0 or x.max() > 1.0:
            raise InvalidInput("value outside the declared range", where="Bernstein sequence")
        index = self.n + np.arange(1, x.size + 1)
        sums = self._sum + np.cumsum(x)
        means = (0.5 + sums) / (index + 1.0)
        means_before = np.concatenate(([(0.5 + self._sum) / (self.n + 1.0)], means[:-1]))
        squares = self._squares + np.cumsum((x - means) ** 2)
        variance_before = np.concatenate(([self._squares], squares[:-1])) / index
        weight = np.minimum(np.sqrt(self._log_term / (variance_before * index * np.log1p(index))), _CAUTION)
        self._weights += float(weight.sum())
        self._weighted += float((weight * x).sum())
        self._penalty += float(((x - means_before) ** 2 * (-np.log1p(-weight) - weight)).sum())
        self.n, self._sum, self._squares = self.n + x.size, float(sums[-1]), float(squares[-1])

    @property
    def estimate(self) -> float | None:
        """The mean so far, None before the first row."""
        return self._low + self._width * self._sum / self.n if self.n else None

    def interval(self, alpha: float) -> tuple[float, float]:
        """The two-sided interval that, over all looks together, misses the mean with probability at most ``alpha``."""
        if not self.n:
            return self._low, self._low + self._width
        centre = self._weighted / self._weights
        radius = (math.log(2.0 / alpha) + self._penalty) / self._weights
        low, high = max(0.0, centre - radius), min(1.0, centre + radius)
        return self._low + self._width * low, self._low + self._width * high
