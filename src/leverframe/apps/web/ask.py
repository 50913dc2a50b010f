"""What a person types to ask a model, as typed columns: the command line and the console's form share it."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from leverframe.core.errors import Fault, InvalidInput
from leverframe.core.schema import DataType, Example, RequestField

ROWS_MAX = 100
"""Rows of one try; more are refused: a try is to look at, not to score a file."""
_YES, _NO = ("true", "yes", "1"), ("false", "no", "0")


def value_of(text: str, datatype: DataType) -> Example | None:
    """``text`` as a value of ``datatype``; an empty number is None, which the model takes as missing.

    >>> value_of("187", "FP64"), value_of("187", "BYTES"), value_of("yes", "BOOL"), value_of("", "FP64")
    (187.0, '187', True, None)

    Raises
    ------
    ValueError: it is none.
    """
    if datatype == "BYTES":
        return text
    plain = text.strip().lower()
    if datatype == "BOOL":
        if plain not in (*_YES, *_NO):
            raise ValueError("true or false")
        return plain in _YES
    if datatype.startswith("FP"):
        return float(plain) if plain else None
    return int(plain)


def field_value(text: str, field: RequestField) -> Any:
    """``text`` as a value of ``field``; of a vector, its numbers with commas between.

    >>> field_value("1, 2.5", RequestField(name="embedding", datatype="FP32", width=2))
    [1.0, 2.5]

    Raises
    ------
    ValueError: it is none, or a vector of another width.
    """
    if field.width == 1:
        return value_of(text, field.datatype)
    values = [value_of(part, field.datatype) for part in text.strip().strip("[]").split(",")]
    if len(values) != field.width:
        raise ValueError(f"{field.width} values")
    return values


def rows_of(fields: Sequence[RequestField], text: str) -> list[dict[str, Any]]:
    """Rows typed as CSV with a line of input names, each typed as :func:`row_of` does; an empty cell of an optional input is left out.

    >>> rows_of((RequestField(name="origin", datatype="BYTES"), RequestField(name="n", datatype="INT64")), "origin,n\\nJFK,1\\nLGA,2")
    [{'origin': 'JFK', 'n': 1}, {'origin': 'LGA', 'n': 2}]

    Raises
    ------
    InvalidInput: more than ``ROWS_MAX`` rows, lines of another length, or what :func:`row_of` says.
    """
    reader = csv.reader(io.StringIO(text.strip()))
    names = [name.strip() for name in next(reader, [])]
    optional = {field.name for field in fields if not field.required}
    rows: list[dict[str, Any]] = []
    for cells in reader:
        if len(cells) != len(names) or len(rows) == ROWS_MAX:
            raise InvalidInput(
                "these rows cannot be asked with",
                where=f"line {reader.line_num}",
                expected=f"{len(names)} cells, at most {ROWS_MAX} rows",
                got=f"{len(cells)} cells",
            )
        typed = dict(zip(names, cells, strict=True))
        rows.append(row_of(fields, {name: cell for name, cell in typed.items() if cell or name not in optional}))
    if len({frozenset(row) for row in rows}) > 1:
        raise InvalidInput("a row leaves out what another has", where="rows", expected="the same inputs in every row")
    return rows


def row_of(fields: Sequence[RequestField], typed: Mapping[str, str]) -> dict[str, Any]:
    """One row of inputs from what was typed, by field name; fields that were not typed are left out.

    Raises
    ------
    InvalidInput: with every name the model does not take and every value of another type.
    """
    by_name = {field.name: field for field in fields}
    faults: list[Fault] = []
    row: dict[str, Any] = {}
    for name, text in typed.items():
        if name not in by_name:
            faults.append(Fault(where=name[:100], what="the model takes no such input", expected=", ".join(by_name), got=name[:100]))
            continue
        try:
            row[name] = field_value(text, by_name[name])
        except (ValueError, OverflowError):
            faults.append(Fault(where=name, what="not a value of this input", expected=by_name[name].datatype, got=text[:40]))
    if faults:
        raise InvalidInput(
            "these inputs cannot be asked with", where="inputs", faults=faults, next_step="lever predict ENDPOINT asks with the example"
        )
    return row


def example_of(field: RequestField) -> Example:
    """A value to show: the field's own example, or a stand-in of its type.

    >>> example_of(RequestField(name="dest", datatype="BYTES", example="BOS")), example_of(RequestField(name="n", datatype="INT64"))
    ('BOS', 0)
    """
    if field.example is not None:
        return field.example
    return "text" if field.datatype == "BYTES" else True if field.datatype == "BOOL" else 0.0 if field.datatype.startswith("FP") else 0


def tensors(fields: Sequence[RequestField], row: Mapping[str, Example | None]) -> list[dict[str, object]]:
    """``row`` as the inputs of an Open Inference Protocol request."""
    return [
        {
            "name": field.name,
            "shape": [1] if field.width == 1 else [1, field.width],
            "datatype": field.datatype,
            "data": [row[field.name]],
        }
        for field in fields
        if field.name in row
    ]
