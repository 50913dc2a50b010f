"""The incremental engine's own rules; that it equals batch is in tests/properties/test_features_timeline.py."""

import math

import msgspec
import polars as pl
import pytest

from leverframe.core.errors import InvalidInput, Unavailable
from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.features.declared.bindings import binding
from leverframe.features.online.online import EntityRows, ViewMeta, entity_keys
from leverframe.features.online.online_memory import MemoryOnlineStore
from leverframe.features.timelines.stream import ViewStream

MEAN = FeatureView(
    name="m",
    source="s",
    entity=("k",),
    event_time="e",
    arrival_time="a",
    aggregates=(Aggregate(name="mean", function="mean", column="x", window_us=10), Aggregate(name="n", function="count", window_us=10)),
)
NEWEST = FeatureView(name="w", source="s", entity=("k",), event_time="e", arrival_time="a", expressions=(Expression(name="v", sql="x"),))


def source(*rows: tuple[str, int, int, float]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema={"k": pl.String, "e": pl.Int64, "a": pl.Int64, "x": pl.Float64}, orient="row")


def value(store: MemoryOnlineStore, view: FeatureView, entity: str) -> list[float | None]:
    read = store.read(binding(view), entity_keys([[entity]]), 10**9)
    return [None if math.isnan(v) else v for v in read.values[0].tolist()]


def test_only_changed_entities_are_written() -> None:
    """A minute in which nothing happens to an entity must cost it nothing."""
    store = MemoryOnlineStore()
    stream = ViewStream(MEAN, store)
    assert stream.push(source(("A", 1, 1, 2.0), ("B", 3, 3, 4.0))) == 2
    assert [stream.advance(at) for at in (0, 1, 2, 3, 10, 11, 13, 99)] == [0, 1, 0, 1, 0, 1, 1, 0]
    meta = store.meta("m")
    assert meta is not None
    assert (meta.watermark_us, meta.newest_event_us, meta.newest_arrival_us) == (99, 3, 3)


def test_a_frozen_feed_delivers_nothing_and_its_windows_run_empty() -> None:
    store = MemoryOnlineStore()
    stream = ViewStream(MEAN, store)
    stream.push(source(("A", 1, 1, 2.0), ("A", 5, 5, 4.0), ("A", 14, 14, 8.0)))
    stream.advance(2)
    stream.freeze()
    stream.advance(6)
    assert value(store, MEAN, "A") == [2.0, 1.0]
    stream.advance(12)
    assert value(store, MEAN, "A") == [None, 0.0]
    meta = store.meta("m")
    assert meta is not None
    assert (meta.watermark_us, meta.newest_arrival_us) == (12, 1)  # the process lives, the feed does not


def test_a_resumed_feed_delivers_late_what_is_still_inside_its_window() -> None:
    store = MemoryOnlineStore()
    stream = ViewStream(MEAN, store)
    stream.push(source(("A", 1, 1, 2.0), ("A", 5, 5, 4.0), ("A", 14, 14, 8.0)))
    stream.freeze()
    stream.advance(14)
    assert value(store, MEAN, "A") == [None, None]
    stream.resume()
    stream.advance(14)
    assert value(store, MEAN, "A") == [6.0, 2.0]
    stream.advance(15)
    assert value(store, MEAN, "A") == [8.0, 1.0]


def test_rows_pushed_after_their_moment_arrive_at_the_next_advance() -> None:
    store = MemoryOnlineStore()
    stream = ViewStream(NEWEST, store)
    stream.push(source(("A", 5, 5, 1.0)))
    stream.advance(6)
    stream.push(source(("A", 4, 4, 9.0), ("A", 5, 5, 2.0), ("A", 20, 20, 3.0)))
    stream.advance(7)
    assert value(store, NEWEST, "A") == [2.0]  # same event and arrival: the later push; the older event does not count
    stream.advance(20)
    assert value(store, NEWEST, "A") == [3.0]


def test_time_does_not_go_back() -> None:
    stream = ViewStream(MEAN, MemoryOnlineStore())
    stream.advance(10)
    assert stream.advance(10) == 0
    with pytest.raises(InvalidInput, match="cannot go back"):
        stream.advance(9)


class FailingOnce(MemoryOnlineStore):
    """A store that refuses its first write."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = False

    def write(self, rows: EntityRows, meta: ViewMeta, *, replace: bool = False) -> None:
        if not self.refused:
            self.refused = True
            raise Unavailable("the disk is full", where="test")
        super().write(rows, meta, replace=replace)


def test_what_a_store_refused_is_written_at_the_next_advance() -> None:
    """Otherwise an entity that does not change again would stay stale for ever."""
    store = FailingOnce()
    stream = ViewStream(NEWEST, store)
    stream.push(source(("A", 1, 1, 1.0)))
    with pytest.raises(Unavailable):
        stream.advance(1)
    assert stream.advance(2) == 1
    assert value(store, NEWEST, "A") == [1.0]


def test_a_restarted_stream_ends_in_the_same_state() -> None:
    rows = source(("A", 1, 1, 2.0), ("B", 5, 6, 4.0), ("A", 9, 12, 8.0))
    store = MemoryOnlineStore()
    first = ViewStream(MEAN, store)
    first.push(rows)
    first.advance(6)
    second = ViewStream(MEAN, store)
    second.push(rows)
    second.advance(12)
    assert [value(store, MEAN, k) for k in "AB"] == [[8.0, 1.0], [4.0, 1.0]]


def test_a_correction_replaces_a_duplicate_counts_once_and_a_cancellation_withdraws() -> None:
    """Without the row key a corrected value would count beside its correction until both leave the window."""
    view = msgspec.structs.replace(
        MEAN, row_key="id", where="x < 100", aggregates=(*MEAN.aggregates, Aggregate(name="top", function="max", column="x", window_us=10))
    )
    store = MemoryOnlineStore()
    stream = ViewStream(view, store)
    rows = [("A", 1, 1, 8.0, 1), ("A", 1, 1, 8.0, 1), ("A", 2, 2, 4.0, 2), ("A", 1, 5, 2.0, 1), ("A", 2, 7, 100.0, 2)]
    pushed = pl.DataFrame(rows, schema={"k": pl.String, "e": pl.Int64, "a": pl.Int64, "x": pl.Float64, "id": pl.Int64}, orient="row")
    stream.push(pushed)
    answers = []
    for at in (1, 2, 5, 7, 11):
        stream.advance(at)
        answers.append(value(store, view, "A"))
    assert answers == [[8.0, 1.0, 8.0], [6.0, 2.0, 8.0], [3.0, 2.0, 4.0], [2.0, 1.0, 2.0], [None, 0.0, None]]


def test_heaps_stay_in_proportion_to_the_rows_inside() -> None:
    """A falling maximum keeps every outdated value under the top; a stream that runs for a year must not keep the year."""
    view = msgspec.structs.replace(MEAN, aggregates=(Aggregate(name="top", function="max", column="x", window_us=10),))
    stream = ViewStream(view, MemoryOnlineStore())
    # One huge value stays on top of all the others in its window, again and again.
    stream.push(source(*(("A", at, at, 1e6 if at % 10 == 0 else float(at)) for at in range(5_000))))
    largest = 0
    for at in range(0, 5_000, 5):
        stream.advance(at)
        (part,) = (part for windows in stream._state._parts.values() for window in windows for part in window.values())  # type: ignore[attr-defined]
        largest = max(largest, len(part.heaps["max"]))
    assert largest <= 2 * 10 + 64 + 10
