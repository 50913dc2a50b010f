"""Sweeps without a compiler: each row's stretch of points, and what ``window_stretches.py`` says of all points at once."""

from collections.abc import Mapping

import numpy as np

from leverframe.features.rows.numbering import Ints
from leverframe.features.rows.source_rows import SCALE
from leverframe.features.timelines.deviation import deviations, square_limbs
from leverframe.features.timelines.sweep import Bools, Floats, Sum, Sweep
from leverframe.features.timelines.window_stretches import Stretches, Sums, distinct, greatest


class NumpySweeps:
    """See ``SweepEngine``."""

    def before(self, numbers: Ints, at: Ints) -> Ints:
        """How many numbers are at or before each point."""
        if len(numbers) > len(at):
            return np.searchsorted(numbers, at, side="right")
        # The few are looked up among the many.
        reached = np.searchsorted(at, numbers, side="left")
        return np.repeat(np.arange(len(numbers) + 1), np.diff(reached, prepend=0, append=len(at)))

    def sums(self, sweep: Sweep, whole: Ints | None, there: Bools | None, out: Mapping[Sum, Floats]) -> None:
        """What adds up of the rows at each point."""
        sums = Sums(_stretches(sweep))
        count = sums.rows if there is None else sums.of(there.astype(np.int64))
        for name, answers in out.items():
            if name == "count":
                values = count.astype(np.float64)
            elif name == "share":
                values = _ratio(count, sums.rows)
            else:
                assert whole is not None, "a sum is of numbers"
                values = _of_numbers(name, sums, count, whole if there is None else np.where(there, whole, 0))
            _place(sweep, values, answers)

    def greatest(self, sweep: Sweep, rank: Floats, given: Floats, out: Floats) -> None:
        """What the row of the highest rank gives at each point."""
        # Ranks become whole numbers, of which -1 stands for no row, so that the row of a rank is found again.
        order = np.argsort(rank, kind="stable")
        place_in_order = np.empty(len(order), dtype=np.int64)
        place_in_order[order] = np.arange(len(order))
        best = greatest(_stretches(sweep), place_in_order, -1)
        _place(sweep, np.append(given[order], np.nan)[best], out)

    def distinct(self, sweep: Sweep, groups: Ints, out: Floats) -> None:
        """How many different groups the rows at each point have."""
        _place(sweep, distinct(_stretches(sweep), groups).astype(np.float64), out)


def _of_numbers(name: Sum, sums: Sums, count: Ints, whole: Ints) -> Floats:
    # In numpy, because Polars divides by a scalar through its reciprocal, which is one ulp beside what a stream's division gives.
    total = sums.of(whole)
    if name == "sum":
        return total / SCALE
    if name == "mean":
        return _ratio(total / SCALE, count)
    units, middles, tops = (sums.of(limb) for limb in square_limbs(whole))
    return deviations(count, total, (units, middles, tops))


def _stretches(sweep: Sweep) -> Stretches:
    return Stretches(np.searchsorted(sweep.at, sweep.come), np.searchsorted(sweep.at, sweep.leave), len(sweep.at))


def _place(sweep: Sweep, values: Floats, out: Floats) -> None:
    out[slice(None) if sweep.place is None else sweep.place] = values


def _ratio(part: Ints | Floats, of: Ints) -> Floats:
    ratio: Floats = np.divide(part, of, out=np.full(len(of), np.nan), where=of > 0)
    return ratio
