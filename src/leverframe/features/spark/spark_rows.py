"""Source rows on Spark: what ``source_rows`` prepares with Polars, with the same names and the same values."""

from collections.abc import Sequence
from functools import reduce
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from leverframe.core.errors import InvalidInput
from leverframe.core.feature import FeatureView
from leverframe.features.declared.definitions import ARRIVAL, EVENT, VALID_FROM
from leverframe.features.declared.spark_sql import spark_sql
from leverframe.features.rows.aggregate_inputs import Input, input_column, inputs
from leverframe.features.rows.source_rows import ABSOLUTE_SUM_MAX, COUNTS, ROW_KEY, SCALE, too_large_to_sum

ORDER = "__order"
"""The place of a row in its source, which decides ties; Spark itself keeps no order."""
ROWS_PER_FILE_MAX = 2**40


def read_rows(session: SparkSession, files: Sequence[Path | str]) -> DataFrame:
    """The rows of Parquet files, with ``__order``: first file first, first row first."""
    parts = [
        session.read.parquet(str(file)).withColumn(ORDER, F.lit(number * ROWS_PER_FILE_MAX) + F.expr("_metadata.row_index"))
        for number, file in enumerate(files)
    ]
    # Parts of a snapshot from before a column was added lack it.
    return reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), parts)


def key_column(frame: DataFrame, name: str) -> Column:
    """A key in the one type keys of its kind are compared in: bigint for integers, text for everything else."""
    return F.col(quoted(name)).cast("bigint" if is_whole(frame.schema[name].dataType) else "string")


def is_whole(kind: T.DataType) -> bool:
    """Whether values of this type are integers. Unsigned 64-bit integers come out of Parquet as decimals without places."""
    return isinstance(kind, T.IntegralType) or (isinstance(kind, T.DecimalType) and kind.scale == 0)


def moment_column(frame: DataFrame, name: str) -> Column:
    """A moment as microseconds UTC, from integers, timestamps, or timestamps without a zone (UTC)."""
    column = F.col(quoted(name))
    if isinstance(frame.schema[name].dataType, T.TimestampType | T.TimestampNTZType):
        return F.unix_micros(column.cast("timestamp"))
    return column.cast("bigint")


def quoted(name: str) -> str:
    """A column's name as Spark's parser takes it."""
    return "`" + name.replace("`", "``") + "`"


def prepared_rows(view: FeatureView, source: DataFrame) -> DataFrame:
    """Entity columns, ``event_us``, ``arrival_us``, ``valid_from_us``, ``__order``, then features or inputs of aggregates.

    Raises
    ------
    InvalidInput: the source lacks a column, an expression cannot be carried, or numbers are too large to be summed exactly.
    """
    if view.transform or view.embedded_only:
        raise InvalidInput(
            "the view is declared for the embedded engine alone",
            where=view.name,
            expected="a view of SQL that every engine has",
            got=f"transform {view.transform!r}" if view.transform else "embedded_only",
            next_step="compute it with --engine polars",
        )
    if ORDER not in source.columns:
        source = source.withColumn(ORDER, F.monotonically_increasing_id())
    needed = (*view.entity, view.event_time, view.arrival_time, *([view.row_key] if view.row_key else []))
    missing = [name for name in dict.fromkeys((*needed, *(a.column for a in view.aggregates if a.column))) if name not in source.columns]
    if missing:
        raise InvalidInput(
            "the source lacks columns", where=f"{view.name}: {view.source}", expected=", ".join(source.columns), got=", ".join(missing)
        )
    if view.where and not view.row_key:
        source = source.where(F.expr(spark_sql(view.where, f"{view.name}.where")))
    keyed = []
    if view.row_key:
        counts = F.coalesce(F.expr(spark_sql(view.where, f"{view.name}.where")), F.lit(False)) if view.where else F.lit(True)
        keyed = [key_column(source, view.row_key).alias(ROW_KEY), counts.alias(COUNTS)]
    times = {EVENT: moment_column(source, view.event_time), ARRIVAL: moment_column(source, view.arrival_time)}
    rows = source.select(
        *(key_column(source, name).alias(name) for name in view.entity),
        *(column.alias(name) for name, column in times.items()),
        F.greatest(*times.values()).alias(VALID_FROM),
        F.col(ORDER),
        *(_number(F.expr(spark_sql(e.sql, f"{view.name}.{e.name}"))).alias(e.name) for e in view.expressions),
        *(_prepared(view, source, found).alias(input_column(i)) for i, found in enumerate(inputs(view))),
        *keyed,
    ).dropna(subset=[*view.entity, EVENT, ARRIVAL])
    return _fixed_point(view, rows)


def _number(value: Column) -> Column:
    return F.nullif(value.cast("double"), F.lit(float("nan")))


def _finite(column: Column) -> Column:
    value = column.cast("double") + F.lit(0.0)
    return F.when(~F.isnan(value) & (F.abs(value) != float("inf")), value)


def _prepared(view: FeatureView, source: DataFrame, found: Input) -> Column:
    if found.kind == "condition":
        return F.coalesce(F.expr(spark_sql(found.of, f"{view.name}: {found.of}")).cast("boolean"), F.lit(False))
    kind, column = source.schema[found.of].dataType, F.col(quoted(found.of))
    text = isinstance(kind, T.StringType)
    if found.kind in ("exact", "number"):
        return _finite(column)
    if found.kind == "present":
        return column.isNotNull() if text or isinstance(kind, T.BooleanType) else _finite(column).isNotNull()
    if isinstance(kind, T.BooleanType) or is_whole(kind):
        return column.cast("bigint")
    return column if text else _finite(column)


def _fixed_point(view: FeatureView, rows: DataFrame) -> DataFrame:
    columns = {input_column(i): found.of for i, found in enumerate(inputs(view)) if found.kind == "exact"}
    if not columns:
        return rows
    totals = rows.agg(*(F.sum(F.abs(F.col(c))).alias(c) for c in columns)).first()
    assert totals is not None, "an aggregation without groups has one row"
    for column, name in columns.items():
        if (totals[column] or 0.0) > ABSOLUTE_SUM_MAX:
            raise too_large_to_sum(view, name, totals[column])
    return rows.withColumns({c: F.rint(F.col(c) * F.lit(SCALE)).cast("bigint") for c in columns})
