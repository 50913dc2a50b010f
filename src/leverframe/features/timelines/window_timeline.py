"""A view of windowed aggregates compiled: the moments at which anything changes for an entity, and every aggregate from then on.

A row counts from the moment it is known until its event leaves the window or a correction of it is known, whichever is first. The
moments at which rows come or go, numbered over all entities, are the points; ``window_stretches`` answers for all points at once.
"""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import polars as pl

from leverframe.core.feature import Aggregate, FeatureView
from leverframe.features.declared.definitions import ARRIVAL, EVENT, VALID_FROM, windows
from leverframe.features.rows.aggregate_inputs import Input, aggregate_inputs, input_column, inputs
from leverframe.features.rows.numbering import key_codes
from leverframe.features.rows.source_rows import COUNTS, ROW_KEY, SCALE
from leverframe.features.timelines.deviation import deviations, square_limbs
from leverframe.features.timelines.window_stretches import Float, Int, Stretches, Sums, distinct, greatest

ENTITY = "__entity"
ORDER = "__order"
REPLACED = "__replaced"
NEVER = np.iinfo(np.int64).max
PACKED_MAX = 2**62

Pack = Callable[[Int, Int], Int]


def aggregates_timeline(view: FeatureView, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows as ``source_rows`` prepares them become entity keys, ``valid_from_us``, ``event_us``, ``arrival_us`` and features, in order."""
    keys = list(view.entity)
    entities = rows.select(keys).unique().sort(keys)
    known = _known_rows(view, rows, entities)
    entity, known_at = known[ENTITY].to_numpy(), known[VALID_FROM].to_numpy()
    leaving = [_leaving(known, window_us) for window_us in windows(view)]
    # A row that leaves before it is known never counts; that it came is a point all the same, for it makes its entity known.
    counting = [left > known_at for left in leaving]
    pack, unpack = _packing(len(entities), known_at, [left[counts] for counts, left in zip(counting, leaving, strict=True)])
    come = pack(entity, known_at)
    gone = [pack(entity[counts], left[counts]) for counts, left in zip(counting, leaving, strict=True)]
    points = _distinct_sorted(np.concatenate([come, *gone]))
    first = np.searchsorted(points, come)
    newest_row = np.cumsum(np.bincount(first, minlength=len(points))) - 1
    at_entity = entity[newest_row]
    columns = {VALID_FROM: pl.Series(unpack(points, at_entity))}
    columns |= {name: known[name].gather(newest_row) for name in (EVENT, ARRIVAL)}
    for window_us, counts, end in zip(windows(view), counting, gone, strict=True):
        stretches = Stretches(first[counts], np.searchsorted(points, end), len(points))
        window = _Window(known if counts.all() else known.filter(pl.Series(counts)), stretches)
        for aggregate, found in aggregate_inputs(view):
            if aggregate.window_us == window_us:
                value = window.value(aggregate, input_column(inputs(view).index(found)) if found else "", found)
                columns[aggregate.name] = pl.Series(value, nan_to_null=True)
    return entities[at_entity].with_columns(**columns)


def _known_rows(view: FeatureView, rows: pl.DataFrame, entities: pl.DataFrame) -> pl.DataFrame:
    """Rows numbered by entity, in order of (entity, known, event, arrival, source); times become the newest of the entity so far."""
    keys = list(view.entity)
    numbered = (
        rows.lazy()
        .drop(keys)
        .with_row_index(ORDER)
        .with_columns(pl.Series(ENTITY, key_codes(rows.select(keys), entities), dtype=pl.Int64))
        .with_columns(
            pl.max_horizontal(EVENT, ARRIVAL).alias(VALID_FROM), pl.col(EVENT).alias("__event"), pl.col(ARRIVAL).alias("__arrival")
        )
    )
    if view.row_key:
        numbered = _replaced(numbered).filter(COUNTS)
    return numbered.sort(ENTITY, VALID_FROM, EVENT, ARRIVAL, ORDER).with_columns(pl.col(EVENT, ARRIVAL).cum_max().over(ENTITY)).collect()


def _replaced(numbered: pl.LazyFrame) -> pl.LazyFrame:
    """When each row stops counting: the first moment at which a later version of it is known. A row without a key has no other version."""
    versions = numbered.filter(pl.col(ROW_KEY).is_not_null()).sort(
        ENTITY, ROW_KEY, ARRIVAL, EVENT, ORDER, descending=[False, False, True, True, True]
    )
    replaced = versions.with_columns(pl.col(VALID_FROM).cum_min().shift(1).over(ENTITY, ROW_KEY).alias(REPLACED))
    single = numbered.filter(pl.col(ROW_KEY).is_null()).with_columns(pl.lit(None, pl.Int64).alias(REPLACED))
    return pl.concat([replaced, single])


def _leaving(known: pl.DataFrame, window_us: int) -> Int:
    left: Int = known["__event"].to_numpy() + window_us
    return np.minimum(left, known[REPLACED].fill_null(NEVER).to_numpy()) if REPLACED in known.columns else left


def _packing(entities: int, known_at: Int, leaving: list[Int]) -> tuple[Pack, Callable[[Int, Int], Int]]:
    """Entity and moment as one number that sorts like the pair, and the moment out of it again.

    A single flat sort of numbers is several times faster than one of pairs. Where the range of moments is too wide, their ranks serve.
    """
    if not len(known_at):
        return (lambda entity, at: at), (lambda packed, entity: packed)
    base = int(known_at.min())
    span = max(int(known_at.max()), *(int(left.max(initial=base)) for left in leaving)) - base + 1
    if entities * span < PACKED_MAX:
        return (lambda entity, at: entity * span + (at - base)), (lambda packed, entity: packed - entity * span + base)
    moments = _distinct_sorted(np.concatenate([known_at, *leaving]))
    return (
        lambda entity, at: entity * len(moments) + np.searchsorted(moments, at),
        lambda packed, entity: moments[packed - entity * len(moments)],
    )


def _distinct_sorted(numbers: Int) -> Int:
    """What ``np.unique`` gives; since numpy 2.3 that hashes, which takes ten times as long as sorting these."""
    numbers = np.sort(numbers)
    distinct_ones: Int = numbers[np.concatenate([np.ones(min(len(numbers), 1), dtype=np.bool_), numbers[1:] != numbers[:-1]])]
    return distinct_ones


class _Window:
    """The rows of one window with their stretches; what several aggregates share is computed once."""

    def __init__(self, rows: pl.DataFrame, stretches: Stretches) -> None:
        self._rows = rows
        self._stretches = stretches
        self._counts: dict[str, Int] = {}
        self._totals: dict[str, Int] = {}

    def value(self, aggregate: Aggregate, column: str, found: Input | None) -> Float:
        """The aggregate at every point; NaN where it has no value.

        In numpy, because Polars divides by a scalar through its reciprocal, which is one ulp beside what a stream's division gives.
        """
        function = aggregate.function
        if function == "count":
            return (self._count(column, found) if found else self._sums.rows).astype(np.float64)
        if function == "share":
            return _ratio(self._count(column, found), self._sums.rows)
        if function == "sum":
            return self._total(column) / SCALE
        if function == "mean":
            return _ratio(self._total(column) / SCALE, self._count(column, found))
        if function == "std":
            values = self._whole(column)
            units, middles, tops = (self._sums.of(limb) for limb in square_limbs(values))
            return deviations(self._count(column, found), self._total(column), (units, middles, tops))
        if function == "distinct":
            return self._distinct(column).astype(np.float64)
        return self._last(column) if function == "last" else self._extreme(column, -1.0 if function == "min" else 1.0)

    @cached_property
    def _sums(self) -> Sums:
        return Sums(self._stretches)

    def _whole(self, column: str) -> Int:
        return self._rows[column].fill_null(0).to_numpy()

    def _count(self, column: str, found: Input | None) -> Int:
        """Of predicates and of what may be missing: the rows for which it is there."""
        if column not in self._counts:
            values = self._rows[column]
            if values.null_count() == 0 and values.dtype != pl.Boolean:
                self._counts[column] = self._sums.rows
            else:
                there = values if values.dtype == pl.Boolean and found is not None and found.kind != "value" else values.is_not_null()
                self._counts[column] = self._sums.of(there.cast(pl.Int64).to_numpy())
        return self._counts[column]

    def _total(self, column: str) -> Int:
        if column not in self._totals:
            self._totals[column] = self._sums.of(self._whole(column))
        return self._totals[column]

    def _there(self, column: str) -> tuple[pl.DataFrame, Stretches]:
        there = self._rows[column].is_not_null()
        if there.all():
            return self._rows, self._stretches
        return self._rows.filter(there), self._stretches.of(there.to_numpy())

    def _extreme(self, column: str, sign: float) -> Float:
        rows, stretches = self._there(column)
        best: Float = greatest(stretches, rows[column].to_numpy() * sign, -np.inf)
        # Adding zero turns a negative zero, which the sign made, into the one zero that sources have.
        return np.where(np.isinf(best), np.nan, best * sign + 0.0)

    def _last(self, column: str) -> Float:
        rows, stretches = self._there(column)
        order = rows.select(pl.arg_sort_by("__event", "__arrival", ORDER)).to_series().to_numpy()
        recency = np.empty(len(order), dtype=np.int64)
        recency[order] = np.arange(len(order))
        # The place after the last stands for "none": index -1.
        by_recency = np.append(rows[column].to_numpy()[order], np.nan)
        last: Float = by_recency[greatest(stretches, recency, -1)]
        return last

    def _distinct(self, column: str) -> Int:
        rows, stretches = self._there(column)
        return distinct(stretches, rows.select(_numbered(column)).to_series().to_numpy())


def _numbered(column: str) -> pl.Expr:
    """A number for each pair of entity and value, from zero without gaps."""
    value = pl.col(column).rank("dense").cast(pl.Int64)
    return (pl.col(ENTITY) * (value.max() + 1) + value).rank("dense").cast(pl.Int64) - 1


def _ratio(part: Int | Float, of: Int) -> Float:
    ratio: Float = np.divide(part, of, out=np.full(len(of), np.nan), where=of > 0)
    return ratio
