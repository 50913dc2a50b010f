"""Which columns of its source each feature of a view is made from, read off the definition itself."""

import re
from collections.abc import Iterator
from functools import lru_cache

import msgspec
import sqlglot
from sqlglot import exp

from leverframe.core.feature import Aggregate, FeatureView
from leverframe.core.lineage import Role

_WORD = re.compile(r"'(?:[^']|'')*'|\"(?P<quoted>[^\"]+)\"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)(?!\s*\()")
EXPRESSIONS_KEPT_MAX = 16_384
"""So many expressions are read once; reading one takes longer than everything else that a graph does with it."""
_MICROSECONDS_OF = (("d", 86_400_000_000), ("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000), ("µs", 1))


class ColumnUse(msgspec.Struct, frozen=True, kw_only=True):
    """``feature`` needs ``column`` of the view's source, in ``role``; ``how`` is the text of the definition."""

    feature: str
    column: str
    role: Role
    how: str


def view_columns(view: FeatureView) -> tuple[ColumnUse, ...]:
    """Every column that each feature of ``view`` depends on; entity, times and filter bear on all of its features.

    >>> from leverframe.core.feature import Expression
    >>> view = FeatureView(name="w", source="weather", entity=("origin",), event_time="at", arrival_time="known",
    ...                    expressions=(Expression(name="gap", sql="temp - dewp"),), where="temp > -90")
    >>> [(use.column, use.role) for use in view_columns(view)]
    [('temp', 'expression'), ('dewp', 'expression'), ('temp', 'filter'), ('origin', 'key'), ('at', 'event_time'), ('known', 'arrival_time')]
    """
    return tuple(dict.fromkeys(_uses(view)))


@lru_cache(EXPRESSIONS_KEPT_MAX)
def sql_columns(sql: str) -> tuple[str, ...]:
    """The columns a row expression names, in order of first use.

    What sqlglot cannot read gives every word that could be a column: too much is looked at twice, too little would be missed.

    >>> sql_columns('COALESCE("wind gust", wind_speed) * 2'), sql_columns("extract(hour FROM seen_at)")
    (('wind gust', 'wind_speed'), ('seen_at',))
    """
    try:
        # DuckDB's grammar is the closest one that sqlglot has to the SQL that Polars reads.
        read = sqlglot.parse_one(sql, dialect="duckdb")
    except sqlglot.errors.SqlglotError:
        words = (found.group("quoted") or found.group("word") for found in _WORD.finditer(sql))
        return tuple(dict.fromkeys(word for word in words if word))
    # Depth first is the order of the text.
    return tuple(dict.fromkeys(column.name for column in read.find_all(exp.Column, bfs=False)))


def _uses(view: FeatureView) -> Iterator[ColumnUse]:
    for expression in view.expressions:
        for column in sql_columns(expression.sql):
            yield ColumnUse(feature=expression.name, column=column, role="expression", how=expression.sql)
    for aggregate in view.aggregates:
        if aggregate.column:
            yield ColumnUse(feature=aggregate.name, column=aggregate.column, role="aggregate", how=_window(aggregate))
        for column in sql_columns(aggregate.condition) if aggregate.condition else ():
            yield ColumnUse(feature=aggregate.name, column=column, role="aggregate", how=_window(aggregate))
    for feature in view.features:
        for column in sql_columns(view.where) if view.where else ():
            yield ColumnUse(feature=feature, column=column, role="filter", how=view.where)
        for column in view.entity:
            yield ColumnUse(feature=feature, column=column, role="key", how="entity key")
        if view.row_key:
            yield ColumnUse(feature=feature, column=view.row_key, role="key", how="row key")
        yield ColumnUse(feature=feature, column=view.event_time, role="event_time", how="event time")
        yield ColumnUse(feature=feature, column=view.arrival_time, role="arrival_time", how="arrival time")


def _window(aggregate: Aggregate) -> str:
    unit, size = next((unit, size) for unit, size in _MICROSECONDS_OF if aggregate.window_us % size == 0)
    return f"{aggregate.function}({aggregate.column or aggregate.condition}) over {aggregate.window_us // size} {unit}"
