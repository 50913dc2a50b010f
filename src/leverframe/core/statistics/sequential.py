"""Confidence sequences for means: intervals that hold at every look, however often one looks.

An ordinary 95 % interval is wrong one time in twenty *per look*; looked at after every request it is wrong almost surely. A confidence
sequence is wrong one time in twenty over the whole infinite stream, so a release may be judged at any moment and stopped at any moment.

The pages of this family: means against a margin (:mod:`.means`), lifts (:mod:`.lift`), bounded means by betting (:mod:`.bounded`),
error and slow-answer rates (:mod:`.bernoulli`), traffic shares (:mod:`.multinomial`). What they share is here.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leverframe.core.errors import InvalidInput

BURN_IN_ROWS = 100
"""Below this many rows the variance estimate is too young for the asymptotic guarantee, so the interval is the whole line."""

EVERYTHING = (-math.inf, math.inf)
"""The interval that says nothing."""


def finite_values(values: ArrayLike) -> NDArray[np.float64]:
    """``values`` as a flat float array.

    Raises
    ------
    InvalidInput: a value is NaN or infinite; a sequence fed with such a value would never speak again.
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    if not np.isfinite(array).all():
        raise InvalidInput("a sequence takes finite values only", where="confidence sequence", expected="finite", got="NaN or infinity")
    return array


class RunningMoments:
    """Count, mean and variance of a stream, merged batch by batch without loss of precision (Chan, Golub, LeVeque 1979)."""

    def __init__(self) -> None:
        self.n = 0
        self.mean = 0.0
        self._squares = 0.0

    def update(self, values: ArrayLike) -> None:
        """Fold a batch in."""
        array = finite_values(values)
        if array.size == 0:
            return
        mean = float(array.mean())
        squares = float(((array - mean) ** 2).sum())
        total = self.n + array.size
        delta = mean - self.mean
        self._squares += squares + delta * delta * self.n * array.size / total
        self.mean += delta * array.size / total
        self.n = total

    @property
    def variance(self) -> float:
        """The population variance of what was seen (0 before two rows)."""
        return self._squares / self.n if self.n > 1 else 0.0
