"""Sweeps by ``sweep.c``, which is built when Leverframe is installed. Calls let go of the interpreter, so that windows go side by side."""

import ctypes
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leverframe.features.rows.libraries import address, load_library, structure
from leverframe.features.rows.numbering import Ints
from leverframe.features.timelines.sweep import Bools, Floats, Sum, Sweep, SweepEngine
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

    def sums(self, sweep: Sweep, whole: Ints | None, there: Bools | None, out: Mapping[Sum, Floats]) -> None:
        """What adds up of the rows at each point."""
        whole, there = _column(sweep, whole, np.int64), _column(sweep, there, np.bool_)
        assert whole is not None or not {"sum", "mean", "std"} & set(out), "a sum is of numbers"
        come = self._running(sweep.rows, None, whole, there, squares="std" in out)
        leave = come if sweep.leaving is None else self._running(sweep.rows, sweep.leaving, whole, there, squares="std" in out)
        wanted = (_POINTER * len(_SUMS))(*(address(_answers(sweep, out[name])) if name in out else None for name in _SUMS))
        with_arrays = _sweep(sweep)
        self._calls["sums"](ctypes.byref(with_arrays), ctypes.byref(come), ctypes.byref(leave), wanted)

    def _running(self, rows: int, order: Ints | None, whole: Ints | None, there: Bools | None, *, squares: bool) -> _Running:
        running: _Running = structure(
            _Running,
            count=None if there is None else np.empty(rows + 1, dtype=np.int64),
            total=None if whole is None else np.empty(rows + 1, dtype=np.uint64),
            squares=np.empty(2 * (rows + 1), dtype=np.uint64) if squares else None,
        )
        self._calls["running"](address(order), rows, address(whole), address(there), ctypes.byref(running))
        return running

    def extreme(self, sweep: Sweep, values: Floats, there: Bools | None, sign: float, out: Floats) -> None:
        """The greatest or least value at each point."""
        self._highest(sweep, _column(sweep, values, np.float64), there, sign, None, out)

    def last(self, sweep: Sweep, recency: Ints, values: Floats, there: Bools | None, out: Floats) -> None:
        """The value of the most recent row at each point."""
        assert recency.shape == values.shape == (sweep.rows,), "a value a row"
        assert not sweep.rows or 0 <= recency.min() <= recency.max() < sweep.rows, "rows are numbered from zero"
        given = np.empty(sweep.rows)
        given[recency] = values
        self._highest(sweep, recency.astype(np.float64), there, 1.0, given, out)

    def _highest(self, sweep: Sweep, values: Floats | None, there: Bools | None, sign: float, given: Floats | None, out: Floats) -> None:
        ranking = structure(_Ranking, values=values, there=_column(sweep, there, np.bool_), sign=sign, given=given)
        answers, with_arrays = _answers(sweep, out), _sweep(sweep)
        if sweep.leaving is not None:
            held = np.empty(sweep.rows, dtype=np.int64)
            self._calls["highest_by_heap"](ctypes.byref(with_arrays), ctypes.byref(ranking), address(held), address(answers))
            return
        blocks, longest = -(-sweep.rows // BLOCK), int((sweep.came - sweep.gone).max(initial=0))
        levels = max(1, (longest // BLOCK).bit_length())
        # One array, for the kernel hands out few large pages in less time than many small ones.
        room = np.empty(2 * sweep.rows + levels * blocks)
        upto, onward, of_blocks = np.split(room, (sweep.rows, 2 * sweep.rows))
        heights = structure(_Heights, upto=upto, onward=onward, blocks=of_blocks, levels=levels)
        self._calls["highest"](ctypes.byref(with_arrays), ctypes.byref(ranking), ctypes.byref(heights), address(answers))

    def distinct(self, sweep: Sweep, groups: Ints, there: Bools | None, out: Floats) -> None:
        """How many different groups the rows at each point have."""
        groups_there = _column(sweep, groups, np.int64), _column(sweep, there, np.bool_)
        assert not len(groups) or groups.min() >= 0, "groups are numbered from zero"
        held, with_arrays = np.zeros(int(groups.max(initial=-1)) + 1, dtype=np.int64), _sweep(sweep)
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
