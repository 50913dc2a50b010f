"""The newest known rows by ``newest.c``, which is built when Leverframe is installed. Calls let go of the interpreter."""

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from leverframe.features.rows.libraries import address, load_library, structure
from leverframe.features.rows.numbering import Ints
from leverframe.features.rows.strides import block_of
from leverframe.features.timelines.newest import Floats, Newest, NewestEngine, Seen
from leverframe.features.timelines.newest_numpy import NumpyNewest

SOURCE = Path(__file__).with_name("newest.c")
INTERFACE = 1
"""Of ``newest.c``; raised with every change of its structures or its calls."""
_POINTER, _NUMBER = ctypes.c_void_p, ctypes.c_int64
_OF_ROWS = ("starts", "from_us", "event_us", "place")
_CALLS = {
    "take_over": (*(_POINTER,) * 4, _NUMBER, _NUMBER, *(_POINTER,) * 5),
    "answer": (_POINTER, _POINTER, _NUMBER, _NUMBER, _POINTER, _POINTER, _NUMBER, _POINTER, _POINTER),
}


class _Newest(ctypes.Structure):
    """``Newest`` in ``newest.c``."""

    _fields_ = [(name, _POINTER) for name in _OF_ROWS]


class _Asked(ctypes.Structure):
    """``Asked`` in ``newest.c``."""

    _fields_ = [("codes", _POINTER), ("moments_us", _POINTER), ("ttl_us", _NUMBER)]


class _Seen(ctypes.Structure):
    """``Seen`` in ``newest.c``."""

    _fields_ = [(name, _NUMBER) for name in ("known", "found", "alive", "age_us_min", "age_us_max")]


@cache
def newest_engine() -> NewestEngine:
    """The compiled engine; the one in numpy where that was not built."""
    library = load_library(SOURCE, INTERFACE)
    return NumpyNewest() if library is None else CompiledNewest(library)


class CompiledNewest:
    """See ``NewestEngine``."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._calls = {name: getattr(library, f"leverframe_newest_{name}") for name in _CALLS}
        for name, call in self._calls.items():
            call.argtypes, call.restype = _CALLS[name], None

    def take_over(self, codes: Ints, keys: int, event_us: Ints, arrival_us: Ints, order: Ints | None) -> Newest:
        """The rows that take over."""
        rows = len(codes)
        assert all(len(each) == rows for each in (event_us, arrival_us, codes if order is None else order)), "a moment a row"
        assert not rows or 0 <= codes.min() <= codes.max() < keys, "rows are of known keys"
        assert order is None or not rows or 0 <= order.min() <= order.max() < rows, "an order is of the rows"
        starts = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=keys))])
        ends = np.empty(keys, dtype=np.int64)
        from_us, event_of_us, place = block_of(3, rows)
        given = [None if each is None else np.ascontiguousarray(each, dtype=np.int64) for each in (codes, event_us, arrival_us, order)]
        self._calls["take_over"](*map(address, given), rows, keys, *map(address, (starts, ends, from_us, event_of_us, place)))
        kept = slice(int(starts[-1]))
        return Newest(starts, from_us[kept], event_of_us[kept], place[kept], rows)

    def answer(
        self, newest: Newest, codes: Ints, moments_us: Ints, ttl_us: int, values: Sequence[Floats], block: Floats, part: slice
    ) -> Seen:
        """Fill ``block[:, part]`` with what is known at each question's moment."""
        first, end, _ = part.indices(len(codes))
        codes, moments_us = np.ascontiguousarray(codes, dtype=np.int64), np.ascontiguousarray(moments_us, dtype=np.int64)
        values = [np.ascontiguousarray(column, dtype=np.float64) for column in values]
        _check(newest, codes, moments_us, values, block)
        reached, seen = np.array(newest.starts[:-1], dtype=np.int64), _Seen(0, 0, 0, np.iinfo(np.int64).max, np.iinfo(np.int64).min)
        rows = structure(_Newest, **{name: np.ascontiguousarray(getattr(newest, name), dtype=np.int64) for name in _OF_ROWS})
        asked = structure(_Asked, codes=codes, moments_us=moments_us, ttl_us=ttl_us)
        columns, answers = _addresses(values), _addresses(block)
        self._calls["answer"](
            ctypes.byref(rows), ctypes.byref(asked), first, end, columns, answers, len(values), address(reached), ctypes.byref(seen)
        )
        ages_us = (seen.age_us_min, seen.age_us_max) if seen.alive else (None, None)
        return Seen(seen.known, seen.found, seen.alive, *ages_us)


def _check(newest: Newest, codes: Ints, moments_us: Ints, values: Sequence[Floats], block: Floats) -> None:
    assert codes.shape == moments_us.shape == block.shape[1:], "a moment and an answer a question"
    assert len(values) == len(block), "a column of answers for each of values"
    assert all((block.dtype == np.float64, block.flags.c_contiguous, block.flags.writeable)), "answers lie side by side"
    assert not len(codes) or codes.max() < newest.keys, "keys are numbered"
    assert all(column.shape == (newest.places,) for column in values), "a value a place"


def _addresses(columns: Sequence[Floats] | Floats) -> Any:
    return (_POINTER * len(columns))(*map(address, columns))
