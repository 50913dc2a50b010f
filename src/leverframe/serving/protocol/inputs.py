"""From an inference document to the columns a model's signature names; every fault of the request is found at once."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from leverframe.core.column_reads import column_fields
from leverframe.core.errors import Fault, Integrity, LimitExceeded, SchemaMismatch
from leverframe.core.schema import RequestField, Signature
from leverframe.serving.protocol.oip import InferDocument
from leverframe.serving.protocol.tensors import Column, Tensor, read_column, read_values, rows_of

ROWS_MAX = 16_384
"""Rows a request; more is refused: score files instead."""


class PackedRow(Mapping[str, Any]):
    """The columns of a single row that came as one tensor, kept as it came: most models want it in just that order."""

    __slots__ = ("positions", "row")

    def __init__(self, positions: Mapping[str, int], row: list[Any]) -> None:
        self.positions = positions
        self.row = row

    def __getitem__(self, name: str) -> list[Any]:
        return [self.row[self.positions[name]]]

    def get(self, name: str, default: Any = None) -> Any:
        """The column, or ``default``."""
        position = self.positions.get(name)
        return default if position is None else [self.row[position]]

    def __iter__(self) -> Iterator[str]:
        return iter(self.positions)

    def __len__(self) -> int:
        return len(self.positions)


class PackedTable(Mapping[str, Any]):
    """The columns of several rows that came as one tensor: ``table``, float64 ``[rows, fields]``, and views of its columns."""

    __slots__ = ("positions", "table")

    def __init__(self, positions: Mapping[str, int], table: npt.NDArray[np.float64]) -> None:
        self.positions = positions
        self.table = table

    def __getitem__(self, name: str) -> npt.NDArray[np.float64]:
        return self.table[:, self.positions[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self.positions)

    def __len__(self) -> int:
        return len(self.positions)


class InputPlan:
    """How the requests of one signature are read.

    Besides one tensor a field, a model of numbers only also takes one tensor ``[rows, fields]`` in signature order under any other name.
    """

    def __init__(self, signature: Signature) -> None:
        moments = {column.field for column in signature.columns if column.source == "request_time"}
        self._fields = tuple(_as_moment(field) if field.name in moments else _checked(field) for field in signature.request)
        widths = {field.name: field.width for field in signature.request}
        for column in signature.columns:
            for name in column_fields(column):
                if not 0 <= column.element < widths.get(name, 0):
                    raise Integrity("a column reads what no request has", where=f"signature.json, {column.name}", got=name)
        self.positions = {field.name: index for index, field in enumerate(signature.request)}
        """Request field to its place in a packed row."""
        self.packable = len(signature.request) > 1 and all(
            field.datatype.startswith("FP") and field.width == 1 for field in signature.request
        )

    def read(self, document: InferDocument) -> tuple[Mapping[str, Any], int]:
        """Field name to column, and the number of rows.

        Inputs that the signature does not name are ignored: a version may stop using what callers still send.

        Raises
        ------
        SchemaMismatch: with every fault of every field.    LimitExceeded: too many rows.
        """
        inputs = document.inputs
        if self.packable and len(inputs) == 1 and len(inputs[0].shape) == 2 and inputs[0].name not in self.positions:
            columns, rows, faults = self._read_packed(inputs[0])
        else:
            columns, rows, faults = self._read_fields(inputs)
        if rows < 1 and not faults:
            faults = [Fault(where="inputs", what="no rows", expected="shape [rows] with at least 1 row", got=f"{rows}")]
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

    def _read_packed(self, tensor: Tensor) -> tuple[Mapping[str, Any], int, list[Fault]]:
        width = len(self._fields)
        rows = rows_of(tensor.shape, width)
        if rows < 0:
            return {}, 0, [Fault(where=tensor.name[:100], what="wrong shape", expected=f"[rows, {width}]", got=str(tensor.shape[:8]))]
        _check_rows(rows)
        values = read_values(tensor, "FP64", rows * width)
        if isinstance(values, Fault):
            return {}, rows, [values]
        if rows == 1:
            # Python's floats: of a single row they are cheaper to look at than an array's elements.
            row = values if isinstance(values, list) else np.asarray(values, dtype=np.float64).tolist()
            return PackedRow(self.positions, row), rows, []
        return PackedTable(self.positions, np.asarray(values, dtype=np.float64).reshape(rows, width)), rows, []

    def _read_fields(self, inputs: list[Tensor]) -> tuple[Mapping[str, Any], int, list[Fault]]:
        faults: list[Fault] = []
        columns: dict[str, Any] = {}
        given = {tensor.name: tensor for tensor in inputs}
        if len(given) != len(inputs):
            faults.append(Fault(where="inputs", what="an input is given twice", expected="each name once"))
        shapes = [rows_of(given[field.name].shape, field.width) for field in self._fields if field.name in given]
        rows = next((count for count in shapes if count >= 0), 1)
        _check_rows(rows)
        for field in self._fields:
            tensor = given.get(field.name)
            column = read_column(field, tensor, rows) if tensor is not None else _absent(field, given, max(rows, 1))
            if isinstance(column, Fault):
                faults.append(column)
            else:
                columns[field.name] = column
        return columns, rows, faults


def _as_moment(field: RequestField) -> RequestField:
    """A field that a request-time function reads: an integer of 64 signed bits in every row."""
    if not field.datatype.startswith(("INT", "UINT")) or field.width != 1 or not field.required:
        raise Integrity(
            "a request-time function reads a field that is no moment",
            where=f"signature.json, {field.name}",
            expected="a required integer of width 1",
            got=f"{field.datatype}, width {field.width}, {'required' if field.required else 'optional'}",
        )
    return msgspec.structs.replace(field, datatype="INT64") if field.datatype == "UINT64" else field


def _checked(field: RequestField) -> RequestField:
    if field.width < 1 or (field.width > 1 and field.datatype in ("BYTES", "BOOL")):
        raise Integrity(
            "a field cannot have this width", where=f"signature.json, {field.name}", expected="1, or more for numbers", got=str(field.width)
        )
    return field


def _absent(field: RequestField, given: Mapping[str, Tensor], rows: int) -> Column | Fault:
    if not field.required and field.datatype == "BYTES":
        return [None] * rows
    if not field.required and field.datatype.startswith("FP"):
        # A view of one NaN: however wide and many, it takes no memory.
        return np.full(rows, np.nan) if field.width == 1 else np.broadcast_to(np.float64("nan"), (rows, field.width))
    close = difflib.get_close_matches(field.name, given, n=1)
    expected = f"{field.datatype} [{rows}]" if field.width == 1 else f"{field.datatype} [{rows}, {field.width}]"
    return Fault(where=field.name, what="missing input", expected=expected, got=f"'{close[0][:60]}'" if close else "nothing")


def _check_rows(rows: int) -> None:
    if rows > ROWS_MAX:
        raise LimitExceeded("too many rows", where="inputs", expected=f"at most {ROWS_MAX}", got=str(rows), next_step="split the request")
