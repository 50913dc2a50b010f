"""Rows from uploaded bytes: Parquet, CSV or JSON lines, bounded before they are read and never executed."""

import csv
import io
import unicodedata
from collections.abc import Callable, Mapping
from typing import Literal, get_args

import msgspec
import polars as pl

from leverframe.core.errors import Fault, InvalidInput, LimitExceeded
from leverframe.data.sources.parquet_footer import declared_size
from leverframe.data.sources.parquet_probe import probe

Format = Literal["parquet", "csv", "jsonl"]
NAME_CHARACTERS_MAX = 128
CSV_HEADER_BYTES_MAX = 1_000_000
LINE_BYTES_MAX = 1_000_000
JSON_CELLS_MAX = 40_000_000
"""A cell of JSON lines is a Python object before it is a value, and so costs several times what one of another format does."""
BOM = b"\xef\xbb\xbf"
ZLIB_STARTS = (b"x\x01", b"x\x9c", b"x\xda")
"""The reader of CSV decompresses what begins so, unless a byte order mark stands before it; ``x\xda`` may begin a name in UTF-8."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one offered file may be: bytes as uploaded, rows, columns, cells (rows times columns) and bytes once decompressed."""

    bytes_max: int = 512_000_000
    rows_max: int = 20_000_000
    columns_max: int = 1_000
    cells_max: int = 400_000_000
    uncompressed_bytes_max: int = 2_000_000_000


def read_rows(data: bytes, format: str, limits: Limits | None = None) -> pl.DataFrame:
    """The rows in ``data``.

    Parameters
    ----------
    data: the file's bytes.
    format: ``parquet``, ``csv`` (UTF-8, comma, header line; an empty field is missing) or ``jsonl`` (one flat object a line).

    Returns
    -------
    DataFrame: all text for CSV, otherwise the types the file carries.

    Raises
    ------
    LimitExceeded: the file is larger than ``limits`` in any respect; it names which.
    InvalidInput: the bytes are not what ``format`` says; it names where.
    """
    limits = limits or Limits()
    reader = _READERS.get(format)
    if reader is None:
        raise InvalidInput("unknown file format", where="format", expected=", ".join(get_args(Format)), got=format[:40])
    _bound("bytes", len(data), limits.bytes_max)
    frame = reader(data, limits)
    _bound("rows", frame.height, limits.rows_max)
    _check_names(frame.columns, limits)
    return frame


def _bound(what: str, got: int, most: int) -> None:
    if got > most:
        raise LimitExceeded(f"too many {what}", where="file", expected=f"at most {most:,}", got=f"{got:,}", next_step="split the file")


def _check_names(names: list[str], limits: Limits) -> None:
    """All faults of the column names at once."""
    _bound("columns", len(names), limits.columns_max)
    if not names:
        raise InvalidInput("the file has no columns", where="file")
    faults: list[Fault] = []
    for index, name in enumerate(names):
        if not name.strip() or len(name) > NAME_CHARACTERS_MAX or any(unicodedata.category(c).startswith("C") for c in name):
            expected = f"1 to {NAME_CHARACTERS_MAX} printable characters"
            faults.append(Fault(where=f"column {index + 1}", what="not a column name", expected=expected, got=repr(name)[:60]))
        elif name in names[:index]:
            faults.append(Fault(where=f"column {index + 1}", what="column name is used twice", got=name))
    if faults:
        raise InvalidInput(f"{len(faults)} column names cannot be used", where="file", faults=faults)


def _read_parquet(data: bytes, limits: Limits) -> pl.DataFrame:
    declared = declared_size(data)
    _bound("rows", declared.rows, limits.rows_max)
    _bound("columns", declared.columns, limits.columns_max)
    _bound("cells", max(declared.rows * declared.columns, declared.values), limits.cells_max)
    _bound("bytes once decompressed", declared.decoded_bytes, limits.uncompressed_bytes_max)
    # Before the reader sees it here: even its schema may take the process with it. A file that declares little gets little memory.
    probe(data, 2 * (len(data) + declared.decoded_bytes))
    try:
        _check_names(list(pl.read_parquet_schema(io.BytesIO(data))), limits)
        return pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InvalidInput(
            "Parquet file cannot be read", where="file", got=type(error).__name__, next_step="write the file again"
        ) from error


def _utf8(data: bytes) -> None:
    """Raises unless ``data`` is UTF-8 text without NUL."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InvalidInput("text is UTF-16", where="byte 0", expected="UTF-8", next_step="save the file as UTF-8")
    if not data.isascii():
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise InvalidInput("text is not UTF-8", where=f"line {line}, byte {error.start}", next_step="save the file as UTF-8") from error
    nul = data.find(b"\0")
    if nul >= 0:
        raise InvalidInput("text has a NUL byte", where=f"byte {nul}", expected="UTF-8 text")


def _read_csv(data: bytes, limits: Limits) -> pl.DataFrame:
    _utf8(data)
    data = data.removeprefix(BOM)
    names = _csv_header(data, limits)
    _bound("rows", max(0, data.count(b"\n") - 1), limits.rows_max)
    _bound("cells", data.count(b"\n") * len(names), limits.cells_max)
    if data.startswith(ZLIB_STARTS):
        data = BOM + data
    try:
        return pl.read_csv(data, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        expected = f"{len(names)} fields in every line, quotes closed"
        raise InvalidInput("CSV cannot be read", where="file", expected=expected, got=type(error).__name__) from error


def _csv_header(data: bytes, limits: Limits) -> list[str]:
    end = data.find(b"\n")
    header = data if end < 0 else data[:end]
    _bound("bytes in the header line", len(header), CSV_HEADER_BYTES_MAX)
    _bound("columns", header.count(b",") + 1 if b'"' not in header else 0, limits.columns_max)
    try:
        names = next(csv.reader([header.decode("utf-8").rstrip("\r")], strict=True), [])
    except csv.Error as error:
        raise InvalidInput("CSV header cannot be read", where="line 1", expected="comma-separated names") from error
    _check_names(names, limits)
    return names


_LINE = msgspec.json.Decoder(dict[str, str | int | float | bool | None])


def _read_json_lines(data: bytes, limits: Limits) -> pl.DataFrame:
    """Column by column, so that a value of another type than its column's shows up as text and not as a guess."""
    _utf8(data)
    data = data.removeprefix(BOM)
    _bound("rows", data.count(b"\n"), limits.rows_max)
    cells_max = min(limits.cells_max, JSON_CELLS_MAX)
    columns: dict[str, list[str | int | float | bool | None]] = {}
    rows = 0
    for number, line in enumerate(io.BytesIO(data), start=1):
        if not line.strip():
            continue
        _bound(f"bytes in line {number}", len(line), LINE_BYTES_MAX)
        for name, value in _json_row(line, number).items():
            if name not in columns:
                _bound("columns", len(columns) + 1, limits.columns_max)
                # A column costs a cell in every row, also in those that lack it, so it is counted when it first appears.
                _bound("cells", (rows + 1) * (len(columns) + 1), cells_max)
                columns[name] = []
            values = columns[name]
            values.extend([None] * (rows - len(values)))
            values.append(value)
        rows += 1
    _bound("cells", rows * len(columns), cells_max)
    for values in columns.values():
        values.extend([None] * (rows - len(values)))
    return pl.DataFrame([json_series(name, values) for name, values in columns.items()])


def _json_row(line: bytes, number: int) -> dict[str, str | int | float | bool | None]:
    try:
        return _LINE.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        expected = "one object of text, numbers, true, false or null"
        raise InvalidInput("line is not a flat JSON object", where=f"line {number}", expected=expected) from error


def json_series(name: str, values: list[str | int | float | bool | None]) -> pl.Series:
    """One column of JSON values: numbers, truth values or text where all are, otherwise their text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and all(not isinstance(v, int) or -(2**63) <= v < 2**63 for v in values):
        return pl.Series(name, values, dtype=pl.Float64 if float in kinds else pl.Int64, strict=False)
    if len(kinds) == 1 and int not in kinds:
        return pl.Series(name, values)
    return pl.Series(name, [_json_text(value) for value in values], dtype=pl.String)


def _json_text(value: str | int | float | bool | None) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


_READERS: Mapping[str, Callable[[bytes, Limits], pl.DataFrame]] = {
    "parquet": _read_parquet,
    "csv": _read_csv,
    "jsonl": _read_json_lines,
}
