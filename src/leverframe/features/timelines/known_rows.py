"""What a view of windowed aggregates knows, row by row: when each became known, and when it leaves each window.

A row counts from the moment it is known until its event leaves the window or a correction of it is known, whichever is first.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from leverframe.core.feature import FeatureView
from leverframe.features.declared.definitions import ARRIVAL, EVENT, windows
from leverframe.features.rows.aggregate_inputs import Input, input_column, inputs
from leverframe.features.rows.numbering import Ints, distinct_keys, order_by_code
from leverframe.features.rows.source_rows import COUNTS, ROW_KEY, source_rows
from leverframe.features.rows.strides import block_of, gathered
from leverframe.features.timelines.newest_known import by_knowledge

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
NEVER = np.iinfo(np.int64).max
_CODE, _KNOWN, _ORDER = "__code", "__known", "__order"


@dataclass(frozen=True)
class Column:
    """One input of aggregates, ``[rows]``: millionths or groups (int64), values (float64), or None where only ``there`` matters.

    ``there`` says which rows have a value, or meet the condition; None: all. The others hold zero.
    """

    numbers: Ints | Floats | None
    there: Bools | None


@dataclass(frozen=True)
class KnownRows:
    """The rows that count, in order of (entity, known, event, arrival, source).

    Parameters
    ----------
    entities: the distinct keys of the source, in order; ``codes``, int64 ``[rows]``, are places among them.
    known_us: int64 ``[rows]``, the later of event and arrival.
    event_us, arrival_us: int64 ``[rows]``, the row's own; ``source_order`` is its place in the source.
    leaving_us: for each of ``windows(view)``, int64 ``[rows]``; not after ``known_us`` where a row never counts.
    columns: the view's inputs (``aggregate_inputs``), ``[rows]`` each.
    """

    view: FeatureView
    entities: pl.DataFrame
    codes: Ints
    known_us: Ints
    event_us: Ints
    arrival_us: Ints
    source_order: Ints
    leaving_us: tuple[Ints, ...]
    columns: tuple[Column, ...]

    @cached_property
    def newest_event_us(self) -> Ints:
        """The newest event of the entity that is known with each row."""
        return self._newest(self.event_us)

    @cached_property
    def newest_arrival_us(self) -> Ints:
        """The newest arrival of the entity that is known with each row."""
        return self._newest(self.arrival_us)

    @cached_property
    def recency(self) -> Ints:
        """The place of each row in order of (event, arrival, source) within its entity: the later, the more recent."""
        if self.newest_event_us is self.event_us:
            # Then of equal events the one with the earlier arrival is known first: they lie in that order.
            return np.arange(len(self.codes))
        order = np.lexsort((self.source_order, self.arrival_us, self.event_us))
        places = np.empty(len(order), dtype=np.int64)
        places[order] = np.arange(len(order))
        return places

    def _newest(self, moments_us: Ints) -> Ints:
        if bool(((moments_us[1:] >= moments_us[:-1]) | (self.codes[1:] != self.codes[:-1])).all()):
            return moments_us
        together = pl.DataFrame({"code": self.codes, "at": moments_us})
        newest: Ints = together.select(pl.col("at").cum_max().over("code"))["at"].to_numpy()
        return newest


def known_rows(view: FeatureView, source: pl.LazyFrame) -> KnownRows:
    """Put a view's rows in order and find when each leaves each window.

    Raises
    ------
    InvalidInput: the view does not fit the source.
    """
    rows = source_rows(view, source)
    entities, codes = distinct_keys(rows.select(view.entity))
    event, arrival = rows[EVENT].to_numpy(), rows[ARRIVAL].to_numpy()
    if np.array_equal(event, arrival):
        arrival = event
    known = event if arrival is event else np.maximum(event, arrival)
    order = order_by_code(codes, entities.height, by_knowledge(known, event, arrival))
    replaced = _replaced_us(rows, codes, known) if view.row_key else None
    if replaced is not None:
        order = order[rows[COUNTS].to_numpy()[order]]
    columns = [_column(found, rows[input_column(i)]) for i, found in enumerate(inputs(view))]
    # Where rows arrive when they happen, one array is all three.
    moments = {id(each): each for each in (known, event, arrival)}
    codes, *ordered = gathered([codes, *moments.values(), *(c.numbers for c in columns if c.numbers is not None)], order)
    moments, numbers = dict(zip(moments, ordered, strict=False)), iter(ordered[len(moments) :])
    return KnownRows(
        view=view,
        entities=entities,
        codes=codes,
        known_us=moments[id(known)],
        event_us=moments[id(event)],
        arrival_us=moments[id(arrival)],
        source_order=order,
        leaving_us=_leaving_us(view, moments[id(event)], None if replaced is None else replaced[order]),
        columns=tuple(_in_order(column, None if column.numbers is None else next(numbers), order) for column in columns),
    )


def _leaving_us(view: FeatureView, event_us: Ints, replaced_us: Ints | None) -> tuple[Ints, ...]:
    block = block_of(len(windows(view)), len(event_us))
    for window_us, leaving_us in zip(windows(view), block, strict=True):
        np.add(event_us, window_us, out=leaving_us)
        if replaced_us is not None:
            np.minimum(leaving_us, replaced_us, out=leaving_us)
    return tuple(block)


def _replaced_us(rows: pl.DataFrame, codes: Ints, known_us: Ints) -> Ints:
    """When each row stops counting: the first moment at which a later version of it is known. A row without a key has no other version."""
    versions = (
        rows.lazy()
        .select(EVENT, ARRIVAL, ROW_KEY, pl.Series(_CODE, codes), pl.Series(_KNOWN, known_us))
        .with_row_index(_ORDER)
        .filter(pl.col(ROW_KEY).is_not_null())
        .sort(_CODE, ROW_KEY, ARRIVAL, EVENT, _ORDER, descending=[False, False, True, True, True])
        .select(_ORDER, pl.col(_KNOWN).cum_min().shift(1).over(_CODE, ROW_KEY).fill_null(NEVER))
        .collect()
    )
    replaced = np.full(rows.height, NEVER)
    replaced[versions[_ORDER].to_numpy()] = versions[_KNOWN].to_numpy()
    return replaced


def _column(found: Input, values: pl.Series) -> Column:
    if values.dtype == pl.Boolean and found.kind != "value":
        return Column(None, None if values.all() else values.to_numpy())
    there = values.is_not_null().to_numpy() if values.null_count() else None
    if found.kind == "value":
        values = values.rank("dense").cast(pl.Int64) - 1
    return Column(values.fill_null(0).to_numpy(), there)


def _in_order(column: Column, numbers: Ints | Floats | None, order: Ints) -> Column:
    return Column(numbers, None if column.there is None else column.there[order])
