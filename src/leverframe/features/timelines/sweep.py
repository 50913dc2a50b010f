"""Rows that come and go, and the aggregates of those that are there at each of many points: what a window is to every engine in memory.

Rows count from the moment they come until they leave; points are asked in order of time. All of these are numbers of one clock
(``rows/numbering.py``), so that one array answers for all entities. Two engines do it, with the same bits: ``sweep_c.py``, and, where
Leverframe was installed without a C compiler, ``sweep_numpy.py``. Decision 0041.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from leverframe.features.rows.numbering import Ints

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Sum = Literal["count", "share", "sum", "mean", "std"]


@dataclass(frozen=True)
class Points:
    """Moments that are asked for, int64 ``[points]`` ascending; the answer to each goes to its ``place`` of ``places`` (None: in order)."""

    at: Ints
    place: Ints | None
    places: int

    def __post_init__(self) -> None:
        assert len(self.at) == (self.places if self.place is None else len(self.place)), "a place a point"
        if self.place is not None and len(self.place):
            assert 0 <= self.place.min() <= self.place.max() < self.places, "answers go among the places"


@dataclass(frozen=True)
class Sweep:
    """The rows of a window and the points that ask for it; made by ``sweep_of``.

    Parameters
    ----------
    leave: int64 ``[rows]``; ``leaving`` is the order in which rows leave, None: as they came.
    came, gone: int64 ``[points]``: how many rows have come and left by each point.
    """

    leave: Ints
    leaving: Ints | None
    points: Points
    came: Ints
    gone: Ints

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.leave)


class Room:
    """Memory that calls work in one after the other; grows as needed. To be given fresh memory takes longer than the work in it."""

    def __init__(self) -> None:
        self._numbers = np.empty(0, dtype=np.int64)

    def arrays(self, *lengths: int) -> list[Ints]:
        """Int64 arrays of these lengths, holding anything, until the next call."""
        if sum(lengths) > len(self._numbers):
            self._numbers = np.empty(sum(lengths), dtype=np.int64)
        return np.split(self._numbers[: sum(lengths)], np.cumsum(lengths[:-1]))


class SweepEngine(Protocol):
    """What both engines do. Answers are float64 arrays of the points' places; places of no point keep what they hold.

    ``there``, bool ``[rows]``, says which rows have a value; None: each has. ``room`` is nobody else's meanwhile.
    """

    def before(self, numbers: Ints, at: Ints) -> Ints:
        """How many of ``numbers`` (ascending) are at or before each of ``at`` (ascending); int64."""
        ...

    def sums(self, sweep: Sweep, whole: Ints | None, there: Bools | None, out: Mapping[Sum, Floats], room: Room) -> None:
        """Fill ``out`` with what adds up of the rows at each point; ``share`` is those that are there over all rows.

        Parameters
        ----------
        whole: int64 ``[rows]``, millionths; None where nothing is summed.
        """
        ...

    def extreme(self, sweep: Sweep, values: Floats, there: Bools | None, sign: float, out: Floats, room: Room) -> None:
        """Fill ``out`` with the greatest (``sign`` 1) or least (-1) of ``values``, which are finite; NaN without rows."""
        ...

    def last(self, sweep: Sweep, recency: Ints, values: Floats, there: Bools | None, out: Floats, room: Room) -> None:
        """Fill ``out`` with the value of the most recent row; NaN without rows. ``recency`` numbers the rows from zero, each once."""
        ...

    def distinct(self, sweep: Sweep, groups: Ints, there: Bools | None, out: Floats, room: Room) -> None:
        """Fill ``out`` with the number of different groups; they are numbered from zero, a number means one thing within an entity."""
        ...


def sweep_of(engine: SweepEngine, come: Ints, leave: Ints, points: Points, came: Ints | None = None) -> Sweep:
    """The sweep of rows that come and leave at these moments.

    Parameters
    ----------
    come, leave: int64 ``[rows]``; ``come`` ascending, each ``leave`` after its ``come``.
    came: how many have come by each point, where that is known already.
    """
    assert len(come) == len(leave), "a row comes and leaves"
    in_order = bool((leave[1:] >= leave[:-1]).all())
    leaving = None if in_order else np.argsort(leave, kind="stable")
    gone = engine.before(leave if leaving is None else leave[leaving], points.at)
    return Sweep(leave, leaving, points, engine.before(come, points.at) if came is None else came, gone)
