"""MLflow's scoring protocol: ``POST /invocations`` with tables as JSON or CSV; a request becomes an inference document, an answer MLflow's.

Takes ``dataframe_split``, ``dataframe_records``, ``instances``, ``inputs`` (each with ``params`` beside it, which no model of ours takes
and so are ignored, as MLflow does) and ``text/csv`` with a line of column names. Columns are found by name; unknown ones are ignored, and
missing ones are named. ``NaN`` may be written for a missing number, as Python's JSON writers do.

Source: MLflow 3, "Deploy MLflow Model as a Local Inference Server", Accepted Input Formats.
"""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from leverframe.core.errors import Fault, InvalidInput, LimitExceeded, SchemaMismatch
from leverframe.core.schema import RequestField, Signature
from leverframe.serving.protocol.inputs import ROWS_MAX
from leverframe.serving.protocol.message import JSON, Response
from leverframe.serving.protocol.oip import InferDocument, example_value
from leverframe.serving.protocol.tensors import Tensor
from leverframe.serving.walk.answers import Answer

FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
CONTENT_TYPES = ("application/json", "text/csv")
COLUMNS_MAX = 4096
"""Columns of one request, wanted or not; more is refused."""
_CSV_TRUE, _CSV_FALSE = ("true", "1"), ("false", "0")
_encode = msgspec.json.encode
Table = Mapping[str, Sequence[Any]]


def read_invocation(body: bytes, content_type: bytes, signature: Signature, more: Sequence[RequestField] = ()) -> InferDocument:
    """The inference document that ``body`` stands for; value types are checked where documents are read.

    Parameters
    ----------
    content_type: of the body; empty is JSON.
    signature: of the live version; columns without names are in its order.
    more: fields that only other versions of the endpoint read.

    Raises
    ------
    InvalidInput: not a body of this protocol.    SchemaMismatch: columns that cannot be the model's.    LimitExceeded: too many rows.
    """
    fields = (*signature.request, *more)
    kind = content_type.partition(b";")[0].strip().lower()
    if kind == b"text/csv":
        return _document(_from_csv(body, fields), fields)
    if kind not in (b"", b"application/json"):
        raise InvalidInput(
            "unknown kind of body", where="Content-Type", expected=" or ".join(CONTENT_TYPES), got=kind[:60].decode("latin-1")
        )
    sent = _from_json(body)
    given = [name for name in FORMATS if name in sent]
    if len(given) != 1 or len(sent) > 1 + ("params" in sent):
        raise InvalidInput(
            "not an invocation",
            where="body",
            expected=f"a JSON object with exactly one of {', '.join(FORMATS)}, and params if wanted",
            got=", ".join(map(repr, list(sent)[:8]))[:200] or "an empty object",
            next_step="see the example",
        )
    if not isinstance(sent.get("params") or {}, dict):
        raise InvalidInput("not an invocation", where="params", expected="a JSON object", got=type(sent["params"]).__name__)
    data = sent[given[0]]
    if given[0] == "dataframe_split":
        return _document(_from_split(data, signature), fields)
    if given[0] == "dataframe_records":
        return _document(_from_records(data, given[0]), fields)
    if isinstance(data, dict) and given[0] == "inputs":
        return _document({name: value if isinstance(value, list) else [value] for name, value in data.items()}, fields)
    if isinstance(data, list) and data and isinstance(data[0], dict):
        return _document(_from_records(data, given[0]), fields)
    return _unnamed(data, signature, given[0])


def _from_json(body: bytes) -> dict[str, Any]:
    """The body as a JSON object, NaN as None."""
    try:
        sent = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # Python's own JSON writer says NaN where a number is missing, which JSON does not have; everything else stays refused.
        try:
            sent = json.loads(body, parse_constant=_constant, parse_float=_finite)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(
                "not JSON", where="body", expected="a JSON object", got=str(error)[:120], next_step="see the example"
            ) from error
    if not isinstance(sent, dict):
        raise InvalidInput(
            "not an invocation", where="body", expected="a JSON object", got=type(sent).__name__, next_step="see the example"
        )
    return sent


def _constant(name: str) -> None:
    if name != "NaN":
        raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number beyond 64-bit floats")
    return value


def _from_split(data: Any, signature: Signature) -> Table:
    rows = data.get("data") if isinstance(data, dict) else None
    # Without names the columns are the signature's, in its order.
    columns = data.get("columns", [field.name for field in signature.request]) if isinstance(data, dict) else None
    named = isinstance(columns, list) and all(isinstance(name, str) for name in columns) and len(set(columns)) == len(columns)
    if not isinstance(rows, list) or not isinstance(columns, list) or not named or len(columns) > COLUMNS_MAX:
        raise InvalidInput(
            "not a split data frame",
            where="dataframe_split",
            expected='{"columns": [names, each once], "data": [[a value a column], …]}',
            got=", ".join(map(repr, list(data)[:8]))[:200] if isinstance(data, dict) else type(data).__name__,
        )
    _check_rows(len(rows))
    _check_widths(rows, len(columns), "dataframe_split")
    return {name: [row[index] for row in rows] for index, name in enumerate(columns)}


def _check_widths(rows: Sequence[Any], width: int, where: str) -> None:
    wrong = next((n for n, row in enumerate(rows) if not isinstance(row, list) or len(row) != width), None)
    if wrong is not None:
        got = f"{len(rows[wrong])} values" if isinstance(rows[wrong], list) else type(rows[wrong]).__name__
        fault = Fault(where=f"{where}, row {wrong}", what="not a value for each column", expected=f"{width} values", got=got)
        raise SchemaMismatch(fault.what, where=fault.where, expected=fault.expected, got=fault.got, faults=[fault])


def _from_records(data: Any, where: str) -> Table:
    if not isinstance(data, list) or not all(isinstance(record, dict) for record in data):
        raise InvalidInput("not records", where=where, expected='[{"column": value, …}, …]', got=type(data).__name__)
    _check_rows(len(data))
    names = dict.fromkeys(name for record in data for name in record)
    if len(names) > COLUMNS_MAX:
        raise LimitExceeded("too many columns", where=where, expected=f"at most {COLUMNS_MAX}", got=str(len(names)))
    return {name: [record.get(name) for record in data] for name in names}


def _from_csv(body: bytes, request: Sequence[RequestField]) -> Table:
    try:
        # One line more than rows are allowed is enough to know that there are too many.
        lines = [line for _, line in zip(range(ROWS_MAX + 2), csv.reader(io.StringIO(body.decode())), strict=False) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput("not CSV", where="body", expected="UTF-8 text, column names first", got=str(error)[:120]) from error
    if not lines:
        raise InvalidInput("not CSV", where="body", expected="UTF-8 text, column names first", got="nothing")
    header, rows = lines[0], lines[1:]
    _check_rows(len(rows))
    _check_widths(rows, len(header), "CSV")
    fields = {field.name: field for field in request if field.width == 1}
    return {name: [_cell(row[index], fields[name]) for row in rows] for index, name in enumerate(header) if name in fields}


def _cell(text: str, field: RequestField) -> Any:
    """A cell as its field's type; one that is not stays text, and is refused where documents are read."""
    if text == "":
        return None
    if field.datatype == "BYTES":
        return text
    if field.datatype == "BOOL":
        lower = text.lower()
        return lower in _CSV_TRUE if lower in _CSV_TRUE + _CSV_FALSE else text
    try:
        return _finite(text) if field.datatype.startswith("FP") else int(text)
    except ValueError:
        return text


def _unnamed(data: Any, signature: Signature, where: str) -> InferDocument:
    """Values without names: the only field's, or a table of all fields in the signature's order."""
    fields = signature.request
    if not isinstance(data, list) or not data:
        raise InvalidInput("no rows", where=where, expected="a list of rows", got=type(data).__name__)
    _check_rows(len(data))
    if len(fields) == 1:
        values = [row[0] if fields[0].width == 1 and isinstance(row, list) and len(row) == 1 else row for row in data]
        return _document({fields[0].name: values}, fields)
    _check_widths(data, len(fields), where)
    return _document({field.name: [row[index] for row in data] for index, field in enumerate(fields)}, fields)


def _document(table: Table, fields: Sequence[RequestField]) -> InferDocument:
    """One tensor for each field that ``table`` has a column for."""
    tensors = []
    for field in fields:
        if field.name in table:
            values = table[field.name]
            if field.datatype.startswith(("INT", "UINT")):
                # A data frame with a missing number anywhere writes its integers as 7.0.
                values = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]
            shape = [len(values)] if field.width == 1 else [len(values), field.width]
            try:
                data = msgspec.Raw(_encode(values))
            except (UnicodeEncodeError, OverflowError, RecursionError) as error:
                raise SchemaMismatch(
                    "data does not fit the datatype", where=field.name, expected=field.datatype, got=type(error).__name__
                ) from error
            tensors.append(Tensor(name=field.name, shape=shape, datatype=field.datatype, data=data))
    return InferDocument(inputs=tensors)


def _check_rows(rows: int) -> None:
    if rows > ROWS_MAX:
        raise LimitExceeded("too many rows", where="body", expected=f"at most {ROWS_MAX}", got=str(rows), next_step="split the request")


def invocation_response(answer: Answer) -> Response:
    """``answer`` as MLflow gives it: ``predictions`` are numbers for one output, vectors for a wide one, records for several.

    The prediction's id and version stand beside them, and in headers, so that labels can be sent for it.
    """
    outputs = answer.outputs()
    columns = []
    for output in outputs:
        values, width = output.plain(), output.shape[1] if len(output.shape) == 2 else 1
        columns.append(values if width == 1 else [values[at : at + width] for at in range(0, len(values), width)])
    predictions: list[Any] = columns[0]
    if len(outputs) > 1:
        names = [output.name for output in outputs]
        predictions = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    version = answer.arm.version
    body = {"predictions": predictions, "prediction_id": answer.id, "model_version": version, "parameters": answer.facts()}
    extra = b"X-Prediction-Id: %b\r\nX-Model-Version: %b\r\n" % (answer.id.encode(), version.encode())
    return Response(200, _encode(body), JSON, extra)


def invocation_example(signature: Signature) -> dict[str, object]:
    """A correct invocation for this model, of one row."""
    return {"dataframe_records": [{f.name: example_value(f) if f.width == 1 else [example_value(f)] * f.width for f in signature.request}]}
