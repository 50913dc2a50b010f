"""A view compiled: for each entity, the moments its values change and the values from then on.

The value at moment ``t`` is the last row with ``valid_from_us <= t`` (for row expressions, unless its event is as old as the TTL).
Training sets, batch materialisation and parity checks all read this one frame; the stream engine arrives at the same rows by steps.
"""

import numpy as np
import polars as pl

from leverframe.core.feature import FeatureView
from leverframe.features.definitions import ARRIVAL, EVENT, VALID_FROM, aggregated_columns, windows
from leverframe.features.newest_known import newest_known
from leverframe.features.source_rows import SCALE, source_rows, value_column


def timeline(view: FeatureView, source: pl.LazyFrame) -> pl.DataFrame:
    """Rows (entity keys, ``valid_from_us``, ``event_us``, ``arrival_us``, float64 features), ordered by entity and ``valid_from_us``.

    An entity has at most one row a moment. A feature without a value is null.

    Raises
    ------
    InvalidInput: the view does not fit the source.

    >>> from leverframe.core.feature import Expression
    >>> value = Expression(name="v", sql="x")
    >>> view = FeatureView(name="w", source="s", entity=("k",), event_time="e", arrival_time="a", expressions=(value,))
    >>> late_correction = pl.LazyFrame({"k": ["A", "A"], "e": [10, 5], "a": [11, 12], "x": [1.0, 2.0]})
    >>> timeline(view, late_correction).select("valid_from_us", "v").rows()
    [(11, 1.0)]
    """
    rows = source_rows(view, source)
    line = newest_known(rows, view.entity) if view.expressions else _aggregates_timeline(view, rows)
    return line.select(*view.entity, VALID_FROM, EVENT, ARRIVAL, *view.features)


def _aggregates_timeline(view: FeatureView, rows: pl.DataFrame) -> pl.DataFrame:
    """A change stream: each row adds itself when known, and takes itself back when the window has passed over its event."""
    keys = list(view.entity)
    base = rows.lazy().with_columns(pl.max_horizontal(EVENT, ARRIVAL).alias(VALID_FROM))
    changes = [base.select(*keys, VALID_FROM, EVENT, ARRIVAL, *_deltas(view, +1, None))]
    changes += [
        base.filter(pl.col(VALID_FROM) < pl.col(EVENT) + window_us).select(
            *keys,
            (pl.col(EVENT) + window_us).alias(VALID_FROM),
            pl.lit(None, pl.Int64).alias(EVENT),
            pl.lit(None, pl.Int64).alias(ARRIVAL),
            *_deltas(view, -1, window_us),
        )
        for window_us in windows(view)
    ]
    counters = _counters(view)
    counted = (
        pl.concat(changes)
        .group_by([*keys, VALID_FROM])
        .agg(pl.col(counters).sum(), pl.col(EVENT, ARRIVAL).max())
        .sort([*keys, VALID_FROM])
        .with_columns(pl.col(counters).cum_sum().over(keys), pl.col(EVENT, ARRIVAL).cum_max().forward_fill().over(keys))
        .collect()
    )
    return counted.with_columns(_values(view, counted))


def _counter(what: str, window_us: int, index: int) -> str:
    return f"__{what}_{window_us}_{index}"


def _counters(view: FeatureView) -> list[str]:
    columns = range(len(aggregated_columns(view)))
    return [
        name for w in windows(view) for name in (_counter("rows", w, 0), *(_counter(what, w, i) for i in columns for what in ("n", "sum")))
    ]


def _deltas(view: FeatureView, sign: int, only_window_us: int | None) -> list[pl.Expr]:
    """What a row changes in every counter: in all windows it is still inside of (``None``), or in one."""
    deltas = []
    for window_us in windows(view):
        inside = pl.col(VALID_FROM) < pl.col(EVENT) + window_us if only_window_us is None else pl.lit(window_us == only_window_us)
        step = pl.when(inside).then(pl.lit(sign, pl.Int64)).otherwise(pl.lit(0, pl.Int64))
        deltas.append(step.alias(_counter("rows", window_us, 0)))
        for index in range(len(aggregated_columns(view))):
            value = pl.col(value_column(index))
            deltas.append((step * value.is_not_null().cast(pl.Int64)).alias(_counter("n", window_us, index)))
            deltas.append((step * value.fill_null(0)).alias(_counter("sum", window_us, index)))
    return deltas


def _values(view: FeatureView, counted: pl.DataFrame) -> list[pl.Series]:
    """Each aggregate from its counters; a mean over nothing is null, a sum or count over nothing is zero.

    In numpy, because Polars divides by a scalar through its reciprocal, which is one ulp beside what a stream's division gives.
    """
    positions = {column: index for index, column in enumerate(aggregated_columns(view))}
    values = []
    for aggregate in view.aggregates:
        index = positions.get(aggregate.column, 0)
        n = counted[_counter("n" if aggregate.column else "rows", aggregate.window_us, index)].to_numpy()
        if aggregate.function == "count":
            values.append(pl.Series(aggregate.name, n.astype(np.float64)))
            continue
        total = counted[_counter("sum", aggregate.window_us, index)].to_numpy() / SCALE
        if aggregate.function == "mean":
            total = np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
        values.append(pl.Series(aggregate.name, total, nan_to_null=True))
    return values
