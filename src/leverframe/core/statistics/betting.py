"""Bounded means by betting: the sharpest known intervals for values of known range, valid from the first row."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.sequential import finite_values

# A bet may risk at most this part of the capital that one row can destroy; 1/2 is the paper's advice.
_TRUNCATION = 0.5


class BettingSequence:
    r"""Hedged-capital confidence sequence for the mean of values in a known range.

    For each candidate mean ``m`` two gamblers bet that the truth is above, or below, it. After rescaling to [0, 1]:

    .. math:: K_n^{\pm}(m) = \prod_{i \le n} \left(1 \pm \lambda_i^{\pm}(m) (x_i - m)\right), \qquad
              C_n = \left\{ m : \tfrac12 \max(K_n^+(m), K_n^-(m)) < \tfrac1\alpha \right\}

    If ``m`` is the truth both capitals are martingales that start at 1. Bets are predictable: they use the variance of earlier rows only,

    .. math:: \lambda_i = \sqrt{\frac{2 \log(2/\alpha)}{\hat\sigma^2_{i-1}\, i \log(1 + i)}}, \quad
              \lambda_i^+(m) = \min(\lambda_i, \tfrac{c}{m}), \quad \lambda_i^-(m) = \min(\lambda_i, \tfrac{c}{1 - m})

    Capital is kept on a grid of means, so a row costs O(grid) and a look O(grid), whatever the number of rows before.
    Interval ends are excluded grid points, so the grid never makes an interval too short.

    Parameters
    ----------
    low, high: the range of a value.
    grid: candidate means; by default 401, evenly spaced. Give the margins one cares about as members.
    alpha_planned: the level the bets are tuned for; :meth:`interval` is valid at every level.

    Source: Waudby-Smith, Ramdas 2023, "Estimating means of bounded random variables by betting", JRSS B, arXiv 2010.09686.

    >>> sequence = BettingSequence(low=-1.0, high=1.0)
    >>> sequence.update(np.tile([0.2, 0.4], 100))
    >>> low, high = sequence.interval(0.001)
    >>> round(low, 3), round(high, 3)
    (0.2, 0.355)
    """

    def __init__(self, *, low: float, high: float, grid: ArrayLike | None = None, alpha_planned: float = 0.001) -> None:
        self._low, self._width = low, high - low
        points = np.linspace(low, high, 401) if grid is None else np.unique(np.asarray(grid, dtype=np.float64))
        if points[0] < low or points[-1] > high:
            raise InvalidInput("grid points lie outside the range of a value", where="betting sequence", expected=f"{low:g}..{high:g}")
        self._grid = (points - low) / self._width
        with np.errstate(divide="ignore"):
            self._cap_up = _TRUNCATION / self._grid
            self._cap_down = _TRUNCATION / (1.0 - self._grid)
        self._log_up = np.zeros(points.size)
        self._log_down = np.zeros(points.size)
        self._log_term = 2.0 * math.log(2.0 / alpha_planned)
        self.n = 0
        self._sum = 0.0
        self._squares = 0.25

    @property
    def estimate(self) -> float | None:
        """The mean so far, None before the first row."""
        return self._low + self._width * self._sum / self.n if self.n else None

    def update(self, values: ArrayLike) -> None:
        """Fold a batch of rows in, in the order they happened.

        Raises
        ------
        InvalidInput: a value outside the declared range, or not finite.
        """
        x = (finite_values(values) - self._low) / self._width
        if x.size == 0:
            return
        if x.min() < 0.0 or x.max() > 1.0:
            raise InvalidInput(
                "value outside the declared range", where="betting sequence", expected=f"{self._low:g}..{self._low + self._width:g}"
            )
        for start in range(0, x.size, 1024):
            self._fold(x[start : start + 1024])

    def _fold(self, x: NDArray[np.float64]) -> None:
        index = self.n + np.arange(1, x.size + 1)
        means = (0.5 + self._sum + np.cumsum(x)) / (index + 1.0)
        squares = self._squares + np.cumsum((x - means) ** 2)
        variances_before = np.concatenate(([self._squares], squares[:-1])) / index
        bet = np.sqrt(self._log_term / (variances_before * index * np.log1p(index)))[:, None]
        gain = x[:, None] - self._grid[None, :]
        self._log_up += np.log1p(np.minimum(bet, self._cap_up) * gain).sum(axis=0)
        self._log_down += np.log1p(-np.minimum(bet, self._cap_down) * gain).sum(axis=0)
        self.n += x.size
        self._sum += float(x.sum())
        self._squares = float(squares[-1])

    def log_evidence(self) -> NDArray[np.float64]:
        """Natural logarithm of the evidence against each grid point."""
        return np.maximum(self._log_up, self._log_down) - math.log(2.0)

    def interval(self, alpha: float) -> tuple[float, float]:
        """The two-sided interval of means not excluded, over all looks together, at level ``alpha``."""
        kept = np.flatnonzero(self.log_evidence() < -math.log(alpha))
        if kept.size == 0:
            centre = self.estimate or 0.0
            return centre, centre
        low = self._grid[max(int(kept[0]) - 1, 0)]
        high = self._grid[min(int(kept[-1]) + 1, self._grid.size - 1)]
        return float(self._low + self._width * low), float(self._low + self._width * high)
