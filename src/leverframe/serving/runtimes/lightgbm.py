"""LightGBM's own library, called through its C interface: the fastest way to score one row.

The Python package is not imported: it pulls in pandas and scikit-learn when they are installed, which a gateway must not carry. Only its
shared library is used. Source: LightGBM ``c_api.h`` 4.x.
"""

import ctypes
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leverframe.core.errors import Integrity, Unavailable

Float = npt.NDArray[np.float64]

_FLOAT64 = 1
_NORMAL = 0
_PARAMETERS = b"num_threads=1 predict_disable_shape_check=false"


@cache
def _library_path() -> str:
    spec = importlib.util.find_spec("lightgbm")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for name in ("lib_lightgbm.so", "lib_lightgbm.dylib", "lib_lightgbm.dll"):
            if (path := Path(folder) / "lib" / name).exists():
                return str(path)
    raise Unavailable("LightGBM's library is not installed", where="lightgbm", next_step="pip install lightgbm")


@cache
def _library() -> Any:
    """The library called with the interpreter lock released: for work that takes long."""
    library = ctypes.CDLL(_library_path())
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    return library


@cache
def _row_function() -> Any:
    """The single-row call with the interpreter lock kept: handing it over would cost as much as the scoring."""
    function = ctypes.PyDLL(_library_path()).LGBM_BoosterPredictForMatSingleRowFast
    function.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p)
    return function


def _check(code: int, what: str) -> None:
    if code:
        message = _library().LGBM_GetLastError()
        raise Integrity(what, where="model.lightgbm.txt", got=message.decode(errors="replace")[:200] if message else "no reason given")


class LightgbmRuntime:
    """A booster from its text form.

    Parameters
    ----------
    text: bytes of ``model.lightgbm.txt``.
    columns: width of the matrices it will be given.

    Raises
    ------
    Integrity: the text is not a model of that width with one score a row.
    """

    name = "lightgbm"

    def __init__(self, text: bytes, columns: int) -> None:
        library = _library()
        self._handle = ctypes.c_void_p()
        self._fast = ctypes.c_void_p()
        if not text.startswith(b"tree\n"):
            raise Integrity("not a LightGBM text model", where="model.lightgbm.txt", expected="a file that starts with 'tree'")
        iterations = ctypes.c_int()
        _check(library.LGBM_BoosterLoadModelFromString(text, ctypes.byref(iterations), ctypes.byref(self._handle)), "not a LightGBM model")
        width, classes = ctypes.c_int(), ctypes.c_int()
        _check(library.LGBM_BoosterGetNumFeature(self._handle, ctypes.byref(width)), "not a LightGBM model")
        _check(library.LGBM_BoosterGetNumClasses(self._handle, ctypes.byref(classes)), "not a LightGBM model")
        if width.value != columns or classes.value != 1:
            raise Integrity(
                "the model does not fit its signature",
                where="model.lightgbm.txt",
                expected=f"{columns} columns, 1 score",
                got=f"{width.value} columns, {classes.value} scores",
            )
        self._columns = columns
        _check(
            library.LGBM_BoosterPredictForMatSingleRowFastInit(
                self._handle, _NORMAL, 0, -1, _FLOAT64, ctypes.c_int32(columns), _PARAMETERS, ctypes.byref(self._fast)
            ),
            "the model cannot be prepared",
        )
        self._row = _row_function()
        self._out = ctypes.c_double()
        self._out_count = ctypes.c_int64()
        # Plain addresses: built once, so that a call converts nothing.
        self._fast_address = self._fast.value
        self._out_address, self._count_address = ctypes.addressof(self._out), ctypes.addressof(self._out_count)

    def score_row(self, row: bytes) -> float:
        """The score of one row, given as its columns in little-endian float64."""
        if self._row(self._fast_address, row, self._count_address, self._out_address):
            _check(1, "the model failed")
        score: float = self._out.value
        return score

    def score(self, matrix: Float) -> Float:
        """Scores ``[rows]`` of a matrix ``[rows, columns]``."""
        matrix = np.ascontiguousarray(matrix, dtype=np.float64)
        rows, columns = matrix.shape
        scores = np.empty(rows, dtype=np.float64)
        count = ctypes.c_int64()
        source, target = matrix.ctypes.data_as(ctypes.c_void_p), scores.ctypes.data_as(ctypes.c_void_p)
        shape = (ctypes.c_int32(rows), ctypes.c_int32(columns))
        code = _library().LGBM_BoosterPredictForMat(
            self._handle, source, _FLOAT64, *shape, 1, _NORMAL, 0, -1, _PARAMETERS, ctypes.byref(count), target
        )
        _check(code, "the model failed")
        return scores

    def __del__(self) -> None:
        if getattr(self, "_fast", None):
            _library().LGBM_FastConfigFree(self._fast)
        if getattr(self, "_handle", None):
            _library().LGBM_BoosterFree(self._handle)
