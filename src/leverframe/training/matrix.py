"""From joined questions to the input matrix, through the very function that serving uses, then the team's own preparation."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leverframe.core.assemble import assemble
from leverframe.core.column_reads import column_fields
from leverframe.core.errors import Fault, InvalidInput, SchemaMismatch
from leverframe.core.schema import Signature

Floats = NDArray[np.float64]


def input_matrix(frame: pl.DataFrame, signature: Signature) -> Floats:
    """The model's input, float64 ``[rows, columns]`` in signature order, NaN where a value is missing.

    Parameters
    ----------
    frame: questions with the request fields, and a column ``<view>.<feature>`` for every feature of the signature's views.

    Raises
    ------
    SchemaMismatch: columns are missing, or a moment that a request-time function reads is null; names all of them.
    """
    _check_columns(frame, signature)
    request = {field.name: _values(frame[field.name]) for field in signature.request if field.name in frame.columns}
    views = {
        binding.view: frame.select(pl.col(f"{binding.view}.{f}").cast(pl.Float64).fill_null(float("nan")) for f in binding.features)
        .to_numpy()
        .astype(np.float64, copy=False)
        for binding in signature.views
    }
    return assemble(signature, request, views, len(frame))


def prepared(matrix: Floats, signature: Signature, expressions: Mapping[str, str]) -> Floats:
    """The matrix with the team's SQL expressions applied, each over the columns as they were before any of them.

    Parameters
    ----------
    expressions: input column name to a SQL expression over input column names; missing values are NULL in it and NaN after it.

    Raises
    ------
    InvalidInput: an expression names no input column, or is not a row expression that can be computed.
    """
    if not expressions:
        return matrix
    names = [column.name for column in signature.columns]
    faults = [
        Fault(where=n, what="`prepare` names no input column", expected=", ".join(names)) for n in sorted(set(expressions) - set(names))
    ]
    frame = pl.DataFrame(matrix, schema=names, orient="row").fill_nan(None)
    changed = {}
    for name, sql in sorted(expressions.items()):
        try:
            column = frame.select(pl.sql_expr(sql).cast(pl.Float64).alias(name))[name]
        except (pl.exceptions.PolarsError, TypeError) as error:
            faults.append(
                Fault(where=name, what="`prepare` cannot be computed", expected="a SQL row expression", got=f"{sql}: {error}"[:200])
            )
            continue
        if len(column) != len(frame):
            faults.append(Fault(where=name, what="`prepare` must give one value a row", expected=f"{len(frame)}", got=str(len(column))))
        changed[name] = column
    if faults:
        message = "; ".join(f"{f.where}: {f.what}" for f in faults)
        raise InvalidInput(message, where="prepare", next_step="correct `prepare` in the model spec", faults=faults)
    result = matrix.copy()
    for name, column in changed.items():
        result[:, names.index(name)] = column.fill_null(float("nan")).to_numpy()
    return result


def _values(column: pl.Series) -> NDArray[np.generic] | list[object]:
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        return np.asarray(column.to_numpy())
    return column.to_list()


def _check_columns(frame: pl.DataFrame, signature: Signature) -> None:
    faults = []
    for column in signature.columns:
        lacking = [name for name in column_fields(column) if name not in frame.columns]
        faults += [Fault(where=column.name, what="request field missing", expected=name) for name in lacking]
        if lacking:
            continue
        if column.source == "request_time" and (frame[column.field].null_count() or not frame.schema[column.field].is_integer()):
            got = f"{frame[column.field].null_count()} nulls, {frame.schema[column.field]}"
            faults.append(Fault(where=column.name, what="a moment must be an integer in every row", expected=column.field, got=got))
    for binding in signature.views:
        wanted = [f"{binding.view}.{feature}" for feature in binding.features]
        faults += [Fault(where=name, what="feature missing", expected=name) for name in wanted if name not in frame.columns]
    if faults:
        raise SchemaMismatch(
            "; ".join(f"{f.where}: {f.what}" for f in faults),
            where="training set",
            expected=faults[0].expected,
            got=faults[0].got,
            next_step="check the spec's columns against the dataset and the feature views",
            faults=faults,
        )
