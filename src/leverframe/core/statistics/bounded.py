"""Bounded means against a harm margin, exact from the first row: bets on both sides of it, and a closed form for what lies between."""

import numpy as np
from numpy.typing import ArrayLike

from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.empirical_bernstein import BernsteinSequence
from leverframe.core.statistics.margins import Floats, MarginGrid
from leverframe.core.statistics.sequential import finite_values

CAUTION = 0.75
"""A bet risks at most this part of the capital that one row can destroy."""

HARM_BETS = (0.02, 0.05, 0.12, 0.3, 0.65)
"""Harm of unknown size is looked for by these bets at once, as parts of the largest possible one; their average counts."""

WAITING_MAX = 4_096
"""Rows that wait for an interval to be drawn, at most."""

PRIOR_ROWS = 4.0
PRIOR_VARIANCE = 0.02
"""Rows imagined before the first, and their variance for a range of one: a careful first guess."""


def proof_bets(values: ArrayLike, margin: ArrayLike, *, before: tuple[float, float] = (0.0, 0.0)) -> Floats:
    r"""What each row adds to the evidence that the mean is below ``margin``; rows along the last axis, values in [-1, 1].

    The bet is Kelly's for "the mean is 0", with the spread that earlier rows had:

    .. math:: \log(1 - \lambda_i (x_i - m)), \qquad \lambda_i = \min\left(\frac{m}{m^2 + \hat v_{i-1}}, \frac{c}{1 - m}\right)

    Parameters
    ----------
    before: number and sum of squares of the earlier rows.

    Source: Waudby-Smith, Ramdas 2023, JRSS B, arXiv 2010.09686 (GRAPA, section 5; the alternative is known here).

    >>> float(proof_bets(np.tile([0.1, -0.1], 150), 0.05).sum().round(1))
    10.7
    """
    x, m = np.asarray(values, dtype=np.float64), np.asarray(margin, dtype=np.float64)
    squares = np.cumsum(x * x, axis=-1) - x * x + before[1] + PRIOR_ROWS * PRIOR_VARIANCE
    spread = squares / (np.arange(x.shape[-1]) + before[0] + PRIOR_ROWS)
    bet = np.clip(m / (m * m + spread), 0.0, CAUTION / np.maximum(1.0 - m, 1e-9))
    return np.asarray(np.log1p(-bet * (x - m)))


def harm_bets(values: ArrayLike, margin: ArrayLike) -> Floats:
    r"""What each row adds to each of the bets that the mean is above ``margin``: ``[bets, ..., rows]``; average their capitals.

    .. math:: E_n = \frac1K \sum_k \prod_i (1 + \lambda_k (x_i - m)), \qquad \lambda_k = f_k / (1 + m)

    Fixed bets know nothing of the order of the rows, so neither does their average.

    Source: Waudby-Smith, Ramdas 2023, section 4.4; Cover 1991, "Universal portfolios".

    >>> harm_bets([0.5, 0.5], 0.1).shape
    (5, 2)
    """
    x, m = np.asarray(values, dtype=np.float64), np.asarray(margin, dtype=np.float64)
    return np.stack([np.log1p(part / (1.0 + m) * (x - m)) for part in HARM_BETS])


class BoundedMean(MarginGrid):
    """The mean of rows in a known range, e.g. the paired difference of two scores; exact, no burn-in.

    Harm does not depend on the order of the rows; proof bets in the order they are folded, and batches do not matter.

    Parameters
    ----------
    margin: tolerated mean, in the unit of the rows.    bound: rows lie in -bound..bound.

    >>> shift = BoundedMean(margin=0.08)
    >>> shift.update(np.tile([0.05, -0.05], 100))
    >>> shift.log_proof > 3.0, shift.log_harm < 0.0
    (True, True)
    """

    def __init__(self, *, margin: float, bound: float = 1.0) -> None:
        super().__init__(margin, low=-bound, high=bound)
        self._bound = bound
        self._at_unit = self.differences / bound
        self._bets: Floats = np.zeros((len(HARM_BETS), self.differences.size))
        self._sum = 0.0
        self._squares = 0.0
        self._fine = BernsteinSequence(low=-bound, high=bound)
        self._waiting: list[Floats] = []
        self._fine_rows = 0

    def update(self, values: ArrayLike) -> None:
        """Fold rows in.

        Raises
        ------
        InvalidInput: a row outside the range, or not finite.
        """
        rows = finite_values(values) / self._bound
        if rows.size and np.abs(rows).max() > 1.0:
            raise InvalidInput("row outside the declared range", where="bounded mean", expected=f"within {self._bound:g}")
        # Intervals are drawn seldom, and rows come one at a time: they are folded in together.
        self._waiting.append(rows * self._bound)
        if self.n + rows.size - self._fine_rows >= WAITING_MAX:
            self._fold_fine(self.n + rows.size)
        for start in range(0, rows.size, 1024):
            part = rows[start : start + 1024]
            self._bets += harm_bets(part, self._at_unit[:, None]).sum(axis=-1)
            self.below += proof_bets(part, self._at_unit[:, None], before=(self.n, self._squares)).sum(axis=1)
            self.n += part.size
            self._sum += float(part.sum())
            self._squares += float((part * part).sum())
        self.above = np.logaddexp.reduce(self._bets, axis=0) - np.log(len(HARM_BETS))

    def interval(self, alpha: float) -> tuple[float, float]:
        """The differences not excluded, each side at level ``alpha``.

        Bets exclude points of the grid; where between two of them the end lies is said by the empirical-Bernstein sequence, at a tenth of
        the level, so that a side errs with 1.1 ``alpha`` at most. The ends never reach a point that the bets leave, the margin above all.

        >>> shift = BoundedMean(margin=0.08)
        >>> shift.update(np.tile([0.05, -0.05], 2000))
        >>> [round(end, 3) for end in shift.interval(0.05)]
        [-0.006, 0.006]
        """
        low, high = super().interval(alpha)
        self._fold_fine(self.n)
        fine_low, fine_high = self._fine.interval(0.2 * alpha)
        above, below = self.differences[self.differences > low], self.differences[self.differences < high]
        return (
            min(max(low, fine_low), float(np.nextafter(above[0], -np.inf)) if above.size else low),
            max(min(high, fine_high), float(np.nextafter(below[-1], np.inf)) if below.size else high),
        )

    def _fold_fine(self, rows: int) -> None:
        if self._waiting:
            self._fine.update(np.concatenate(self._waiting))
            self._waiting, self._fine_rows = [], rows

    @property
    def estimate(self) -> float | None:
        """The mean so far, None before the first row."""
        return self._bound * self._sum / self.n if self.n else None

    @property
    def growth(self) -> float:
        """Of the proof, per row, to second order."""
        if not self.n:
            return 0.0
        mean, square, m = self._sum / self.n, self._squares / self.n, self.margin / self._bound
        bet = min(m / (m * m + square), CAUTION / (1.0 - m))
        return bet * (m - mean) - 0.5 * bet * bet * (square - 2.0 * m * mean + m * m)
