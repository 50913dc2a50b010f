"""From an inference document to the columns a model's signature names; every fault of the request is found at once."""

import difflib
from collections.abc import Mapping
from typing import Any

import numpy as np

from leverframe.core.errors import Fault, LimitExceeded, SchemaMismatch
from leverframe.core.schema import RequestField, Signature
from leverframe.serving.oip import InferDocument
from leverframe.serving.tensors import Column, Tensor, read_column, read_values, rows_of

ROWS_MAX = 16_384
"""Rows a request; more is refused: score files instead."""


def _packed(signature: Signature, document: InferDocument) -> Tensor | None:
    """The one tensor ``[rows, fields]`` that carries all fields, when the request is of that form."""
    if len(document.inputs) != 1 or len(signature.request) < 2:
        return None
    tensor = document.inputs[0]
    if len(tensor.shape) != 2 or any(field.name == tensor.name for field in signature.request):
        return None
    return tensor if all(field.datatype.startswith("FP") for field in signature.request) else None


def _read_packed(signature: Signature, tensor: Tensor) -> tuple[dict[str, Column], int, list[Fault]]:
    width = len(signature.request)
    rows = rows_of(tensor.shape, width)
    if rows < 0:
        return {}, 0, [Fault(where=tensor.name[:100], what="wrong shape", expected=f"[rows, {width}]", got=str(tensor.shape[:8]))]
    values = read_values(tensor, "FP64", rows * width)
    if isinstance(values, Fault):
        return {}, rows, [values]
    names = [field.name for field in signature.request]
    if rows == 1:
        return {name: [value] for name, value in zip(names, values, strict=True)}, rows, []
    table = np.asarray(values, dtype=np.float64).reshape(rows, width)
    return {name: table[:, index] for index, name in enumerate(names)}, rows, []


def _absent(field: RequestField, given: Mapping[str, Tensor], rows: int) -> Column | Fault:
    if not field.required and field.datatype == "BYTES":
        return [None] * rows
    if not field.required and field.datatype.startswith("FP"):
        return np.full(rows, np.nan)
    close = difflib.get_close_matches(field.name, given, n=1)
    return Fault(where=field.name, what="missing input", expected=field.datatype, got=f"'{close[0][:60]}'" if close else "nothing")


def read_inputs(signature: Signature, document: InferDocument) -> tuple[dict[str, Any], int]:
    """Field name to column, and the number of rows.

    Inputs that the signature does not name are ignored: a version may stop using what callers still send.

    Raises
    ------
    SchemaMismatch: with every fault of every field.    LimitExceeded: too many rows.
    """
    packed = _packed(signature, document)
    faults: list[Fault] = []
    columns: dict[str, Any] = {}
    if packed is not None:
        columns, rows, faults = _read_packed(signature, packed)
    else:
        given = {tensor.name: tensor for tensor in document.inputs}
        if len(given) != len(document.inputs):
            faults.append(Fault(where="inputs", what="an input is given twice", expected="each name once"))
        shapes = [rows_of(given[field.name].shape) for field in signature.request if field.name in given]
        rows = next((count for count in shapes if count >= 0), 1)
        _check_rows(rows)
        for field in signature.request:
            tensor = given.get(field.name)
            column = read_column(field, tensor, max(rows, 0)) if tensor is not None else _absent(field, given, max(rows, 1))
            if isinstance(column, Fault):
                faults.append(column)
            else:
                columns[field.name] = column
    _check_rows(rows)
    if rows < 1 and not faults:
        faults.append(Fault(where="inputs", what="no rows", expected="shape [rows] with at least 1 row", got=f"{rows}"))
    if faults:
        raise SchemaMismatch(
            "; ".join(f"{fault.where}: {fault.what}" for fault in faults)[:400],
            where="inputs",
            expected=faults[0].expected,
            got=faults[0].got,
            next_step="see the example, or GET the model's metadata",
            faults=faults,
        )
    return columns, rows


def _check_rows(rows: int) -> None:
    if rows > ROWS_MAX:
        raise LimitExceeded("too many rows", where="inputs", expected=f"at most {ROWS_MAX}", got=str(rows), next_step="split the request")
