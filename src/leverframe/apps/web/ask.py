"""What a person types to ask a model, as typed columns: the command line and the console's form share it."""

from collections.abc import Mapping, Sequence

from leverframe.core.errors import Fault, InvalidInput
from leverframe.core.schema import DataType, Example, RequestField

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


def row_of(fields: Sequence[RequestField], typed: Mapping[str, str]) -> dict[str, Example | None]:
    """One row of inputs from what was typed, by field name; fields that were not typed are left out.

    Raises
    ------
    InvalidInput: with every name the model does not take and every value of another type.
    """
    by_name = {field.name: field for field in fields}
    faults, row = [], {}
    for name, text in typed.items():
        if name not in by_name:
            faults.append(Fault(where=name[:100], what="the model takes no such input", expected=", ".join(by_name), got=name[:100]))
            continue
        try:
            row[name] = value_of(text, by_name[name].datatype)
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
        {"name": field.name, "shape": [1], "datatype": field.datatype, "data": [row[field.name]]} for field in fields if field.name in row
    ]
