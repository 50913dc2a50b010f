"""The first half of every compilation: source rows become keyed, timed, typed rows. Timelines and streams both start here.

Rows without an entity key, event time or arrival time are left out: nobody could ask for them, or they never happened, or nobody
could have known them. Aggregated values that are not finite are missing.

Sums are kept in fixed point: a value is rounded once (half to even) to a whole number of millionths and summed as int64. Integer
addition is exact and does not depend on order, so removing what was added leaves nothing behind, and batch and stream agree bit for
bit. A running float sum does neither. The price: values beyond the sixth decimal are rounded, and the sum of all absolute values must
stay under 9e12. Sums of squares are kept in 128 bits, which that bound fills and never passes.
"""

import polars as pl

from leverframe.core.errors import InvalidInput
from leverframe.core.feature import FeatureView
from leverframe.features.declared.definitions import ARRIVAL, EVENT, check_view
from leverframe.features.declared.row_sql import select_row_sql
from leverframe.features.rows.aggregate_inputs import Input, input_column, inputs
from leverframe.features.rows.transforms import transformed

SCALE = 1_000_000.0
ABSOLUTE_SUM_MAX = 9.0e12
ROW_KEY = "__row_key"
COUNTS = "__counts"
"""Of views with a row key: whether the row meets the view's ``where``. One that does not may still withdraw another."""


def entity_key_type(dtype: pl.DataType) -> pl.DataType:
    """The one type keys of this kind are compared in: int64 for integers, text for everything else."""
    return pl.Int64() if dtype.is_integer() else pl.String()


def moment(column: str, dtype: pl.DataType) -> pl.Expr:
    """A moment as int64 microseconds UTC, from integers or from datetimes (without a zone: UTC)."""
    return (
        pl.col(column).cast(pl.Datetime("us", dtype.time_zone)).cast(pl.Int64)
        if isinstance(dtype, pl.Datetime)
        else pl.col(column).cast(pl.Int64)
    )


def prepared_columns(view: FeatureView) -> list[str]:
    """The value columns of ``source_rows``, in order: features, or inputs of aggregates and what a row key adds."""
    keyed = [ROW_KEY, COUNTS] if view.row_key else []
    return [*(e.name for e in view.expressions), *(input_column(i) for i in range(len(inputs(view)))), *keyed]


def source_rows(view: FeatureView, source: pl.LazyFrame) -> pl.DataFrame:
    """The view's rows in source order: entity columns, ``event_us``, ``arrival_us``, then ``prepared_columns``.

    Raises
    ------
    InvalidInput: the view does not fit the source, or its numbers are too large to be summed exactly.
    """
    source = transformed(view, source)
    schema = source.collect_schema()
    check_view(view, dict(schema))
    names = {f"__sql_{i}": e.sql for i, e in enumerate(view.expressions)}
    names |= {f"__sql_{i}": found.of for i, found in enumerate(inputs(view)) if found.kind == "condition"}
    if view.row_key and view.where:
        names["__where"] = view.where
    selected = select_row_sql(source, names, "" if view.row_key else view.where)
    rows = selected.select(
        *(pl.col(e).cast(entity_key_type(schema[e])) for e in view.entity),
        moment(view.event_time, schema[view.event_time]).alias(EVENT),
        moment(view.arrival_time, schema[view.arrival_time]).alias(ARRIVAL),
        *(pl.col(f"__sql_{i}").cast(pl.Float64).fill_nan(None).alias(e.name) for i, e in enumerate(view.expressions)),
        *(_prepared(found, i, schema).alias(input_column(i)) for i, found in enumerate(inputs(view))),
        *(_keyed(view, schema) if view.row_key else ()),
    ).drop_nulls([*view.entity, EVENT, ARRIVAL])
    return _fixed_point(view, rows.collect())


def _keyed(view: FeatureView, schema: pl.Schema) -> tuple[pl.Expr, pl.Expr]:
    counts = pl.col("__where").fill_null(False) if view.where else pl.lit(True)
    return pl.col(view.row_key).cast(entity_key_type(schema[view.row_key])).alias(ROW_KEY), counts.alias(COUNTS)


def _prepared(found: Input, index: int, schema: pl.Schema) -> pl.Expr:
    if found.kind == "condition":
        return pl.col(f"__sql_{index}").fill_null(False).cast(pl.Boolean)
    dtype = schema[found.of]
    column = pl.col(found.of)
    if found.kind in ("exact", "number"):
        return _finite(column)
    if found.kind == "present":
        return _finite(column).is_not_null() if dtype.is_numeric() else column.is_not_null()
    if dtype.is_integer() or dtype == pl.Boolean:
        return column.cast(pl.Int64)
    return _finite(column) if dtype.is_numeric() else column.cast(pl.String)


def _finite(column: pl.Expr) -> pl.Expr:
    # Adding zero makes one of the two zeros: which of them a minimum finds would depend on the engine.
    value = column.cast(pl.Float64) + 0.0
    return pl.when(value.is_finite()).then(value)


def _fixed_point(view: FeatureView, rows: pl.DataFrame) -> pl.DataFrame:
    columns = {input_column(i): found.of for i, found in enumerate(inputs(view)) if found.kind == "exact"}
    if not columns:
        return rows
    totals = rows.select(pl.col(list(columns)).abs().sum())
    for column, name in columns.items():
        if totals[column][0] > ABSOLUTE_SUM_MAX:
            raise too_large_to_sum(view, name, totals[column][0])
    return rows.with_columns((pl.col(list(columns)) * SCALE).round(0, "half_to_even").cast(pl.Int64))


def too_large_to_sum(view: FeatureView, column: str, total: float) -> InvalidInput:
    """Rather a refusal than a sum that wrapped around."""
    return InvalidInput(
        "numbers too large to be summed exactly in millionths",
        where=f"{view.name}: {view.source}.{column}",
        expected=f"absolute values adding up to at most {ABSOLUTE_SUM_MAX:g}",
        got=f"{total:g}",
        next_step=f"scale {column!r} down in the source, for instance to thousands",
    )
