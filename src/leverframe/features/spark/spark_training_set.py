"""Training sets on Spark: the same definitions, the same questions and, cell for cell, the same answers as in Polars.

Row expressions: rows and questions of an entity in one order of time, and a running greatest (event, arrival, place) over them. Windowed
aggregates: a row counts over a stretch of time no longer than its window, so that it falls into at most two slots of the window's length;
a question meets the rows of its own slot by an equal join, keeps those that count at its moment, and aggregates them. Work grows with the
rows in a window, not with the length of the feed, and everything is spread over entities and time.
"""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from leverframe.core.errors import SchemaMismatch
from leverframe.core.feature import Aggregate, FeatureView
from leverframe.features.declared.definitions import ARRIVAL, EVENT, VALID_FROM, windows
from leverframe.features.rows.aggregate_inputs import Input, aggregate_inputs, input_column, inputs
from leverframe.features.rows.source_rows import COUNTS, ROW_KEY, SCALE
from leverframe.features.spark.spark_rows import ORDER, key_column, moment_column, prepared_rows, quoted
from leverframe.features.timelines.deviation import TWO_64

ROW = "__row"
ASKED = "__asked_us"
_UNTIL = "__until"
_SLOT = "__slot"
_TWO_64_EXACT = "CAST('18446744073709551616' AS DECIMAL(20, 0))"


def spark_training_set(questions: DataFrame, asked_at: str, views: Sequence[tuple[FeatureView, DataFrame]]) -> DataFrame:
    """``questions`` with a double column ``<view>.<feature>`` for each feature, null where it had no value then.

    Every question is there once. Questions read with ``read_rows`` come back in their order, without ``__order``.

    Parameters
    ----------
    asked_at: column of moments: microseconds UTC, or timestamps.
    views: each view with its source's rows; from ``read_rows`` when the order of rows shall decide ties.

    Raises
    ------
    SchemaMismatch: the questions lack a column or have a key of another type.    InvalidInput: a view does not fit its source, or
    cannot be carried to Spark.
    """
    row = F.col(ORDER) if ORDER in questions.columns else F.monotonically_increasing_id()
    numbered = questions.withColumn(ROW, row).drop(ORDER)
    answered = numbered
    for view, source in views:
        rows = prepared_rows(view, source)
        _check_keys(view, questions, rows)
        keys = [key_column(questions, k).alias(_key(i)) for i, k in enumerate(view.entity)]
        asked = numbered.select(ROW, *keys, moment_column(questions, asked_at).alias(ASKED)).dropna()
        places = [*map(_key, range(len(view.entity))), ASKED]
        rows = rows.withColumnsRenamed({k: _key(i) for i, k in enumerate(view.entity)})
        moments = asked.select(places).distinct()
        found = _newest(view, rows, moments) if view.expressions else _aggregated(view, rows, moments)
        named = [F.col(quoted(f)).alias(f"{view.name}.{f}") for f in view.features]
        answered = answered.join(asked.join(found, on=places).select(ROW, *named), on=ROW, how="left")
    return answered.orderBy(ROW).drop(ROW)


def _key(number: int) -> str:
    return f"__key_{number}"


def _check_keys(view: FeatureView, questions: DataFrame, rows: DataFrame) -> None:
    for key in view.entity:
        if key not in questions.columns:
            raise SchemaMismatch("questions lack the entity key", where=f"{view.name}.{key}", expected=key)
        got, expected = questions.select(key_column(questions, key).alias("k")).schema["k"].dataType, rows.schema[key].dataType
        if got != expected:
            raise SchemaMismatch(
                "key of another type", where=f"{view.name}.{key}", expected=expected.simpleString(), got=got.simpleString()
            )


def _newest(view: FeatureView, rows: DataFrame, moments: DataFrame) -> DataFrame:
    """Keys, moment and values of the newest event known at each moment, unless it is as old as the TTL."""
    keys = [c for c in moments.columns if c != ASKED]
    winner = F.struct(EVENT, ARRIVAL, ORDER, *(F.col(quoted(f)) for f in view.features))
    happened = rows.select(*keys, F.col(VALID_FROM).alias(ASKED), F.lit(0).alias("__kind"), winner.alias("__winner"))
    # A null struct is passed over by the maximum; what is known at the very moment comes before the question.
    both = happened.unionByName(moments.withColumn("__kind", F.lit(1)), allowMissingColumns=True)
    so_far = Window.partitionBy(*keys).orderBy(ASKED, "__kind").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    newest = both.withColumn("__newest", F.max("__winner").over(so_far)).where("__kind = 1")
    if view.ttl_us:
        newest = newest.where(F.col(f"__newest.{EVENT}") > F.col(ASKED) - F.lit(view.ttl_us))
    return newest.select(*keys, ASKED, *(F.col(f"__newest.{quoted(f)}").alias(f) for f in view.features))


def _aggregated(view: FeatureView, rows: DataFrame, moments: DataFrame) -> DataFrame:
    """Keys, moment and aggregates at each moment from the entity's first known row on."""
    keys = [c for c in moments.columns if c != ASKED]
    if view.row_key:
        rows = _without_replaced(rows, keys)
    first = rows.groupBy(*keys).agg(F.min(VALID_FROM).alias("__first"))
    known = moments.join(first, on=keys).where(F.col(ASKED) >= F.col("__first")).drop("__first")
    parts = [_window(view, window_us, rows, known) for window_us in windows(view)]
    joined = reduce(lambda a, b: a.join(b, on=[*keys, ASKED], how="left"), [known, *parts])
    empty = [a.name for a in view.aggregates if a.function in ("count", "sum", "distinct")]
    return joined.fillna(0.0, subset=empty) if empty else joined


def _without_replaced(rows: DataFrame, keys: Sequence[str]) -> DataFrame:
    """Adds the moment from which a later version of the row is known, and leaves out the rows that do not meet the view's filter."""
    later_versions = Window.partitionBy(*keys, ROW_KEY).orderBy(F.desc(ARRIVAL), F.desc(EVENT), F.desc(ORDER)).rowsBetween(
        Window.unboundedPreceding, -1
    )  # fmt: skip
    replaced = F.when(F.col(ROW_KEY).isNotNull(), F.min(VALID_FROM).over(later_versions))
    return rows.withColumn(_UNTIL, replaced).where(COUNTS)


def _window(view: FeatureView, window_us: int, rows: DataFrame, moments: DataFrame) -> DataFrame:
    keys = [c for c in moments.columns if c != ASKED]
    left = F.col(EVENT) + F.lit(window_us)
    until = F.least(left, F.col(_UNTIL)) if view.row_key else left
    counting = rows.withColumn(_UNTIL, until).where(F.col(_UNTIL) > F.col(VALID_FROM))
    slots = F.expr(f"sequence({VALID_FROM} div {window_us}L, ({_UNTIL} - 1) div {window_us}L)")
    in_slots = counting.withColumn(_SLOT, F.explode(slots))
    asked = moments.withColumn(_SLOT, F.expr(f"{ASKED} div {window_us}L"))
    met = asked.join(in_slots, on=[*keys, _SLOT]).where((F.col(ASKED) >= F.col(VALID_FROM)) & (F.col(ASKED) < F.col(_UNTIL)))
    wanted = [(a, found) for a, found in aggregate_inputs(view) if a.window_us == window_us]
    sums = met.groupBy(*keys, ASKED).agg(F.count(F.lit(1)).alias("__rows"), *_sums(view, wanted))
    return sums.select(*keys, ASKED, *(_value(view, a, found).cast("double").alias(a.name) for a, found in wanted))


def _input(view: FeatureView, found: Input) -> str:
    return input_column(inputs(view).index(found))


def _sums(view: FeatureView, wanted: Sequence[tuple[Aggregate, Input | None]]) -> list[Column]:
    """What the aggregates are made from, each once."""
    columns: dict[str, Column] = {}
    for aggregate, found in wanted:
        if found is None:
            continue
        name = _input(view, found)
        value = F.col(name)
        truth = found.kind in ("present", "condition")
        columns[f"{name}_n"] = F.count_if(value) if truth else F.count(value)
        if found.kind == "exact":
            columns[f"{name}_sum"] = F.sum(value)
            if aggregate.function == "std":
                wide = value.cast("decimal(19, 0)")
                columns[f"{name}_squares"] = F.sum(wide * wide)
        if aggregate.function == "distinct":
            columns[f"{name}_distinct"] = F.size(F.collect_set(value))
        if aggregate.function in ("min", "max"):
            columns[f"{name}_{aggregate.function}"] = (F.min if aggregate.function == "min" else F.max)(value)
        if aggregate.function == "last":
            columns[f"{name}_last"] = F.max_by(value, F.when(value.isNotNull(), F.struct(EVENT, ARRIVAL, ORDER)))
    return [column.alias(name) for name, column in columns.items()]


def _value(view: FeatureView, aggregate: Aggregate, found: Input | None) -> Column:
    """One aggregate from its sums, by the same operations in the same order as ``sweep_numpy``."""
    if found is None:
        return F.col("__rows")
    name, function = _input(view, found), aggregate.function
    n = F.col(f"{name}_n")
    if function == "count":
        return n
    if function == "share":
        return n.cast("double") / F.col("__rows").cast("double")
    if function in ("distinct", "min", "max", "last"):
        return F.col(f"{name}_{function}")
    total = F.col(f"{name}_sum").cast("double") / F.lit(SCALE)
    if function == "sum":
        return F.coalesce(total, F.lit(0.0))
    return F.expr(_deviation(name)) if function == "std" else F.when(n > 0, total / n.cast("double"))


def _deviation(name: str) -> str:
    """``deviation.deviation`` word for word; decimals of 38 places hold what there takes 128 bits."""
    n, total = f"{name}_n", f"{name}_sum"
    rest = f"pmod({total}, {n})"
    floor = f"(({total} - {rest}) div {n})"
    taken = f"CAST({floor} AS DECIMAL(19, 0)) * CAST({total} + {rest} AS DECIMAL(19, 0))"
    spread = f"CAST({name}_squares - {taken} AS DECIMAL(38, 0))"
    about = f"(CAST({spread} div {_TWO_64_EXACT} AS DOUBLE) * {TWO_64!r}D + CAST({spread} % {_TWO_64_EXACT} AS DOUBLE))"
    left = f"CAST({rest} AS DOUBLE)"
    variance = f"({about} - {left} * {left} / CAST({n} AS DOUBLE)) / CAST({n} - 1 AS DOUBLE)"
    return f"CASE WHEN {n} >= 2 THEN sqrt({variance}) / {SCALE!r}D END"
