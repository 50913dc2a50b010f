"""Sweeps by ``sweep.c``, which is built when Leverframe is installed. Calls let go of the interpreter, so that windows go side by side."""

import ctypes
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leverframe.features.rows.libraries import address, load_library, structure
from leverframe.features.rows.numbering import Ints
from leverframe.features.timelines.sweep import Bools, Floats, Room, Sum, Sweep, SweepEngine
from leverframe.features.timelines.sweep_numpy import NumpySweeps

SOURCE = Path(__file__).with_name("sweep.c")
INTERFACE = 2
"""Of ``sweep.c``; raised with every change of its structures or its calls."""
BLOCK = 16
"""Rows that ``sweep.c`` compares together."""
_SUMS: tuple[Sum, ...] = ("count", "share", "sum", "mean", "std")
_FEW = 32
"""A merge passes all numbers; points so many times fewer are looked up one by one."""
_POINTER, _NUMBER = ctypes.c_void_p, ctypes.c_int64
_CALLS = {
    "before": (_POINTER, _NUMBER, _POINTER, _NUMBER, _POINTER),
    "running": (_POINTER, _NUMBER, _POINTER, _POINTER, _POINTER),
    "sums": (_POINTER, _POINTER, _POINTER, _POINTER),
    "highest": (_POINTER, _POINTER, _POINTER, _POINTER),
    "highest_by_heap": (_POINTER, _POINTER, _POINTER, _POINTER),
    "distinct": (_POINTER, _POINTER, _POINTER, _POINTER, _POINTER),
}


class _Sweep(ctypes.Structure):
    """``Sweep`` in ``sweep.c``."""

    _fields_ = [
        *((name, _NUMBER) for name in ("rows", "points")),
        *((name, _POINTER) for name in ("leave", "leaving", "at", "came", "gone", "place")),
    ]


class _Running(ctypes.Structure):
    """``Running`` in ``sweep.c``."""

    _fields_ = [(name, _POINTER) for name in ("count", "total", "squares")]


class _Ranking(ctypes.Structure):
    """``Ranking`` in ``sweep.c``."""

    _fields_ = [("values", _POINTER), ("there", _POINTER), ("sign", ctypes.c_double), ("given", _POINTER)]


class _Heights(ctypes.Structure):
    """``Heights`` in ``sweep.c``."""

    _fields_ = [*((name, _POINTER) for name in ("upto", "onward", "blocks")), ("levels", _NUMBER)]


@cache
def sweep_engine() -> SweepEngine:
    """The compiled engine; the one in numpy where that was not built."""
    library = load_library(SOURCE, INTERFACE)
    return NumpySweeps() if library is None else CompiledSweeps(library)


class CompiledSweeps:
    """See ``SweepEngine``."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._calls = {name: getattr(library, f"leverframe_sweep_{name}") for name in _CALLS}
        for name, call in self._calls.items():
            call.argtypes, call.restype = _CALLS[name], None

    def before(self, numbers: Ints, at: Ints) -> Ints:
        """How many numbers are at or before each point."""
        if len(numbers) > len(at) * _FEW:
            return np.searchsorted(numbers, at, side="right")
        numbers, at, counts = _array(numbers, np.int64), _array(at, np.int64), np.empty(len(at), dtype=np.int64)
        self._calls["before"](address(numbers), len(numbers), address(at), len(at), address(counts))
        return counts

    def sums(self, sweep: Sweep, whole: Ints | None, there: Bools | None, out: Mapping[Sum, Floats], room: Room) -> None:
        """What adds up of the rows at each point."""
        whole, there = _column(sweep, whole, np.int64), _column(sweep, there, np.bool_)
        assert whole is not None or not {"sum", "mean", "std"} & set(out), "a sum is of numbers"
        # Number, total and both halves of the squares, over rows as they came and, where that is another order, as they leave.
        numbers = sweep.rows + 1
        lengths = (numbers if there is not None else 0, numbers if whole is not None else 0, 2 * numbers if "std" in out else 0)
        orders = [None] if sweep.leaving is None else [None, sweep.leaving]
        arrays = room.arrays(*lengths * len(orders))
        running = [self._running(sweep.rows, order, whole, there, arrays[3 * i : 3 * i + 3]) for i, order in enumerate(orders)]
        wanted = (_POINTER * len(_SUMS))(*(address(_answers(sweep, out[name])) if name in out else None for name in _SUMS))
        with_arrays = _sweep(sweep)
        self._calls["sums"](ctypes.byref(with_arrays), ctypes.byref(running[0]), ctypes.byref(running[-1]), wanted)

    def _running(self, rows: int, order: Ints | None, whole: Ints | None, there: Bools | None, arrays: Sequence[Ints]) -> _Running:
        count, total, squares = (array if len(array) else None for array in arrays)
        running: _Running = structure(_Running, count=count, total=total, squares=squares)
        self._calls["running"](address(order), rows, address(whole), address(there), ctypes.byref(running))
        return running

    def extreme(self, sweep: Sweep, values: Floats, there: Bools | None, sign: float, out: Floats, room: Room) -> None:
        """The greatest or least value at each point."""
        ranking = structure(_Ranking, values=_column(sweep, values, np.float64), there=_column(sweep, there, np.bool_), sign=sign)
        self._highest(sweep, ranking, out, room)

    def last(self, sweep: Sweep, recency: Ints, values: Floats, there: Bools | None, out: Floats, room: Room) -> None:
        """The value of the most recent row at each point."""
        assert recency.shape == values.shape == (sweep.rows,), "a value a row"
        assert not sweep.rows or 0 <= recency.min() <= recency.max() < sweep.rows, "rows are numbered from zero"
        given = np.empty(sweep.rows)
        given[recency] = values
        ranks = recency.astype(np.float64)
        self._highest(sweep, structure(_Ranking, values=ranks, there=_column(sweep, there, np.bool_), sign=1.0, given=given), out, room)

    def _highest(self, sweep: Sweep, ranking: _Ranking, out: Floats, room: Room) -> None:
        answers, with_arrays = _answers(sweep, out), _sweep(sweep)
        if sweep.leaving is not None:
            (held,) = room.arrays(sweep.rows)
            self._calls["highest_by_heap"](ctypes.byref(with_arrays), ctypes.byref(ranking), address(held), address(answers))
            return
        blocks, longest = -(-sweep.rows // BLOCK), int((sweep.came - sweep.gone).max(initial=0))
        levels = max(1, (longest // BLOCK).bit_length())
        upto, onward, of_blocks = room.arrays(sweep.rows, sweep.rows, levels * blocks)
        heights = structure(_Heights, upto=upto, onward=onward, blocks=of_blocks, levels=levels)
        self._calls["highest"](ctypes.byref(with_arrays), ctypes.byref(ranking), ctypes.byref(heights), address(answers))

    def distinct(self, sweep: Sweep, groups: Ints, there: Bools | None, out: Floats, room: Room) -> None:
        """How many different groups the rows at each point have."""
        groups_there = _column(sweep, groups, np.int64), _column(sweep, there, np.bool_)
        assert not len(groups) or groups.min() >= 0, "groups are numbered from zero"
        (held,), with_arrays = room.arrays(int(groups.max(initial=-1)) + 1), _sweep(sweep)
        held[:] = 0
        self._calls["distinct"](ctypes.byref(with_arrays), *map(address, (*groups_there, held, _answers(sweep, out))))


def _sweep(sweep: Sweep) -> _Sweep:
    points = sweep.points
    arrays = {
        "leave": sweep.leave,
        "leaving": sweep.leaving,
        "at": points.at,
        "came": sweep.came,
        "gone": sweep.gone,
        "place": points.place,
    }
    whole = {name: None if array is None else _array(array, np.int64) for name, array in arrays.items()}
    made: _Sweep = structure(_Sweep, rows=sweep.rows, points=len(points.at), **whole)
    return made


def _array(values: npt.NDArray[Any], dtype: type[np.generic]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(values, dtype=dtype)


def _column(sweep: Sweep, values: npt.NDArray[Any] | None, dtype: type[np.generic]) -> npt.NDArray[Any] | None:
    assert values is None or values.shape == (sweep.rows,), "a value a row"
    return None if values is None else _array(values, dtype)


def _answers(sweep: Sweep, out: Floats) -> Floats:
    assert out.shape == (sweep.points.places,), "an answer a place"
    assert out.dtype == np.float64, "answers are float64"
    assert all((out.flags.c_contiguous, out.flags.writeable)), "answers lie side by side"
    return out
