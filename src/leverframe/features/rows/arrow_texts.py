"""A column of texts as it lies in memory, through Arrow's C interface: for C that compares texts, nothing is copied.

Source: Arrow C data and C stream interfaces (https://arrow.apache.org/docs/format/CStreamInterface.html) and their PyCapsule protocol.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

STRING_VIEWS = b"vu"
_POINTER, _NUMBER = ctypes.c_void_p, ctypes.c_int64


class Texts(ctypes.Structure):
    """``Texts`` in ``numbering.c``: rows that lie together."""

    _fields_ = [*((name, _NUMBER) for name in ("rows", "offset")), *((name, _POINTER) for name in ("there", "views", "bytes"))]


class _Schema(ctypes.Structure):
    """``ArrowSchema``."""

    _fields_ = [
        *((name, ctypes.c_char_p) for name in ("format", "name", "metadata")),
        *((name, _NUMBER) for name in ("flags", "n_children")),
        *((name, _POINTER) for name in ("children", "dictionary", "release", "private_data")),
    ]


class _Array(ctypes.Structure):
    """``ArrowArray``."""

    _fields_ = [
        *((name, _NUMBER) for name in ("length", "null_count", "offset", "n_buffers", "n_children")),
        ("buffers", ctypes.POINTER(_POINTER)),
        *((name, _POINTER) for name in ("children", "dictionary", "release", "private_data")),
    ]


class _Stream(ctypes.Structure):
    """``ArrowArrayStream``; the capsule that holds it lets go of it."""

    _fields_ = [(name, _POINTER) for name in ("get_schema", "get_next", "get_last_error", "release", "private_data")]


_GET, _RELEASE = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER), ctypes.CFUNCTYPE(None, _POINTER)


@contextmanager
def texts_of(column: pl.Series) -> Iterator[list[Texts] | None]:
    """The chunks of ``column``, in order, to be read until the context ends; None when Polars hands over anything but string views."""
    # What lies in memory is used: it must not go before what points into it.
    capsule = column.__arrow_c_stream__()
    place = _capsule_pointer()(capsule, b"arrow_array_stream")
    stream, schema, held = _Stream.from_address(place), _Schema(), []
    try:
        if _GET(stream.get_schema)(place, ctypes.addressof(schema)) or schema.format != STRING_VIEWS:
            yield None
            return
        while True:
            array = _Array()
            if _GET(stream.get_next)(place, ctypes.addressof(array)):
                yield None
                return
            if not array.release:
                break
            held.append(array)
        yield [_texts(array) for array in held]
    finally:
        for each in (*held, schema):
            if each.release:
                _RELEASE(each.release)(ctypes.addressof(each))


def _texts(array: _Array) -> Texts:
    there, views = array.buffers[0], array.buffers[1]
    # Behind the views lie the buffers of long texts, and the list of their lengths.
    return Texts(array.length, array.offset, there, views, ctypes.addressof(array.buffers.contents) + 2 * ctypes.sizeof(_POINTER))


def _capsule_pointer() -> "ctypes._FuncPointer":
    # A function of our own: its types are not those of others who use the same one.
    kind = ctypes.PYFUNCTYPE(_POINTER, ctypes.py_object, ctypes.c_char_p)
    return kind(("PyCapsule_GetPointer", ctypes.pythonapi))
