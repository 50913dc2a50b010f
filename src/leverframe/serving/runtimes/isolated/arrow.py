"""Columns of numbers and text as an Arrow IPC stream of one record batch. Owner of nanoarrow; also runs in the child.

Source: Arrow columnar format, "Serialization and Interprocess Communication (IPC)".
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import nanoarrow
import numpy as np
import numpy.typing as npt
from nanoarrow import ipc
from nanoarrow.c_array import c_array_from_buffers

NUMBER, TEXT = "number", "text"
Column = npt.NDArray[np.float64] | Sequence[str | None]


class ArrowWriter:
    """Makes streams of one schema.

    Parameters
    ----------
    columns: name to ``number`` (float64, NaN for missing) or ``text`` (None for missing).
    """

    def __init__(self, columns: Mapping[str, str]) -> None:
        self._number = nanoarrow.c_schema(nanoarrow.float64())
        self._text = nanoarrow.c_schema(nanoarrow.string())
        types = {name: nanoarrow.string() if kind == TEXT else nanoarrow.float64() for name, kind in columns.items()}
        self._schema = nanoarrow.c_schema(nanoarrow.struct(types))

    def write(self, columns: Sequence[Column], rows: int) -> bytes:
        """``columns`` of ``rows`` values each, in the order of the schema."""
        children: list[Any] = []
        for column in columns:
            if isinstance(column, np.ndarray):
                values = np.ascontiguousarray(column, dtype=np.float64)
                children.append(c_array_from_buffers(self._number, rows, [None, values], null_count=0))
            else:
                children.append(nanoarrow.c_array(list(column), self._text))
        batch = c_array_from_buffers(self._schema, rows, [None], null_count=0, children=children)
        out = io.BytesIO()
        with ipc.StreamWriter.from_writable(out) as writer:
            writer.write_array(batch)
        return out.getvalue()


def read_columns(stream: bytes) -> dict[str, Any]:
    """The columns of a stream: float64 arrays, lists of text."""
    with ipc.InputStream.from_readable(io.BytesIO(stream)) as source:
        batch = nanoarrow.ArrayStream(source).read_all()
        found: dict[str, Any] = {}
        for field, column in zip(batch.schema.fields, batch.iter_children(), strict=True):
            number = field.type == nanoarrow.Type.DOUBLE
            found[field.name] = np.frombuffer(column.buffers[1], dtype="<f8").copy() if number else column.to_pylist()
    return found
