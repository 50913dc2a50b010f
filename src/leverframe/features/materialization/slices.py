"""Parts of a materialisation that can be computed apart: what changed in a span of time, or the entities of a range of keys.

A slice reads no more of the source than can decide it. Of a view of row expressions that is what became known in the span; of a windowed
view also the rows whose windows reach into it. What a slice cannot know is what came before it, so slices are put together in order of
time, and an entity's older event never takes the place of a newer one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import and_

import msgspec
import numpy as np
import polars as pl

from leverframe.core.errors import LimitExceeded
from leverframe.core.feature import FeatureView
from leverframe.features.declared.definitions import ARRIVAL, EVENT, VALID_FROM, check_view, windows
from leverframe.features.online.online import NEVER_US, EntityRows, entity_keys
from leverframe.features.rows.source_rows import entity_key_type, moment, source_rows
from leverframe.features.rows.transforms import transformed
from leverframe.features.timelines.timeline import timeline

PARTITIONS_MAX = 1_000
RANGE_ROWS = 2_000_000
"""A full materialisation is cut into ranges of keys of about this many source rows, unless it is told how many."""


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """One part: what became known in ``(from_us, to_us]``, of entities whose first key lies in ``[low, high)`` (None: no bound)."""

    name: str
    from_us: int = NEVER_US
    to_us: int
    low: int | str | None = None
    high: int | str | None = None


@dataclass(frozen=True)
class Slice:
    """``latest``: at most one row an entity (keys, ``event_us``, ``arrival_us``, features) as of the slice's end.

    ``rows_read``: of the source. ``newest_us``: event and arrival time of the newest row that counted, ``NEVER_US`` without any.
    """

    latest: pl.DataFrame
    rows_read: int
    newest_us: tuple[int, int]


def time_slices(from_us: int, to_us: int, step_us: int) -> list[Partition]:
    """The spans of ``step_us`` that make up ``(from_us, to_us]``, cut at whole multiples of ``step_us`` (UTC for days and hours).

    Raises
    ------
    LimitExceeded: more than ``PARTITIONS_MAX`` of them.

    >>> [(p.from_us, p.to_us) for p in time_slices(5, 25, 10)]
    [(5, 10), (10, 20), (20, 25)]
    """
    inner = range((from_us // step_us + 1) * step_us, to_us, step_us)
    if len(inner) >= PARTITIONS_MAX:
        raise LimitExceeded("too many partitions", where="partition", expected=f"at most {PARTITIONS_MAX}", next_step="longer partitions")
    cuts = [from_us, *inner, to_us]
    return [Partition(name=f"span-{i}", from_us=a, to_us=b) for i, (a, b) in enumerate(pairwise(cuts)) if a < b]


def key_ranges(view: FeatureView, source: pl.LazyFrame, to_us: int, parts: int = 0) -> list[Partition]:
    """Ranges of the view's first key with about as many source rows each; fewer where one key has more than its share.

    Parameters
    ----------
    parts: how many, at most ``PARTITIONS_MAX``; 0: as many as ``RANGE_ROWS`` asks for.
    """
    view, source = _prepared(view, source)
    key = view.entity[0]
    schema = source.collect_schema()
    check_view(view, dict(schema))
    if not parts:
        parts = -(-int(source.select(pl.len()).collect().item()) // RANGE_ROWS)
    parts = min(max(1, parts), PARTITIONS_MAX)
    bounds: list[int | str] = []
    if parts > 1:
        counts = source.select(pl.col(key).cast(entity_key_type(schema[key]))).drop_nulls().group_by(key).len().sort(key).collect()
        rows_before = counts["len"].cum_sum().to_numpy().astype(np.int64) - counts["len"].to_numpy()
        number = rows_before * parts // max(1, int(counts["len"].sum()))
        bounds = [counts[key][int(i) + 1] for i in np.flatnonzero(np.diff(number))]
    lows: list[int | str | None] = [None, *bounds]
    return [
        Partition(name=f"keys-{i}", to_us=to_us, low=low, high=high)
        for i, (low, high) in enumerate(zip(lows, [*bounds, None], strict=True))
    ]


def compute(view: FeatureView, source: pl.LazyFrame, part: Partition) -> Slice:
    """The newest values, as of ``part.to_us``, of the part's entities that changed in its span.

    Raises
    ------
    InvalidInput: the view does not fit the source.
    """
    view, source = _prepared(view, source)
    rows = _deciding(view, source, part).collect()
    if view.expressions:
        latest = _newest_rows(view, source_rows(view, rows.lazy()))
        newest = latest.select(pl.col(EVENT, ARRIVAL).max()).row(0)
        return Slice(latest=latest, rows_read=rows.height, newest_us=(_or_never(newest[0]), _or_never(newest[1])))
    line = timeline(view, rows.lazy()).filter((pl.col(VALID_FROM) > part.from_us) & (pl.col(VALID_FROM) <= part.to_us))
    newest = line.select(pl.col(EVENT, ARRIVAL).max()).row(0)
    latest = line.drop(VALID_FROM).unique(list(view.entity), keep="last", maintain_order=True)
    return Slice(latest=latest, rows_read=rows.height, newest_us=(_or_never(newest[0]), _or_never(newest[1])))


def _prepared(view: FeatureView, source: pl.LazyFrame) -> tuple[FeatureView, pl.LazyFrame]:
    """The view over rows that went through its transform, which may need all of them: no row may be left out before."""
    return (msgspec.structs.replace(view, transform=""), transformed(view, source)) if view.transform else (view, source)


def _newest_rows(view: FeatureView, rows: pl.DataFrame) -> pl.DataFrame:
    """The row of each entity with the newest (event, arrival), of equals the later one, ordered by key: where its timeline ends.

    The timeline itself is not needed for that. Only times and keys are sorted; features are gathered once, in the order they are stored.
    """
    keys = list(view.entity)
    times = rows.select(*keys, EVENT, ARRIVAL).with_row_index("__row").lazy()
    if not _in_order(rows):
        times = times.sort(EVENT, ARRIVAL, maintain_order=True)
    last = times.group_by(keys).agg(pl.col("__row").last()).sort(keys).select("__row").collect()
    return rows.select(*keys, EVENT, ARRIVAL, *view.features)[last["__row"]]


def _in_order(rows: pl.DataFrame) -> bool:
    """Whether rows come by event, and of one event by arrival, as a feed delivers them."""
    event, arrival = rows[EVENT].to_numpy(), rows[ARRIVAL].to_numpy()
    return bool(((event[1:] > event[:-1]) | ((event[1:] == event[:-1]) & (arrival[1:] >= arrival[:-1]))).all())


def _deciding(view: FeatureView, source: pl.LazyFrame, part: Partition) -> pl.LazyFrame:
    """The source rows that can decide a part."""
    schema = source.collect_schema()
    check_view(view, dict(schema))
    event, arrival = moment(view.event_time, schema[view.event_time]), moment(view.arrival_time, schema[view.arrival_time])
    keep = [event <= part.to_us, arrival <= part.to_us]
    key = pl.col(view.entity[0]).cast(entity_key_type(schema[view.entity[0]]))
    if part.low is not None:
        keep.append(key >= part.low)
    if part.high is not None:
        keep.append(key < part.high)
    known = source.filter(reduce(and_, keep))
    if part.from_us == NEVER_US:
        return known
    reach = [event > part.from_us, arrival > part.from_us]
    if view.aggregates:
        reach.append(event > part.from_us - max(windows(view)))
    near = known.filter(pl.any_horizontal(reach))
    if not view.row_key:
        return near
    # A correction may have moved a row out of reach: without it, what it replaced would count again.
    same = [*view.entity, view.row_key]
    return known.join(near.select(same).unique(), on=same, how="semi", nulls_equal=True, maintain_order="left")


def _or_never(found: int | None) -> int:
    return NEVER_US if found is None else found


def put_together(view: FeatureView, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The newest row of each entity over parts in order of time.

    Of row expressions the newest (event, arrival) wins, and of equals the later part; of windows the later part, with the newest times.
    """
    if len(parts) == 1:
        return parts[0]
    keys, together = list(view.entity), pl.concat(parts)
    if view.expressions:
        return together.sort(EVENT, ARRIVAL, maintain_order=True).unique(keys, keep="last", maintain_order=True)
    return together.group_by(keys, maintain_order=True).agg(pl.col(EVENT, ARRIVAL).max(), pl.col(view.features).last())


def entity_rows(view: FeatureView, latest: pl.DataFrame) -> EntityRows:
    """Rows (at most one an entity) in the online store's form."""
    return EntityRows(
        keys=entity_keys([latest[key].to_list() for key in view.entity]),
        event_us=latest[EVENT].to_numpy(),
        arrival_us=latest[ARRIVAL].to_numpy(),
        values=latest.select(pl.col(view.features).fill_null(np.nan)).to_numpy().reshape(latest.height, len(view.features)),
    )


def over_held(view: FeatureView, rows: EntityRows, held_event_us: Sequence[int], held_arrival_us: Sequence[int]) -> EntityRows:
    """What of ``rows`` may be written over what is held: an older event of a row expression may not; times of windows never go back."""
    event_us, arrival_us = np.asarray(held_event_us, dtype=np.int64), np.asarray(held_arrival_us, dtype=np.int64)
    if view.aggregates:
        newest = (np.maximum(rows.event_us, event_us), np.maximum(rows.arrival_us, arrival_us))
        return EntityRows(keys=rows.keys, event_us=newest[0], arrival_us=newest[1], values=rows.values)
    newer = (rows.event_us > event_us) | ((rows.event_us == event_us) & (rows.arrival_us >= arrival_us))
    kept = np.flatnonzero(newer)
    return EntityRows(
        keys=[rows.keys[i] for i in kept.tolist()],
        event_us=rows.event_us[kept],
        arrival_us=rows.arrival_us[kept],
        values=rows.values[kept],
    )
