"""Callers that ask many times: the unit of analysis is the sticky key, not the row.

Rows of one caller resemble each other, so a thousand rows of ten callers are ten observations. A caller counts by the sums over its rows.
"""

import numpy as np
from numpy.typing import ArrayLike

from leverframe.core.statistics.means import NormalMargin, trusted

KEYS_MAX = 200_000
"""Callers remembered; rows of further ones are not used and counted in ``left_out``."""

BURN_IN_KEYS = 40
"""Below this many callers (in each arm) nothing is said: a variance over fewer sums is not known well enough."""


class _Arm:
    """Sums over callers, and the sums of their squares and products, kept up to date row by row."""

    def __init__(self) -> None:
        self.sums: dict[str, tuple[float, int]] = {}
        self.rows, self.total = 0, 0.0
        self.yy, self.ym, self.mm = 0.0, 0.0, 0.0
        self.left_out = 0

    def add(self, key: str, value: float) -> None:
        known = self.sums.get(key)
        if known is None:
            if len(self.sums) >= KEYS_MAX:
                self.left_out += 1
                return
            known = (0.0, 0)
        y, m = known
        self.yy += (2.0 * y + value) * value
        self.ym += y + value * (m + 1)
        self.mm += 2.0 * m + 1.0
        self.sums[key] = (y + value, m + 1)
        self.rows += 1
        self.total += value

    @property
    def mean(self) -> float:
        return self.total / self.rows

    def variance_of_mean(self, margin: float) -> float:
        """Of the ratio of sums, by its linear part: the sum over callers of squared residual sums, over squared rows."""
        keys, mean = len(self.sums), self.mean
        squares = max(self.yy - 2.0 * mean * self.ym + mean * mean * self.mm, 0.0) / keys
        rows_a_key = self.rows / keys
        return float(trusted(squares / (rows_a_key * rows_a_key), keys, margin)) / keys


class ClusteredMean(NormalMargin):
    """Mean over rows whose unit is the caller, e.g. paired differences of losses.

    The order of rows does not matter.

    Parameters
    ----------
    margin: tolerated mean of a row.

    Source: Liang, Zeger 1986 (robust variance); Deng, Knoblich, Lu 2018, "Applying the delta method in metric analytics", KDD.

    >>> losses = ClusteredMean(margin=0.1)
    >>> losses.update([f"caller {i % 50}" for i in range(1000)], np.tile([0.1, -0.1], 500))
    >>> losses.n, losses.rows
    (50, 1000)
    """

    def __init__(self, *, margin: float) -> None:
        super().__init__(margin)
        self._arm = _Arm()

    def update(self, keys: ArrayLike, values: ArrayLike) -> None:
        """Fold rows in: whose they are and what they are, ``[rows]`` each."""
        for key, value in zip(np.asarray(keys).tolist(), np.asarray(values, dtype=np.float64).tolist(), strict=True):
            self._arm.add(key, value)

    @property
    def n(self) -> int:
        """Callers."""
        return len(self._arm.sums)

    @property
    def rows(self) -> int:
        """Rows."""
        return self._arm.rows

    @property
    def estimate(self) -> float | None:
        """Mean of the rows so far, None before the first."""
        return self._arm.mean if self._arm.rows else None

    def summary(self) -> tuple[float, float, float] | None:
        """Callers, mean of a row, variance of a caller's share in it; None while there are few callers."""
        if self.n < BURN_IN_KEYS:
            return None
        return self.n, self._arm.mean, self._arm.variance_of_mean(self.margin) * self.n


class ClusteredDifference(NormalMargin):
    """Difference of two arms' means over rows whose unit is the caller; a caller sticks to one arm.

    >>> errors = ClusteredDifference(margin=0.1)
    >>> keys = [f"caller {i % 200}" for i in range(4000)]
    >>> errors.update(keys, candidate=np.arange(4000) % 2 == 0, values=np.zeros(4000))
    >>> errors.n, errors.estimate, errors.log_proof > 0.0
    (100, 0.0, True)
    """

    def __init__(self, *, margin: float) -> None:
        super().__init__(margin)
        self._arms = (_Arm(), _Arm())

    def update(self, keys: ArrayLike, *, candidate: ArrayLike, values: ArrayLike) -> None:
        """Fold rows in: whose they are, which arm answered, what they are, ``[rows]`` each."""
        rows = zip(
            np.asarray(keys).tolist(), np.asarray(candidate, dtype=bool).tolist(), np.asarray(values, dtype=float).tolist(), strict=True
        )
        for key, arm, value in rows:
            self._arms[arm].add(key, value)

    @property
    def n(self) -> int:
        """Callers of the smaller arm."""
        return min(len(arm.sums) for arm in self._arms)

    @property
    def estimate(self) -> float | None:
        """Candidate's mean of a row minus champion's, None while an arm is empty."""
        return self._arms[1].mean - self._arms[0].mean if self.n else None

    def summary(self) -> tuple[float, float, float] | None:
        """Callers of both arms, difference, variance of a caller; None while an arm has few callers."""
        if self.n < BURN_IN_KEYS:
            return None
        keys = sum(len(arm.sums) for arm in self._arms)
        spread = sum(arm.variance_of_mean(self.margin) for arm in self._arms)
        return keys, self._arms[1].mean - self._arms[0].mean, keys * spread

    @property
    def growth(self) -> float:
        """Of the proof, per caller of the smaller arm."""
        return super().growth * sum(len(arm.sums) for arm in self._arms) / self.n if self.n else 0.0
