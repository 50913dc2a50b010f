"""Rows that come and go, and the aggregates of those that are there at each of many points: what a window is to every engine in memory.

Rows count from ``come`` until ``leave``; points are asked in order of time. All of them are numbers of one clock (``rows/numbering.py``),
so that one sweep answers for all entities. Two engines do it, with the same bits: ``sweep_c.py`` in one pass a window, and, where
Leverframe was installed without a C compiler, ``sweep_numpy.py`` in several. Decision 0041.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from leverframe.features.rows.numbering import Ints

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Sum = Literal["count", "share", "sum", "mean", "std"]


@dataclass(frozen=True)
class Sweep:
    """The rows of a window and the points that ask for it.

    Parameters
    ----------
    come, leave: int64 ``[rows]``; ``come`` ascending, each ``leave`` after its ``come``.
    at: int64 ``[points]``, ascending.
    place: int64 ``[points]``, the place of each point's answer among ``places``; None: in order.
    """

    come: Ints
    leave: Ints
    at: Ints
    place: Ints | None
    places: int

    def __post_init__(self) -> None:
        assert len(self.come) == len(self.leave), "a row comes and leaves"
        if self.place is None:
            assert len(self.at) == self.places, "a place a point"
        elif len(self.place):
            assert len(self.at) == len(self.place), "a place a point"
            assert 0 <= self.place.min() <= self.place.max() < self.places, "answers go among the places"

    @cached_property
    def leaving(self) -> Ints | None:
        """The order in which rows leave; None: as they came, which late rows and corrections do not."""
        in_order = bool((self.leave[1:] >= self.leave[:-1]).all())
        return None if in_order else np.argsort(self.leave, kind="stable")

    def of(self, rows: Bools) -> "Sweep":
        """The sweep of some of the rows."""
        return self if bool(rows.all()) else Sweep(self.come[rows], self.leave[rows], self.at, self.place, self.places)


class SweepEngine(Protocol):
    """What both engines do. Answers are float64 arrays of ``sweep.places``; places of no point keep what they hold."""

    def before(self, numbers: Ints, at: Ints) -> Ints:
        """How many of ``numbers`` (ascending) are at or before each of ``at`` (ascending); int64."""
        ...

    def sums(self, sweep: Sweep, whole: Ints | None, there: Bools | None, out: Mapping[Sum, Floats]) -> None:
        """Fill ``out`` with what adds up of the rows at each point.

        Parameters
        ----------
        whole: int64 ``[rows]``, millionths; None where nothing is summed.
        there: bool ``[rows]``, whether a row has a value; None: each has. ``share`` is those over all rows.
        """
        ...

    def greatest(self, sweep: Sweep, rank: Floats, given: Floats, out: Floats) -> None:
        """Fill ``out`` with what the row of the highest rank gives at each point, NaN without rows. Equal ranks must give the same."""
        ...

    def distinct(self, sweep: Sweep, groups: Ints, out: Floats) -> None:
        """Fill ``out`` with the number of different groups; they are numbered from zero, a number means one thing within an entity."""
        ...
