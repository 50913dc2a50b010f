"""From a request and looked-up features to the model's input matrix: the same code in training and in serving."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from leverframe.core.errors import SchemaMismatch
from leverframe.core.request_time import request_time_function
from leverframe.core.schema import InputColumn, Signature

Float = npt.NDArray[np.float64]
RequestColumns = Mapping[str, npt.NDArray[np.generic] | Sequence[object]]


def category_codes(values: Sequence[object] | npt.NDArray[np.generic], categories: tuple[str, ...]) -> Float:
    """Position of each value in ``categories`` as float64; an unseen value is -1, a missing one NaN.

    >>> category_codes(["b", "x", None], ("a", "b")).tolist()
    [1.0, -1.0, nan]
    """
    positions = {category: float(index) for index, category in enumerate(categories)}
    return np.array([np.nan if v is None else positions.get(str(v), -1.0) for v in values], dtype=np.float64)


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
    return np.asarray(values, dtype=np.float64)


def assemble(signature: Signature, request: RequestColumns, views: Mapping[str, Float], rows: int) -> Float:
    """The model's input matrix, float64 ``[rows, columns]`` in signature order, NaN where a value is missing.

    Parameters
    ----------
    request: field name to ``rows`` values.
    views: view name to float64 ``[rows, features]`` in the binding's feature order, NaN where there is no value.

    Raises
    ------
    SchemaMismatch: a field or a view that the signature names is not given.
    """
    matrix = np.empty((rows, len(signature.columns)), dtype=np.float64)
    positions = {binding.view: {f: i for i, f in enumerate(binding.features)} for binding in signature.views}
    for index, column in enumerate(signature.columns):
        if column.source != "view":
            matrix[:, index] = request_column(column, request)
        elif column.view in views and column.feature in positions.get(column.view, {}):
            matrix[:, index] = views[column.view][:, positions[column.view][column.feature]]
        else:
            raise SchemaMismatch("no values given for a feature the model needs", where=f"{column.view}.{column.feature}")
        if column.on_missing == "default" and column.default is not None:
            matrix[np.isnan(matrix[:, index]), index] = column.default
    return matrix
