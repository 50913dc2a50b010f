"""The first half of every compilation: source rows become keyed, timed, typed rows. Timelines and streams both start here.

Rows without an entity key, event time or arrival time are left out: nobody could ask for them, or they never happened, or nobody
could have known them. Values that are not finite are missing.

Sums are kept in fixed point: a value is rounded once to a whole number of millionths and summed as int64. Integer addition is exact
and does not depend on order, so removing what was added leaves nothing behind, and batch and stream agree bit for bit. A running float
sum does neither. The price: values beyond the sixth decimal are rounded, and the sum of all absolute values must stay under 9e12.
"""

import polars as pl

from leverframe.core.errors import InvalidInput
from leverframe.core.feature import FeatureView
from leverframe.features.definitions import ARRIVAL, EVENT, aggregated_columns, check_view
from leverframe.features.row_sql import select_row_sql

SCALE = 1_000_000.0
ABSOLUTE_SUM_MAX = 9.0e12


def value_column(index: int) -> str:
    """The column that holds the fixed-point values of the view's aggregated column number ``index``."""
    return f"__value_{index}"


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


def source_rows(view: FeatureView, source: pl.LazyFrame) -> pl.DataFrame:
    """The view's rows in source order: entity columns, ``event_us``, ``arrival_us``, then float64 features or fixed-point values.

    Raises
    ------
    InvalidInput: the view does not fit the source, or its numbers are too large to be summed exactly.
    """
    schema = source.collect_schema()
    check_view(view, dict(schema))
    names = {f"__feature_{i}": e.sql for i, e in enumerate(view.expressions)}
    selected = select_row_sql(source, names, view.where)
    rows = selected.select(
        *(pl.col(e).cast(entity_key_type(schema[e])) for e in view.entity),
        moment(view.event_time, schema[view.event_time]).alias(EVENT),
        moment(view.arrival_time, schema[view.arrival_time]).alias(ARRIVAL),
        *(pl.col(f"__feature_{i}").cast(pl.Float64).fill_nan(None).alias(e.name) for i, e in enumerate(view.expressions)),
        *(_finite(column).alias(value_column(i)) for i, column in enumerate(aggregated_columns(view))),
    ).drop_nulls([*view.entity, EVENT, ARRIVAL])
    return _fixed_point(view, rows.collect())


def _finite(column: str) -> pl.Expr:
    value = pl.col(column).cast(pl.Float64)
    return pl.when(value.is_finite()).then(value)


def _fixed_point(view: FeatureView, rows: pl.DataFrame) -> pl.DataFrame:
    columns = [value_column(i) for i in range(len(aggregated_columns(view)))]
    if not columns:
        return rows
    totals = rows.select(pl.col(columns).abs().sum())
    for name, column in zip(aggregated_columns(view), columns, strict=True):
        if totals[column][0] > ABSOLUTE_SUM_MAX:
            raise InvalidInput(
                "numbers too large to be summed exactly in millionths",
                where=f"{view.name}: {view.source}.{name}",
                expected=f"absolute values adding up to at most {ABSOLUTE_SUM_MAX:g}",
                got=f"{totals[column][0]:g}",
                next_step=f"scale {name!r} down in the source, for instance to thousands",
            )
    return rows.with_columns((pl.col(columns) * SCALE).round().cast(pl.Int64))
