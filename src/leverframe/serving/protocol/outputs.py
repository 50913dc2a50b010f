"""The named outputs of a model, made of its score columns."""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leverframe.core.errors import Fault, Integrity, SchemaMismatch
from leverframe.core.schema import OutputField, Signature

Float = npt.NDArray[np.float64]
_NUMPY: dict[str, str] = {
    "BOOL": "|b1", "UINT8": "|u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "|i1", "INT16": "<i2", "INT32": "<i4",
    "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Output:
    """One output: ``values`` are ``shape`` of them, row by row: a numpy array of the datatype, or a list of text."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: npt.NDArray[Any] | list[str]

    def plain(self) -> list[Any]:
        """The values as Python numbers or text."""
        return self.values if isinstance(self.values, list) else self.values.tolist()

    def packed(self) -> bytes:
        """The values as a binary tensor: little endian; text as a 32-bit length and UTF-8 each."""
        if isinstance(self.values, list):
            encoded = [text.encode() for text in self.values]
            return b"".join(_LENGTH.pack(len(each)) + each for each in encoded)
        return self.values.tobytes()


def _as_type(scores: Float, datatype: str) -> npt.NDArray[Any]:
    """``scores`` as values of ``datatype``: rounded where it has no fractions, and never beyond its smallest and largest value."""
    dtype = np.dtype(_NUMPY[datatype])
    if dtype.kind == "b":
        truth: npt.NDArray[Any] = np.rint(scores) != 0
        return truth
    if dtype.kind == "f":
        return np.clip(scores, np.finfo(dtype).min, np.finfo(dtype).max).astype(dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    # The largest 64-bit integers are no doubles: one that rounds up to 2^63 or 2^64 would wrap around.
    whole = np.rint(scores)
    exact = np.clip(whole, float(low), np.nextafter(float(high), 0.0) if float(high) > high else float(high)).astype(dtype)
    return np.where(whole >= float(high), np.array(high, dtype=dtype), exact)


class OutputPlan:
    """How the score columns of one signature become its outputs.

    Raises
    ------
    Integrity: the outputs cannot be made of score columns.
    """

    def __init__(self, signature: Signature) -> None:
        self.fields = signature.outputs
        self.names = tuple(field.name for field in self.fields)
        self._places: dict[str, tuple[int, int]] = {}
        at = 0
        for field in self.fields:
            if not field.argmax_of:
                self._places[field.name] = (at, at + field.width)
                at += field.width
        self.width = at
        """Score columns a row."""
        self.simple = len(self.fields) == 1 and at == 1 and self.fields[0].datatype in ("FP64", "FP32")
        """Whether there is one output with one number a row: the form with a short way."""
        self._check()

    def _check(self) -> None:
        faults = []
        for field in self.fields:
            text = field.datatype == "BYTES"
            of_scores = self._width_of(field.argmax_of) == len(field.categories) > 0 if text else not (field.argmax_of or field.categories)
            if not of_scores or field.width < 1:
                faults.append(field.name)
        first_is_text = bool(self.fields) and self.fields[0].datatype == "BYTES"
        if faults or len(set(self.names)) != len(self.names) or not self.fields or first_is_text:
            raise Integrity(
                "the signature's outputs cannot be made of scores",
                where="signature.json",
                expected="numbers with a width, text with categories and as many columns of argmax_of, a number first",
                got=", ".join(faults or self.names)[:200],
            )

    def _width_of(self, name: str) -> int:
        start, end = self._places.get(name, (0, 0))
        return end - start

    def outputs(self, scores: list[float], rows: int, wanted: tuple[str, ...] = ()) -> list[Output]:
        """The outputs named in ``wanted`` (all when empty), in that order, from ``rows * width`` scores."""
        table = np.asarray(scores, dtype=np.float64).reshape(rows, self.width)
        fields = self.fields if not wanted else tuple(next(f for f in self.fields if f.name == name) for name in wanted)
        return [self._output(field, table) for field in fields]

    def _output(self, field: OutputField, table: Float) -> Output:
        rows = len(table)
        if field.argmax_of:
            start, end = self._places[field.argmax_of]
            best = table[:, start:end].argmax(axis=1)
            return Output(field.name, "BYTES", (rows,), [field.categories[index] for index in best])
        start, end = self._places[field.name]
        shape = (rows,) if field.width == 1 else (rows, field.width)
        values = table[:, start:end].reshape(-1)
        return Output(field.name, field.datatype, shape, _as_type(values, field.datatype))

    def check_wanted(self, names: list[str]) -> tuple[str, ...]:
        """``names`` if the model has these outputs.

        Raises
        ------
        SchemaMismatch: an output is asked for that the model does not have, or one twice.
        """
        faults = [
            Fault(where=n[:100], what="no such output", expected=", ".join(self.names), got=n[:100]) for n in names if n not in self.names
        ]
        if len(set(names)) != len(names):
            faults.append(Fault(where="outputs", what="an output is asked for twice", expected="each name once"))
        if faults:
            raise SchemaMismatch(
                "the answer cannot be given as asked", where="outputs", faults=faults, expected=", ".join(self.names), got=faults[0].where
            )
        return tuple(names)
