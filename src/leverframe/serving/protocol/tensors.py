"""Tensors of the Open Inference Protocol v2 as columns: JSON data and the binary extension, checked against a field's declaration.

Source: Open Inference Protocol v2 (KServe), "Tensor Data Types"; Triton binary tensor data extension.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from leverframe.core.errors import Fault
from leverframe.core.schema import DataType, RequestField

Column = list[Any] | npt.NDArray[np.generic]

_NUMPY: dict[str, str] = {
    "BOOL": "|b1", "UINT8": "|u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "|i1", "INT16": "<i2", "INT32": "<i4",
    "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
_LENGTH = struct.Struct("<I")


class Tensor(msgspec.Struct):
    """One input as sent; ``data`` is undecoded JSON, ``binary`` the bytes behind the JSON part."""

    name: str
    shape: list[Annotated[int, msgspec.Meta(ge=0, le=2**31)]]
    datatype: str
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    parameters: dict[str, Any] = {}
    binary: bytes | None = None


def _decoder(item: Any) -> tuple[Callable[[Any], list[Any]], Callable[[Any], list[list[Any]]]]:
    return msgspec.json.Decoder(list[item]).decode, msgspec.json.Decoder(list[list[item]]).decode


_JSON = {
    "float": _decoder(float | None),
    "integer": _decoder(int),
    "boolean": _decoder(bool),
    "text": _decoder(str | None),
}
_KIND: dict[str, str] = {name: {"F": "float", "I": "integer", "U": "integer"}[name[0]] for name in _NUMPY if name != "BOOL"}
_KIND |= {"BOOL": "boolean", "BYTES": "text"}
NUMBERS = frozenset(name for name, kind in _KIND.items() if kind in ("float", "integer"))
"""Datatypes that may be sent where a model takes a float."""
_RANGES = {name: (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)) for name, dtype in _NUMPY.items() if name[0] in "IU"}
"""Smallest and largest value of each integer datatype."""
_ACCEPTS = {"float": ("float", "integer"), "integer": ("integer",), "boolean": ("boolean",), "text": ("text",)}


def _text(data: bytes) -> list[Any]:
    """Strings of a binary BYTES tensor: each a little-endian 32-bit length and UTF-8."""
    values, at = [], 0
    while at < len(data):
        (size,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if at + size > len(data):
            raise ValueError("a string is cut short")
        values.append(data[at : at + size].decode())
        at += size
    return values


def _from_json(raw: msgspec.Raw, kind: str) -> list[Any]:
    flat, nested = _JSON[kind]
    try:
        return flat(raw)
    except msgspec.ValidationError:
        # Data of shape [rows, columns] may be nested as well as flat.
        return [value for row in nested(raw) for value in row]


def _from_binary(data: bytes, datatype: str) -> Column:
    if datatype == "BYTES":
        return _text(data)
    values = np.frombuffer(data, dtype=_NUMPY[datatype])
    if datatype == "BOOL" and values.size and values.view(np.uint8).max() > 1:
        raise ValueError("a boolean is neither 0 nor 1")
    return values


def _check_range(values: Column, sent: str, expected: str) -> None:
    """Integers must be of the datatype they are sent as, and of the one the field has."""
    low = max(_RANGES[sent][0], _RANGES[expected][0])
    high = min(_RANGES[sent][1], _RANGES[expected][1])
    if not len(values):
        return
    smallest, largest = (min(values), max(values)) if isinstance(values, list) else (values.min(), values.max())
    if smallest < low or largest > high:
        raise ValueError(f"a value outside {low} to {high}")


def read_values(tensor: Tensor, expected: DataType, size: int) -> Column | Fault:
    """The ``size`` values of ``tensor`` as a field of type ``expected`` takes them, or what is wrong with it.

    Numbers may be sent as any integer or float type where the model takes a float, and as any integer type where it takes an integer
    and the values fit.
    """
    kind = _KIND[expected]
    if _KIND.get(tensor.datatype) not in _ACCEPTS[kind]:
        return Fault(where=tensor.name, what="wrong datatype", expected=expected, got=tensor.datatype[:20])
    try:
        if tensor.binary is not None:
            values = _from_binary(tensor.binary, tensor.datatype)
        elif isinstance(tensor.data, msgspec.Raw):
            values = _from_json(tensor.data, kind)
        else:
            return Fault(where=tensor.name, what="no data", expected=f"{size} values in 'data', or binary data", got="neither")
        if kind == "integer":
            _check_range(values, tensor.datatype, expected)
    except (ValueError, struct.error) as error:
        # msgspec's faults are ValueErrors too; they name the position and the type, never the value.
        return Fault(where=tensor.name, what="data does not fit the datatype", expected=expected, got=str(error)[:120])
    if len(values) != size:
        return Fault(where=tensor.name, what="shape and data disagree", expected=f"{size} values", got=f"{len(values)}")
    return values


def rows_of(shape: Sequence[int], columns: int = 1) -> int:
    """Rows of a column of shape ``[rows]`` or ``[rows, 1]``, or of a table ``[rows, columns]``; -1 for any other shape."""
    if len(shape) == 2 and shape[1] == columns:
        return shape[0]
    return shape[0] if len(shape) == 1 and columns == 1 else -1


def read_column(field: RequestField, tensor: Tensor, rows: int) -> Column | Fault:
    """The values of ``field`` for ``rows`` rows (float64 ``[rows, width]`` for a field of some width), or what is wrong."""
    width = field.width
    if rows_of(tensor.shape, width) != rows:
        expected = f"[{rows}] or [{rows}, 1]" if width == 1 else f"[{rows}, {width}]"
        return Fault(where=field.name, what="wrong shape", expected=expected, got=str(tensor.shape[:8]))
    values = read_values(tensor, field.datatype, rows * width)
    if isinstance(values, Fault):
        return Fault(where=field.name, what=values.what, expected=values.expected, got=values.got)
    return values if width == 1 else np.asarray(values, dtype=np.float64).reshape(rows, width)
