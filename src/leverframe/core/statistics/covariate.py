"""Less variance from what is known before the outcome: a model's score as covariate, where both arms' requests have it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leverframe.core.statistics.means import DifferenceMargin
from leverframe.core.statistics.sequential import BURN_IN_ROWS, finite_values


class AdjustedDifference(DifferenceMargin):
    r"""Difference of two arms' means with what a covariate explains taken out, by a coefficient that earlier rows fixed.

    A row counts as :math:`y_i - \beta_{i-1} (c_i - \bar c_{i-1})`. As the covariate does not depend on the arm, the difference of
    means stays what it was; its variance falls by the part that the covariate explains. The coefficient is refitted
    whenever the number of rows has doubled, from earlier rows only, so looking and batching change nothing.

    Source: Deng, Xu, Kohavi, Walker 2013 (CUPED), WSDM; Waudby-Smith et al. 2021 and Lindon, Ham, Tingley, Bojinov 2022, arXiv
    2210.08589, for adjustment that holds at every look.

    >>> rng = np.random.default_rng(0)
    >>> arm, score = rng.random(4000) < 0.5, rng.normal(size=4000)
    >>> adjusted = AdjustedDifference(margin=0.1)
    >>> adjusted.update_rows(candidate=arm, values=score + 0.3 * rng.normal(size=4000), covariate=score)
    >>> round(adjusted.coefficient, 1), adjusted.log_proof > 3.0
    (1.0, True)
    """

    def __init__(self, *, margin: float, burn_in: int = BURN_IN_ROWS) -> None:
        super().__init__(margin=margin, burn_in=burn_in)
        self.coefficient = 0.0
        self._centre = 0.0
        self._refit_at = burn_in
        self._rows = 0
        self._sums: NDArray[np.float64] = np.zeros((2, 5))

    def update_rows(self, *, candidate: ArrayLike, values: ArrayLike, covariate: ArrayLike) -> None:
        """Fold requests in, in their order: whose they were, their outcome and the covariate, ``[rows]`` each.

        Raises
        ------
        InvalidInput: a value is not finite.
        """
        arm, y, c = np.asarray(candidate, dtype=bool), finite_values(values), finite_values(covariate)
        start = 0
        while start < y.size:
            stop = min(y.size, start + self._refit_at - self._rows)
            self._fold(arm[start:stop], y[start:stop], c[start:stop])
            start = stop
            if self._rows == self._refit_at:
                self._refit()

    def _fold(self, arm: NDArray[np.bool_], y: NDArray[np.float64], c: NDArray[np.float64]) -> None:
        adjusted = y - self.coefficient * (c - self._centre)
        super().update(candidate=adjusted[arm], champion=adjusted[~arm])
        for index, rows in ((1, arm), (0, ~arm)):
            one, two = y[rows], c[rows]
            self._sums[index] += (rows.sum(), one.sum(), two.sum(), (one * two).sum(), (two * two).sum())
        self._rows += y.size

    def _refit(self) -> None:
        n, y, c, yc, cc = self._sums.T
        safe = np.maximum(n, 1.0)
        # Within the arms, so that a true difference between them does not look like the covariate's work.
        spread = float((cc - c * c / safe).sum())
        self.coefficient = float((yc - y * c / safe).sum()) / spread if spread > 0.0 else 0.0
        self._centre = float(c.sum() / n.sum())
        self._refit_at *= 2
