"""Expressions of a signature, compiled once and kept; sqlglot is loaded with the first of them, and never for models without any."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from leverframe.core.expressions.one_row import NAN, row_number, row_text
from leverframe.core.expressions.tree import Expression
from leverframe.core.schema import InputColumn, RequestField

COMPILED_MAX = 4_096
"""Compiled expressions kept in a process; those used least lately are compiled again."""


def compiled(column: InputColumn, request: tuple[RequestField, ...]) -> Expression:
    """The expression of ``column`` over the fields of ``request``.

    Raises
    ------
    InvalidInput: it cannot be read, names or calls something unknown, mixes kinds, or is too large.
    """
    return _compiled(column.sql, request, column.name, bool(column.categories))


@lru_cache(maxsize=COMPILED_MAX)
def _compiled(sql: str, request: tuple[RequestField, ...], where: str, categories: bool) -> Expression:
    from leverframe.core.expressions.reading import read_expression

    return read_expression(sql, {field.name: field for field in request}, where, categories=categories)


def row_value(expression: Expression, categories: Sequence[str]) -> Callable[[Sequence[Any]], float]:
    """A function of one row's inputs that gives the column's number: of a text its position in ``categories``, unseen -1, missing NaN."""
    if not categories:
        return row_number(expression)
    text = row_text(expression)
    position = {category: float(index) for index, category in enumerate(categories)}.get

    def value(inputs: Sequence[Any]) -> float:
        said = text(inputs)
        return NAN if said is None else position(said, -1.0)

    return value
