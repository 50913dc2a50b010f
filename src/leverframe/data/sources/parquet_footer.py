"""What a Parquet file says about its own size, read before a single page is decompressed.

Only the counts needed to refuse a bomb are taken from the footer; everything else is skipped with a bound on depth and length.

Source: Apache Parquet format (``parquet.thrift``: FileMetaData, RowGroup) in Thrift's compact protocol.
"""

import struct
from typing import NamedTuple

from leverframe.core.errors import InvalidInput

MAGIC = b"PAR1"
FOOTER_BYTES_MAX = 16_000_000
DEPTH_MAX = 24
NESTING_MAX = 16
"""Groups within groups of a schema. Measured: at 10,000 the reader overruns its stack and takes the process with it."""

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)


class ParquetSize(NamedTuple):
    """What the footer declares: rows, uncompressed bytes, columns (each leaf of a nested one), and values over all of them."""

    rows: int
    uncompressed_bytes: int
    columns: int
    values: int

    @property
    def decoded_bytes(self) -> int:
        """Bytes in memory at least: a file of one repeated value is tiny, and each of its values is a number or a view again."""
        return max(self.uncompressed_bytes, 8 * self.values)


class _Reader:
    """Walks compact-protocol values; every step forward is bounded by the buffer."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def varint(self) -> int:
        value = shift = 0
        while shift < 70:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
            shift += 7
        raise ValueError("varint too long")

    def integer(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def field(self, previous: int) -> tuple[int, int]:
        """(field id, type) of the next field of a struct; type 0 ends it."""
        head = self.byte()
        if head == 0:
            return 0, 0
        delta = head >> 4
        return (previous + delta if delta else self.integer()), head & 0x0F

    def list_head(self) -> tuple[int, int]:
        head = self.byte()
        size = head >> 4
        return (self.varint() if size == 15 else size), head & 0x0F

    def skip(self, kind: int, depth: int = 0) -> None:
        if depth > DEPTH_MAX or self.at > len(self.data):
            raise ValueError("nested too deep or past the end")
        if kind in (_TRUE, _FALSE):
            return
        if kind == _BYTE:
            self.at += 1
        elif kind in (_I16, _I32, _I64):
            self.varint()
        elif kind == _DOUBLE:
            self.at += 8
        elif kind == _BINARY:
            length = self.varint()
            self.at += length
        elif kind in (_LIST, _SET):
            size, item = self.list_head()
            for _ in range(size):
                self.skip_item(item, depth)
        elif kind == _MAP:
            self.skip_map(depth)
        elif kind == _STRUCT:
            previous = 0
            while True:
                previous, inner = self.field(previous)
                if inner == 0:
                    return
                self.skip(inner, depth + 1)
        else:
            raise ValueError("unknown type")

    def skip_item(self, kind: int, depth: int) -> None:
        """In a collection even a Boolean takes a byte, so each step moves forward."""
        if kind in (_TRUE, _FALSE):
            self.byte()
        else:
            self.skip(kind, depth + 1)

    def skip_map(self, depth: int) -> None:
        size = self.varint()
        kinds = self.byte() if size else 0
        for _ in range(size):
            self.skip_item(kinds >> 4, depth)
            self.skip_item(kinds & 0x0F, depth)


def declared_size(data: bytes) -> ParquetSize:
    """Rows and uncompressed bytes declared in the footer of a Parquet file.

    Raises
    ------
    InvalidInput: the bytes are no Parquet file, or its footer cannot be read.
    """
    if len(data) < 12 or data[:4] != MAGIC or data[-4:] != MAGIC:
        raise InvalidInput("not a Parquet file", where="file", expected="PAR1 at both ends", got=f"{len(data)} bytes")
    (length,) = struct.unpack("<I", data[-8:-4])
    if not 0 < length <= min(len(data) - 12, FOOTER_BYTES_MAX):
        raise InvalidInput("Parquet footer is damaged", where="footer", expected=f"1 to {len(data) - 12} bytes", got=str(length))
    reader = _Reader(data[-8 - length : -8])
    try:
        return _file_metadata(reader)
    except (ValueError, IndexError) as error:
        raise InvalidInput("Parquet footer is damaged", where="footer", next_step="write the file again") from error


def _file_metadata(reader: _Reader) -> ParquetSize:
    rows = total = columns = values = previous = 0
    while True:
        previous, kind = reader.field(previous)
        if kind == 0:
            return ParquetSize(rows, total, columns, values)
        if previous == 2 and kind == _LIST:
            size, _ = reader.list_head()
            columns = _schema_leaves(reader, size)
        elif previous == 3 and kind == _I64:
            rows = reader.integer()
        elif previous == 4 and kind == _LIST:
            size, _ = reader.list_head()
            for _ in range(size):
                group_bytes, group_values = _row_group(reader)
                total, values = total + group_bytes, values + group_values
        else:
            reader.skip(kind)


def _schema_leaves(reader: _Reader, size: int) -> int:
    """The columns among ``size`` schema elements, which stand in order of a walk from the root down.

    Raises
    ------
    ValueError: nested too deep.
    """
    leaves = 0
    open_groups: list[int] = []
    for _ in range(size):
        children = _children(reader)
        if open_groups:
            open_groups[-1] -= 1
        leaves += children <= 0
        if children > 0:
            open_groups.append(children)
            if len(open_groups) > NESTING_MAX:
                raise ValueError("columns nested too deep")
        while open_groups and open_groups[-1] <= 0:
            open_groups.pop()
    return leaves


def _children(reader: _Reader) -> int:
    """``SchemaElement.num_children``; 0 for a column."""
    children = previous = 0
    while True:
        previous, kind = reader.field(previous)
        if kind == 0:
            return children
        if previous == 5 and kind == _I32:
            children = reader.integer()
        else:
            reader.skip(kind)


def _row_group(reader: _Reader) -> tuple[int, int]:
    """Uncompressed bytes of a row group's columns, and their values: ``total_byte_size``, or what the columns say if that is more."""
    total = said = values = previous = 0
    while True:
        previous, kind = reader.field(previous)
        if kind == 0:
            return max(total, said), values
        if previous == 1 and kind == _LIST:
            size, _ = reader.list_head()
            for _ in range(size):
                chunk_bytes, chunk_values = _chunk(reader)
                said, values = said + chunk_bytes, values + chunk_values
        elif previous == 2 and kind == _I64:
            total = reader.integer()
        else:
            reader.skip(kind)


def _chunk(reader: _Reader) -> tuple[int, int]:
    """``ColumnMetaData.total_uncompressed_size`` and ``num_values`` of one ``ColumnChunk``."""
    found = (0, 0)
    previous = 0
    while True:
        previous, kind = reader.field(previous)
        if kind == 0:
            return found
        if previous == 3 and kind == _STRUCT:
            found = _chunk_metadata(reader)
        else:
            reader.skip(kind)


def _chunk_metadata(reader: _Reader) -> tuple[int, int]:
    size = values = previous = 0
    while True:
        previous, kind = reader.field(previous)
        if kind == 0:
            return max(0, size), max(0, values)
        if previous == 5 and kind == _I64:
            values = reader.integer()
        elif previous == 6 and kind == _I64:
            size = reader.integer()
        else:
            reader.skip(kind)
