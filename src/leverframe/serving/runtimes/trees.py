"""Boosted trees by bit masks: LightGBM's very bits for one row and for many, several times faster than its own evaluator.

The library is built from ``trees.c`` when Leverframe is installed. Where no compiler was found it is not there, and LightGBM's own stays in
use; so it does for models that ``Declined`` names.
"""

import ctypes
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leverframe.serving.runtimes.trees_table import build_tables
from leverframe.serving.runtimes.trees_text import Declined, read_forest

Float = npt.NDArray[np.float64]

LIBRARY = "libleverframe_trees" + {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")
_POINTERS = ("column", "categories", "first", "start", "threshold", "line_of", "block_line", "lines", "leaf")


INTERFACE = 2
"""Of ``trees.c``; raised with every change of its ``Model`` or its calls."""


class _Model(ctypes.Structure):
    """``Model`` in ``trees.c``."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("columns", "features", "positions", "trees", "wide", "transform")),
        ("sigmoid", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in _POINTERS),
    ]


@cache
def _functions() -> tuple[Any, Any]:
    """The call for one row, with the interpreter lock kept (handing it over costs as much as the row), and for many, with it released.

    Raises
    ------
    Declined: the library was not built, or not from this version.
    """
    path = Path(__file__).with_name(LIBRARY)
    if sys.byteorder != "little" or not path.exists():
        raise Declined("the library was not built: no C compiler when Leverframe was installed")
    library = ctypes.CDLL(str(path))
    interface = getattr(library, "leverframe_trees_interface", None)
    if interface is None or interface() != INTERFACE:
        raise Declined("the library was built from another version: install Leverframe again")
    row, rows = ctypes.PyDLL(str(path)).leverframe_trees_row, library.leverframe_trees_rows
    row.argtypes, row.restype = (ctypes.c_void_p, ctypes.c_char_p), ctypes.c_double
    rows.argtypes, rows.restype = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p), None
    return row, rows


class TreesRuntime:
    """A booster from its text form. May be asked by several threads at once.

    Parameters
    ----------
    text: bytes of ``model.lightgbm.txt``.
    columns: width of the matrices it will be given.

    Raises
    ------
    Integrity: damaged text, or a model of another width.
    Declined: a sound model that the masks do not cover, or the library is not there.
    """

    name = "trees"

    def __init__(self, text: bytes, columns: int) -> None:
        self._row, self._rows = _functions()
        forest = read_forest(text, columns)
        self._tables = build_tables(forest)
        self._columns, self._row_bytes = columns, 8 * columns
        self._offsets = np.arange(0, 8 * columns, 8, dtype=np.uint64)
        self._model = _Model(
            columns,
            len(self._tables.column),
            self._tables.line_of.shape[1],
            self._tables.trees,
            self._tables.wide,
            forest.sigmoid is not None,
            forest.sigmoid or 0.0,
            *(getattr(self._tables, name).ctypes.data for name in _POINTERS),
        )
        self._address = ctypes.addressof(self._model)

    @property
    def size_bytes(self) -> int:
        """Memory of the tables."""
        return self._tables.size_bytes

    def score_row(self, row: bytes) -> float:
        """The score of one row, given as its columns in little-endian float64."""
        if len(row) != self._row_bytes:
            raise ValueError(f"a row is {self._row_bytes} bytes")
        score: float = self._row(self._address, row)
        return score

    def score(self, matrix: Float) -> Float:
        """Scores ``[rows]`` of a matrix ``[rows, columns]``; each the very bits that ``score_row`` gives."""
        matrix = np.ascontiguousarray(matrix, dtype=np.float64)
        if matrix.ndim != 2 or matrix.shape[1] != self._columns:
            raise ValueError(f"a matrix has {self._columns} columns")
        starts = self._offsets + np.uint64(_address_of(matrix))
        return self._score(starts, self._row_bytes, len(matrix))

    def score_columns(self, columns: Sequence[Float]) -> Float:
        """Scores ``[rows]`` of columns ``[rows]``, which are read where they lie; the same bits as ``score`` gives for their matrix."""
        columns = [np.ascontiguousarray(column, dtype=np.float64) for column in columns]
        if len(columns) != self._columns or len({column.shape for column in columns}) != 1 or columns[0].ndim != 1:
            raise ValueError(f"{self._columns} columns of one length")
        starts = np.array([_address_of(column) for column in columns], dtype=np.uint64)
        return self._score(starts, 8, len(columns[0]))

    def _score(self, starts: npt.NDArray[np.uint64], stride: int, rows: int) -> Float:
        """Scores of columns that start at the addresses ``starts``, each value ``stride`` bytes after the one before."""
        scores = np.empty(rows, dtype=np.float64)
        self._rows(self._address, _address_of(starts), stride, rows, _address_of(scores))
        return scores


def _address_of(array: npt.NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
