"""One row of model input as plain floats: what ``core.assemble`` computes, compiled per model for requests of a single row.

Building a numpy matrix for one row costs more than scoring it. This is the same computation on Python floats, column by column, and a test
holds the two equal on arbitrary rows.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from leverframe.core.column_reads import column_features
from leverframe.core.errors import Integrity
from leverframe.core.expressions.compiled import compiled, row_value
from leverframe.core.request_time import SCALAR_FUNCTIONS, request_time_function
from leverframe.core.schema import InputColumn, Signature

NAN = float("nan")
Values = Mapping[str, Any]
Views = Mapping[str, Sequence[float]]
Step = Callable[[Values, Views], float]


def _number(field: str) -> Step:
    def step(values: Values, views: Views) -> float:
        value = values[field]
        return NAN if value is None else float(value)

    return step


def _element(field: str, element: int) -> Step:
    def step(values: Values, views: Views) -> float:
        value = values[field][element]
        return NAN if value is None else float(value)

    return step


def _category(field: str, categories: tuple[str, ...]) -> Step:
    positions = {category: float(index) for index, category in enumerate(categories)}

    def step(values: Values, views: Views) -> float:
        value = values[field]
        return NAN if value is None else positions.get(str(value), -1.0)

    return step


def _request_time(column: InputColumn) -> Step:
    function, field, params = request_time_function(column.function), column.field, column.params
    scalar = SCALAR_FUNCTIONS.get(column.function)
    if scalar is not None:
        return lambda values, views: scalar(int(values[field]), params)

    def step(values: Values, views: Views) -> float:
        return float(function(np.array([values[field]], dtype=np.int64), params)[0])

    return step


def _expression(column: InputColumn, signature: Signature, positions: Mapping[str, Mapping[str, int]]) -> Step:
    expression = compiled(column, signature.request)
    value = row_value(expression, column.categories)
    # A place in a view's values, or None for a field of the request.
    reads = [(read.view or read.name, positions[read.view][read.name] if read.view else None) for read in expression.inputs]

    def step(values: Values, views: Views) -> float:
        return value([values[name] if place is None else views[name][place] for name, place in reads])

    return step


def _feature(view: str, position: int) -> Step:
    def step(values: Values, views: Views) -> float:
        return views[view][position]

    return step


def feature_places(signature: Signature) -> Mapping[str, Mapping[str, int]]:
    """Of each view, where its features stand among the values that are looked up.

    Raises
    ------
    Integrity: an input column reads a feature that no view of the signature has.
    """
    places = {binding.view: {feature: at for at, feature in enumerate(binding.features)} for binding in signature.views}
    for column in signature.columns:
        for read in column_features(column):
            if read.name not in places.get(read.view, {}):
                raise Integrity("a column reads what no view has", where=f"signature.json, {column.name}", got=f"{read.view}.{read.name}")
    return places


class RowPlan:
    """How to compute one row of ``signature``'s matrix, NaN where there is no value, before any missing-value policy."""

    def __init__(self, signature: Signature) -> None:
        positions = feature_places(signature)
        kinds = {field.name: field.datatype for field in signature.request if field.width == 1}
        wide = {field.name for field in signature.request if field.width > 1}
        self.pack = struct.Struct(f"<{len(signature.columns)}d").pack
        self._steps: list[Step] = []
        for column in signature.columns:
            if column.source == "view":
                self._steps.append(_feature(column.view, positions[column.view][column.feature]))
            elif column.source == "expression":
                self._steps.append(_expression(column, signature, positions))
            elif column.source == "request_time":
                self._steps.append(_request_time(column))
            elif column.categories:
                self._steps.append(_category(column.field, column.categories))
            elif column.field in wide:
                self._steps.append(_element(column.field, column.element))
            else:
                self._steps.append(_number(column.field))
        plain = all(c.source == "request" and not c.categories and kinds.get(c.field, "").startswith("FP") for c in signature.columns)
        names = [column.field for column in signature.columns]
        self.as_sent = plain and names == [field.name for field in signature.request]
        """Whether the row is the request's fields, in order and unchanged."""
        self._plain = itemgetter(*names) if plain and len(names) > 1 else None

    def row(self, values: Values, views: Views) -> Sequence[float]:
        """The row's columns in signature order."""
        if self._plain is not None:
            row: tuple[float | None, ...] = self._plain(values)
            return [NAN if value is None else value for value in row] if None in row else row  # type: ignore[return-value]  # no None left
        return [step(values, views) for step in self._steps]
