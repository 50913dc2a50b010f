"""Keys numbered by their hashes, in ``numbering.c``: a third of the time of comparing keys, and compared all the same in the end.

Equal hashes are not equal keys, and somebody may make keys on purpose that collide: what was found is compared with the rows, all at
once, and given up when it is not the same. A single column of texts, which most keys are, is compared while it is numbered.
"""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leverframe.features.rows.arrow_texts import Texts, texts_of
from leverframe.features.rows.libraries import address, load_library, structure
from leverframe.features.rows.strides import strides

SOURCE = Path(__file__).with_name("numbering.c")
INTERFACE = 2
"""Of ``numbering.c``; raised with every change of its structures or its calls."""
SLOTS = 1 << 14
"""Enough for most entities; a table of that size stays in the processor's nearest memory."""
SLOTS_GROW = 16
"""So many times larger is the next table, until every row could have a key of its own."""
KEY_WORDS = 3
"""Of 8 bytes, that a ``Key`` in ``numbering.c`` has."""
COMPARED_ROWS = 131_072
"""Keys that are compared at once: each call of Polars costs as much as some thousand of them."""
Ints = NDArray[np.int64]
_POINTER, _NUMBER = ctypes.c_void_p, ctypes.c_int64


class _Table(ctypes.Structure):
    """``Table`` in ``numbering.c``."""

    _fields_ = [("mask", _NUMBER), ("hash", _POINTER), ("code", _POINTER)]


class _TextTable(ctypes.Structure):
    """``TextTable`` in ``numbering.c``."""

    _fields_ = [("mask", _NUMBER), ("key", _POINTER), ("code", _POINTER)]


def distinct_by_hash(rows: pl.DataFrame) -> tuple[pl.DataFrame, Ints] | None:
    """The distinct rows (none of them null), in order, and for each row its place among them; None where that cannot be had by hashes."""
    with _texts(rows) as texts:
        grouped = _grouped(rows) if texts is None else _grouped_texts(texts, rows.height)
    if grouped is None:
        return None
    _, codes, firsts = grouped
    known = rows[firsts].with_row_index("__group").sort(rows.columns)
    place = np.empty(len(firsts), dtype=np.int64)
    place[known["__group"].to_numpy()] = np.arange(len(firsts))
    known = known.drop("__group")
    for part in strides(rows.height):
        codes[part] = place[codes[part]]
    return (known, codes) if texts is not None or _same(rows, known, codes) else None


def codes_by_hash(rows: pl.DataFrame, known: pl.DataFrame) -> Ints | None:
    """For each row its place among ``known`` (distinct, none of them null), or -1; None where that cannot be had by hashes."""
    codes = np.empty(rows.height, dtype=np.int64)
    with _texts(rows) as texts, _texts(known) as known_texts:
        if texts is not None and known_texts is not None:
            return codes if _found_texts(texts, known_texts, known.height, codes) else None
    grouped = _grouped(known)
    if grouped is None or len(grouped[2]) != known.height:
        return None
    table, hashes = grouped[0], _hashes(rows)
    _built().leverframe_numbering_find(ctypes.byref(table), address(hashes), len(hashes), address(codes))
    return codes if _same(rows, known, codes) else None


def _texts(rows: pl.DataFrame) -> AbstractContextManager[list[Texts] | None]:
    """The one column of texts that the keys are; None where they are anything else."""
    only = _calls() is not None and rows.width == 1 and rows.dtypes[0] == pl.String
    return texts_of(rows.to_series()) if only else nullcontext()


def _grouped_texts(texts: Sequence[Texts], rows: int) -> tuple[_TextTable, Ints, Ints] | None:
    """As ``_grouped``, of texts that lie there meanwhile; they are compared on the way."""
    codes = np.empty(rows, dtype=np.int64)
    for slots in _sizes(rows):
        table: _TextTable = structure(
            _TextTable, mask=slots - 1, key=np.empty((slots, KEY_WORDS), dtype=np.uint64), code=np.full(slots, -1)
        )
        firsts, groups, at = np.empty(slots // 2 + 1, dtype=np.int64), 0, 0
        for some in texts:
            here = address(codes[at:])
            groups = _built().leverframe_numbering_group_texts(ctypes.byref(table), ctypes.byref(some), at, groups, here, address(firsts))
            if groups < 0:
                break
            at += some.rows
        if groups >= 0:
            return table, codes, firsts[:groups]
    return None


def _found_texts(texts: Sequence[Texts], known: Sequence[Texts], keys: int, codes: Ints) -> bool:
    """Fill ``codes`` with each text's place among the known ones; False where these cannot be told apart."""
    grouped = _grouped_texts(known, keys)
    if grouped is None or len(grouped[2]) != keys:
        return False
    at = 0
    for some in texts:
        _built().leverframe_numbering_find_texts(ctypes.byref(grouped[0]), ctypes.byref(some), address(codes[at:]))
        at += some.rows
    return True


def _grouped(rows: pl.DataFrame) -> tuple[_Table, Ints, Ints] | None:
    """A table of the rows' hashes, the number of each row's, and the first row of each number."""
    if _calls() is None:
        return None
    hashes, codes = _hashes(rows), np.empty(rows.height, dtype=np.int64)
    for slots in _sizes(rows.height):
        table: _Table = structure(_Table, mask=slots - 1, hash=np.empty(slots, dtype=np.uint64), code=np.full(slots, -1))
        firsts = np.empty(slots // 2 + 1, dtype=np.int64)
        groups = _built().leverframe_numbering_group(ctypes.byref(table), address(hashes), len(hashes), address(codes), address(firsts))
        if groups >= 0:
            return table, codes, firsts[:groups]
    return None


def _sizes(rows: int) -> Iterator[int]:
    """How many slots to try."""
    slots = SLOTS
    while slots <= SLOTS or slots < SLOTS_GROW * 2 * rows:
        yield slots
        slots *= SLOTS_GROW


def _hashes(rows: pl.DataFrame) -> NDArray[np.uint64]:
    hashes = rows.to_series().hash() if rows.width == 1 else rows.hash_rows()
    return np.ascontiguousarray(hashes.to_numpy(), dtype=np.uint64)


def _same(rows: pl.DataFrame, known: pl.DataFrame, codes: Ints) -> bool:
    """Whether each row that has a number is the known row of that number."""
    # In one piece, because Polars gathers from several in three times the time.
    pairs = [(rows[column], known[column].rechunk()) for column in rows.columns]
    parts = strides(rows.height, COMPARED_ROWS)
    return not known.height or all(_same_column(column[part], keys, codes[part]) for column, keys in pairs for part in parts)


def _same_column(column: pl.Series, known: pl.Series, codes: Ints) -> bool:
    numbered = codes >= 0
    if numbered.all():
        # Null is no key, and equal to none.
        return bool((known.gather(pl.Series(codes)) == column).fill_null(False).all())
    return bool(((known.gather(pl.Series(np.maximum(codes, 0))) == column) | pl.Series(~numbered)).fill_null(False).all())


def _built() -> ctypes.CDLL:
    calls = _calls()
    assert calls is not None, "nothing is grouped without the library"
    return calls


@cache
def _calls() -> ctypes.CDLL | None:
    library = load_library(SOURCE, INTERFACE)
    if library is not None:
        library.leverframe_numbering_group.argtypes = (_POINTER, _POINTER, _NUMBER, _POINTER, _POINTER)
        library.leverframe_numbering_group.restype = _NUMBER
        library.leverframe_numbering_find.argtypes = (_POINTER, _POINTER, _NUMBER, _POINTER)
        library.leverframe_numbering_find.restype = None
        library.leverframe_numbering_group_texts.argtypes = (_POINTER, _POINTER, _NUMBER, _NUMBER, _POINTER, _POINTER)
        library.leverframe_numbering_group_texts.restype = _NUMBER
        library.leverframe_numbering_find_texts.argtypes = (_POINTER, _POINTER, _POINTER)
        library.leverframe_numbering_find_texts.restype = None
    return library
