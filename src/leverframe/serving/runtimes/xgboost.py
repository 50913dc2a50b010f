"""XGBoost's own library, called through its C interface, over models saved as data: JSON or UBJSON.

The Python package is not imported: it pulls in SciPy, and pandas when it is installed. XGBoost answers in float32, and so do we.
Source: XGBoost ``c_api.h`` 3.x (``XGBoosterLoadModelFromBuffer``, ``XGBoosterPredictFromDense``).
"""

import ctypes
import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leverframe.core.errors import Integrity, Unavailable
from leverframe.serving.runtimes.xgboost_scan import check_model

Float = npt.NDArray[np.float64]

_CONFIG = b'{"type":0,"training":false,"iteration_begin":0,"iteration_end":0,"missing":NaN,"strict_shape":true,"cache_id":0}'


@cache
def _library_path() -> str:
    spec = importlib.util.find_spec("xgboost")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for name in ("libxgboost.so", "libxgboost.dylib", "xgboost.dll"):
            if (path := Path(folder) / "lib" / name).exists():
                return str(path)
    raise Unavailable("XGBoost's library is not installed", where="xgboost", next_step="pip install 'leverframe[xgboost]'")


@cache
def _library() -> Any:
    """The library called with the interpreter lock released: for work that takes long."""
    library = ctypes.CDLL(_library_path())
    library.XGBGetLastError.restype = ctypes.c_char_p
    return library


@cache
def _predict_function() -> Any:
    """The prediction call with the interpreter lock kept: for one row, handing it over would cost more than it gives."""
    return ctypes.PyDLL(_library_path()).XGBoosterPredictFromDense


def _check(code: int, what: str) -> None:
    if code:
        message = _library().XGBGetLastError()
        raise Integrity(what, where="model.xgboost", got=message.decode(errors="replace")[:200] if message else "no reason given")


class _Result:
    """Where a call leaves its answer: float32 ``[rows, width]``, the library's until its next call on this thread."""

    def __init__(self) -> None:
        self.shape = ctypes.POINTER(ctypes.c_uint64)()
        self.dimensions = ctypes.c_uint64()
        self.values = ctypes.POINTER(ctypes.c_float)()
        self.arguments = (ctypes.byref(self.shape), ctypes.byref(self.dimensions), ctypes.byref(self.values))

    def table(self) -> Float:
        """A copy of the answer."""
        shape = [self.shape[index] for index in range(self.dimensions.value)]
        rows, width = shape[0], int(np.prod(shape[1:]))
        return np.ctypeslib.as_array(self.values, (rows, width)).astype(np.float64)


def _described(address: int, rows: int, columns: int) -> bytes:
    """A float64 matrix in memory, as numpy's array interface says it."""
    return json.dumps({"data": [address, True], "shape": [rows, columns], "typestr": "<f8", "version": 3}).encode()


class XgboostRuntime:
    """A booster from its JSON or UBJSON form, on one thread.

    Parameters
    ----------
    model: bytes of ``model.xgboost.json`` or ``model.xgboost.ubj``.
    columns: width of the matrices it will be given.
    width: scores a row.

    Raises
    ------
    Integrity: not such a model, or one of another shape.    Unavailable: the library is not installed.
    """

    name = "xgboost"

    def __init__(self, model: bytes, columns: int, width: int = 1) -> None:
        check_model(model, columns)
        library = _library()
        self._handle = ctypes.c_void_p()
        _check(library.XGBoosterCreate(None, ctypes.c_uint64(0), ctypes.byref(self._handle)), "no booster can be made")
        _check(library.XGBoosterLoadModelFromBuffer(self._handle, model, ctypes.c_uint64(len(model))), "XGBoost refuses the model")
        for name, value in ((b"nthread", b"1"), (b"device", b"cpu"), (b"verbosity", b"0")):
            _check(library.XGBoosterSetParam(self._handle, name, value), "XGBoost refuses a setting")
        self._columns = columns
        # One row always lies in the same place: its description is written once.
        self._row = (ctypes.c_double * columns)()
        self._row_bytes = columns * 8
        self._row_described = _described(ctypes.addressof(self._row), 1, columns)
        self._row_result, self._predict = _Result(), _predict_function()
        scores = self.score(np.full((1, columns), np.nan))
        if scores.size != width:
            raise Integrity(
                "the model does not fit its signature", where="model.xgboost", expected=f"{width} score(s) a row", got=str(scores.size)
            )

    def score_row(self, row: bytes) -> float:
        """The first score of one row, given as its columns in little-endian float64."""
        ctypes.memmove(self._row, row, self._row_bytes)
        if self._predict(self._handle, self._row_described, _CONFIG, None, *self._row_result.arguments):
            _check(1, "the model failed")
        score: float = self._row_result.values[0]
        return score

    def score(self, matrix: Float) -> Float:
        """Scores ``[rows]`` of a matrix ``[rows, columns]``, or ``[rows, width]``."""
        matrix = np.ascontiguousarray(matrix, dtype=np.float64)
        result, described = _Result(), _described(matrix.ctypes.data, *matrix.shape)
        _check(_library().XGBoosterPredictFromDense(self._handle, described, _CONFIG, None, *result.arguments), "the model failed")
        scores = result.table()
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            _library().XGBoosterFree(self._handle)
