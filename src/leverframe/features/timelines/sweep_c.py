"""Sweeps by ``sweep.c``, which is built when Leverframe is installed. Calls let go of the interpreter, so that windows go side by side."""

import ctypes
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leverframe.features.rows.numbering import Ints
from leverframe.features.timelines.sweep import Bools, Floats, Sum, Sweep, SweepEngine
from leverframe.features.timelines.sweep_numpy import NumpySweeps

LIBRARY = "libleverframe_sweep" + {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")
INTERFACE = 1
"""Of ``sweep.c``; raised with every change of its ``Sweep`` or its calls."""
_SUMS: tuple[Sum, ...] = ("count", "share", "sum", "mean", "std")


class _Sweep(ctypes.Structure):
    """``Sweep`` in ``sweep.c``."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("rows", "points")),
        *((name, ctypes.c_void_p) for name in ("come", "leave", "leaving", "at", "place")),
    ]


@cache
def sweep_engine() -> SweepEngine:
    """The compiled engine; the one in numpy where that was not built, or from a version whose calls would read past their arguments."""
    path = Path(__file__).with_name(LIBRARY)
    if not path.exists():
        return NumpySweeps()
    library = ctypes.CDLL(str(path))
    interface = getattr(library, "leverframe_sweep_interface", None)
    return NumpySweeps() if interface is None or interface() != INTERFACE else CompiledSweeps(library)


class CompiledSweeps:
    """See ``SweepEngine``."""

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._before, self._sums = library.leverframe_sweep_before, library.leverframe_sweep_sums
        self._greatest, self._distinct = library.leverframe_sweep_greatest, library.leverframe_sweep_distinct
        self._before.argtypes = (pointer, number, pointer, number, pointer)
        self._sums.argtypes = (pointer, pointer, pointer, pointer)
        self._greatest.argtypes = (pointer, pointer, pointer, pointer, pointer)
        self._distinct.argtypes = (pointer, pointer, pointer, pointer)
        for call in (self._before, self._sums, self._greatest, self._distinct):
            call.restype = None

    def before(self, numbers: Ints, at: Ints) -> Ints:
        """How many numbers are at or before each point."""
        numbers, at = _whole(numbers), _whole(at)
        counts = np.empty(len(at), dtype=np.int64)
        self._before(_address(numbers), len(numbers), _address(at), len(at), _address(counts))
        return counts

    def sums(self, sweep: Sweep, whole: Ints | None, there: Bools | None, out: Mapping[Sum, Floats]) -> None:
        """What adds up of the rows at each point."""
        whole = None if whole is None else _column(sweep, whole, np.int64)
        there = None if there is None else _column(sweep, there, np.bool_)
        assert whole is not None or not {"sum", "mean", "std"} & set(out), "a sum is of numbers"
        wanted = (ctypes.c_void_p * len(_SUMS))(*(_address(_answers(sweep, out[name])) if name in out else None for name in _SUMS))
        with_arrays = _Arrays(sweep)
        self._sums(with_arrays.address, _address(whole), _address(there), wanted)

    def greatest(self, sweep: Sweep, rank: Floats, given: Floats, out: Floats) -> None:
        """What the row of the highest rank gives at each point."""
        rank, given = _column(sweep, rank, np.float64), _column(sweep, given, np.float64)
        held, arrays = np.empty(len(rank), dtype=np.int64), _Arrays(sweep)
        self._greatest(arrays.address, _address(rank), _address(given), _address(_answers(sweep, out)), _address(held))

    def distinct(self, sweep: Sweep, groups: Ints, out: Floats) -> None:
        """How many different groups the rows at each point have."""
        groups = _column(sweep, groups, np.int64)
        assert not len(groups) or groups.min() >= 0, "groups are numbered from zero"
        held, arrays = np.zeros(int(groups.max(initial=-1)) + 1, dtype=np.int64), _Arrays(sweep)
        self._distinct(arrays.address, _address(groups), _address(_answers(sweep, out)), _address(held))


class _Arrays:
    """A sweep as ``sweep.c`` wants it; keeps the arrays alive while it does itself."""

    def __init__(self, sweep: Sweep) -> None:
        arrays = [None if each is None else _whole(each) for each in (sweep.come, sweep.leave, sweep.leaving, sweep.at, sweep.place)]
        self._arrays = arrays
        self._sweep = _Sweep(len(sweep.come), len(sweep.at), *map(_address, arrays))
        self.address = ctypes.addressof(self._sweep)


def _whole(numbers: Ints) -> Ints:
    return np.ascontiguousarray(numbers, dtype=np.int64)


def _column(sweep: Sweep, values: npt.NDArray[Any], dtype: type[np.generic]) -> npt.NDArray[Any]:
    assert values.shape == sweep.come.shape, "a value a row"
    return np.ascontiguousarray(values, dtype=dtype)


def _answers(sweep: Sweep, out: Floats) -> Floats:
    assert out.shape == (sweep.places,), "an answer a place"
    assert out.dtype == np.float64, "answers are float64"
    assert all((out.flags.c_contiguous, out.flags.writeable)), "answers lie side by side"
    return out


def _address(array: npt.NDArray[Any] | None) -> int | None:
    return None if array is None else int(array.__array_interface__["data"][0])
