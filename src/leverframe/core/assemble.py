"""From a request and looked-up features to the model's input matrix: the same code in training and in serving."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from leverframe.core.errors import SchemaMismatch
from leverframe.core.expressions.columns import column_numbers, column_texts
from leverframe.core.expressions.compiled import compiled
from leverframe.core.request_time import request_time_function
from leverframe.core.schema import InputColumn, RequestField, Signature

Float = npt.NDArray[np.float64]
RequestColumns = Mapping[str, npt.NDArray[np.generic] | Sequence[object]]


def category_codes(values: Sequence[object] | npt.NDArray[np.generic], categories: tuple[str, ...]) -> Float:
    """Position of each value in ``categories`` as float64; an unseen value is -1, a missing one NaN.

    >>> category_codes(["b", "x", None], ("a", "b")).tolist()
    [1.0, -1.0, nan]
    """
    positions = {category: float(index) for index, category in enumerate(categories)}
    return np.array([np.nan if v is None else positions.get(str(v), -1.0) for v in values], dtype=np.float64)


def vectors(field: RequestField, values: object, rows: int) -> Float:
    """The values of a field of some width as float64 ``[rows, width]``, NaN where a value or a whole vector is missing.

    >>> vectors(RequestField(name="v", datatype="FP64", width=2), [[1, None], None], 2).tolist()
    [[1.0, nan], [nan, nan]]

    Raises
    ------
    SchemaMismatch: a vector of another width, or something that is not a number.
    """
    if not isinstance(values, np.ndarray):
        nothing = (None,) * field.width
        values = [nothing if each is None else each for each in values]  # type: ignore[attr-defined]  # a sequence of rows
    try:
        table = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        table = np.empty(0)
    if table.shape != (rows, field.width):
        raise SchemaMismatch("not vectors of the declared width", where=field.name, expected=f"[{rows}, {field.width}]")
    return table


def request_column(column: InputColumn, request: RequestColumns) -> Float:
    """One input column computed from the request alone, shape ``[rows]``.

    Raises
    ------
    SchemaMismatch: the request lacks the field.
    """
    if column.field not in request:
        raise SchemaMismatch("the request lacks a field the model needs", where=column.name, expected=column.field)
    values = request[column.field]
    if column.source == "request_time":
        return request_time_function(column.function)(np.asarray(values, dtype=np.int64), column.params)
    if column.categories:
        return category_codes(values, column.categories)
    numbers = np.asarray(values, dtype=np.float64)
    return numbers[:, column.element] if numbers.ndim == 2 else numbers


def expression_column(signature: Signature, column: InputColumn, request: RequestColumns, views: Mapping[str, Float], rows: int) -> Float:
    """One input column computed by an expression over the request and looked-up features, shape ``[rows]``.

    Raises
    ------
    SchemaMismatch: a field or a feature that it reads is not given.
    """
    expression = compiled(column, signature.request)
    places = {(binding.view, feature): place for binding in signature.views for place, feature in enumerate(binding.features)}
    given = []
    for name, view in expression.inputs:
        there = name in request if not view else view in views and (view, name) in places
        if not there:
            raise SchemaMismatch("an expression lacks what it reads", where=column.name, expected=f"{view}.{name}" if view else name)
        given.append(views[view][:, places[view, name]] if view else request[name])
    if column.categories:
        return category_codes(column_texts(expression, given, rows), column.categories)
    return column_numbers(expression, given, rows)


def input_columns(signature: Signature, request: RequestColumns, views: Mapping[str, Float], rows: int) -> Iterator[Float]:
    """The columns of :func:`assemble`'s matrix one by one, before defaults; some are the given values themselves: not to be written to.

    Raises
    ------
    SchemaMismatch: a field or a view that the signature names is not given.
    """
    wide = {
        field.name: vectors(field, request[field.name], rows) for field in signature.request if field.width > 1 and field.name in request
    }
    if wide:
        request = {**request, **wide}
    positions = {binding.view: {f: i for i, f in enumerate(binding.features)} for binding in signature.views}
    for column in signature.columns:
        if column.source == "expression":
            yield expression_column(signature, column, request, views, rows)
        elif column.source != "view":
            yield request_column(column, request)
        elif column.view in views and column.feature in positions.get(column.view, {}):
            yield views[column.view][:, positions[column.view][column.feature]]
        else:
            raise SchemaMismatch("no values given for a feature the model needs", where=f"{column.view}.{column.feature}")


def assemble(signature: Signature, request: RequestColumns, views: Mapping[str, Float], rows: int) -> Float:
    """The model's input matrix, float64 ``[rows, columns]`` in signature order, NaN where a value is missing.

    Parameters
    ----------
    request: field name to ``rows`` values, or ``rows`` vectors for a field of some width.
    views: view name to float64 ``[rows, features]`` in the binding's feature order, NaN where there is no value.

    Raises
    ------
    SchemaMismatch: a field or a view that the signature names is not given.
    """
    matrix = np.empty((rows, len(signature.columns)), dtype=np.float64)
    for index, values in enumerate(input_columns(signature, request, views, rows)):
        matrix[:, index] = values
        column = signature.columns[index]
        if column.on_missing == "default" and column.default is not None:
            matrix[np.isnan(matrix[:, index]), index] = column.default
    return matrix
