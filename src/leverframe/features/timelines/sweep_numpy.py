"""Sweeps without a compiler: running sums, and what ``window_stretches.py`` says of all points at once."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from leverframe.features.rows.numbering import Ints
from leverframe.features.rows.source_rows import SCALE
from leverframe.features.timelines.deviation import deviations, square_limbs
from leverframe.features.timelines.sweep import Bools, Floats, Room, Sum, Sweep
from leverframe.features.timelines.window_stretches import Stretches, distinct, greatest

_T = TypeVar("_T", Ints, Floats)


class NumpySweeps:
    """See ``SweepEngine``."""

    def before(self, numbers: Ints, at: Ints) -> Ints:
        """How many numbers are at or before each point."""
        if len(numbers) > len(at):
            return np.searchsorted(numbers, at, side="right")
        # The few are looked up among the many.
        reached = np.searchsorted(at, numbers, side="left")
        return np.repeat(np.arange(len(numbers) + 1), np.diff(reached, prepend=0, append=len(at)))

    def sums(self, sweep: Sweep, whole: Ints | None, there: Bools | None, out: Mapping[Sum, Floats], room: Room) -> None:
        """What adds up of the rows at each point."""
        rows = sweep.came - sweep.gone
        count = rows if there is None else _sum(sweep, there.astype(np.int64))
        whole = whole if whole is None or there is None else np.where(there, whole, 0)
        for name, answers in out.items():
            if name == "count":
                _place(sweep, count.astype(np.float64), answers)
            elif name == "share":
                _place(sweep, _ratio(count, rows), answers)
            else:
                assert whole is not None, "a sum is of numbers"
                _place(sweep, _of_numbers(name, sweep, count, whole), answers)

    def extreme(self, sweep: Sweep, values: Floats, there: Bools | None, sign: float, out: Floats, room: Room) -> None:
        """The greatest or least value at each point."""
        best = greatest(_stretches(sweep, there), _kept(values, there) * sign, -np.inf)
        # Adding zero turns a negative zero, which the sign made, into the one zero that sources have.
        _place(sweep, np.where(np.isinf(best), np.nan, best * sign + 0.0), out)

    def last(self, sweep: Sweep, recency: Ints, values: Floats, there: Bools | None, out: Floats, room: Room) -> None:
        """The value of the most recent row at each point."""
        # The place after the last stands for "none": index -1.
        by_recency = np.full(len(recency) + 1, np.nan)
        by_recency[recency] = values
        _place(sweep, by_recency[greatest(_stretches(sweep, there), _kept(recency, there), -1)], out)

    def distinct(self, sweep: Sweep, groups: Ints, there: Bools | None, out: Floats, room: Room) -> None:
        """How many different groups the rows at each point have."""
        _place(sweep, distinct(_stretches(sweep, there), _kept(groups, there)).astype(np.float64), out)


def _of_numbers(name: Sum, sweep: Sweep, count: Ints, whole: Ints) -> Floats:
    # In numpy, because Polars divides by a scalar through its reciprocal, which is one ulp beside what a stream's division gives.
    total = _sum(sweep, whole)
    if name == "sum":
        return total / SCALE
    if name == "mean":
        return _ratio(total / SCALE, count)
    units, middles, tops = (_sum(sweep, limb) for limb in square_limbs(whole))
    return deviations(count, total, (units, middles, tops))


def _sum(sweep: Sweep, values: Ints) -> Ints:
    """The sum of ``values`` at each point: of the rows that came less of those that left.

    Both run over all entities and may wrap around; their differences are exact all the same.
    """
    come = np.concatenate([[0], np.cumsum(values)])
    leave = come if sweep.leaving is None else np.concatenate([[0], np.cumsum(values[sweep.leaving])])
    total: Ints = come[sweep.came] - leave[sweep.gone]
    return total


def _stretches(sweep: Sweep, there: Bools | None) -> Stretches:
    numbers = np.arange(sweep.rows)
    first, end = np.searchsorted(sweep.came, numbers, side="right"), np.searchsorted(sweep.gone, numbers, side="right")
    if sweep.leaving is not None:
        left = end
        end = np.empty_like(left)
        end[sweep.leaving] = left
    return Stretches(_kept(first, there), _kept(end, there), len(sweep.points.at))


def _kept(values: _T, there: Bools | None) -> _T:
    return values if there is None else values[there]


def _place(sweep: Sweep, values: Floats, out: Floats) -> None:
    place = sweep.points.place
    out[slice(None) if place is None else place] = values


def _ratio(part: Ints | Floats, of: Ints) -> Floats:
    ratio: Floats = np.divide(part, of, out=np.full(len(of), np.nan), where=of > 0)
    return ratio
