"""An expression of many rows at once: the same operations in the same order on whole columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from leverframe.core.expressions.tree import Bools, Call, Column, Constant, Expression, Kind, Leaf, Node

Floats = npt.NDArray[np.float64]
Given = npt.NDArray[Any] | Sequence[object]
_TYPES: dict[Kind, Any] = {"number": np.float64, "truth": np.bool_, "text": np.object_, "nothing": np.float64}
_FILLED: dict[Kind, Any] = {"number": np.nan, "truth": False, "text": "", "nothing": np.nan}


def column_numbers(expression: Expression, inputs: Sequence[Given], rows: int) -> Floats:
    """The expression's values, float64 ``[rows]``: truths are 1 and 0, missing is NaN.

    Parameters
    ----------
    inputs: the values of ``expression.inputs``, each ``[rows]``; None and NaN are missing.
    """
    column = _evaluated(expression, inputs, rows)
    numbers = column.values.astype(np.float64)
    # Every NaN becomes the one NaN: what arithmetic leaves differs in its sign from processor to processor.
    lacking = np.isnan(numbers) if column.absent is None else np.isnan(numbers) | column.absent
    numbers[lacking] = np.nan
    return numbers


def column_texts(expression: Expression, inputs: Sequence[Given], rows: int) -> list[str | None]:
    """As ``column_numbers``, of an expression that gives a text."""
    return _values(_evaluated(expression, inputs, rows))


def _evaluated(expression: Expression, inputs: Sequence[Given], rows: int) -> Column:
    with np.errstate(all="ignore"):  # infinities and NaN are values here
        return _column(expression.root, inputs, rows)


def _column(node: Node, inputs: Sequence[Given], rows: int) -> Column:
    if isinstance(node, Constant):
        missing = node.value is None
        values = np.full(rows, _FILLED[node.kind] if missing else node.value, dtype=_TYPES[node.kind])
        return Column(values, np.ones(rows, dtype=np.bool_) if missing else None)
    if isinstance(node, Leaf):
        return _leaf(node, inputs[node.index], rows)
    return _called(node, [_column(argument, inputs, rows) for argument in node.arguments], rows)


def _leaf(leaf: Leaf, given: Given, rows: int) -> Column:
    if leaf.kind == "number":
        numbers = np.asarray(given, dtype=np.float64)
        absent = np.isnan(numbers)
        return Column(numbers, absent if absent.any() else None)
    if isinstance(given, np.ndarray) and given.dtype == np.bool_ and leaf.kind == "truth":
        return Column(given)
    values = given.tolist() if isinstance(given, np.ndarray) else list(given)
    plain: Any = (lambda value: str(int(value))) if leaf.digits else bool if leaf.kind == "truth" else str
    return _of_values([None if value is None or value != value else plain(value) for value in values], leaf.kind, rows)


def _called(call: Call, arguments: list[Column], rows: int) -> Column:
    operation = call.operation
    if not operation.strict:
        if operation.many is not None:
            found = operation.many(*arguments)
            assert isinstance(found, Column)
            return found
        listed = [_values(argument) for argument in arguments]
        return _of_values([operation.one(*row) for row in zip(*listed, strict=True)], operation.gives, rows)
    absent = _absent(arguments)
    if operation.many is not None:
        return Column(operation.many(*(argument.values for argument in arguments)), absent)
    if absent is None:
        return _of_values(list(map(operation.one, *(argument.values.tolist() for argument in arguments))), operation.gives, rows)
    there = ~absent
    found = list(map(operation.one, *(argument.values[there].tolist() for argument in arguments)))
    spread: list[Any] = [None] * rows
    for place, value in zip(np.flatnonzero(there).tolist(), found, strict=True):
        spread[place] = value
    return _of_values(spread, operation.gives, rows)


def _absent(arguments: Sequence[Column]) -> Bools | None:
    """Where any of the values is missing."""
    masks = [argument.absent for argument in arguments if argument.absent is not None]
    return np.logical_or.reduce(masks) if masks else None


def _values(column: Column) -> list[Any]:
    values: list[Any] = column.values.tolist()
    if column.absent is None:
        return values
    return [None if lacking else value for value, lacking in zip(values, column.absent.tolist(), strict=True)]


def _of_values(values: list[Any], kind: Kind, rows: int) -> Column:
    absent = np.fromiter((value is None for value in values), dtype=np.bool_, count=rows)
    column = np.empty(rows, dtype=_TYPES[kind])
    column[:] = [_FILLED[kind] if value is None else value for value in values] if absent.any() else values
    return Column(column, absent if absent.any() else None)
