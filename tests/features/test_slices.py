"""Parts of a materialisation, put together, are the whole: whatever the cuts, the rows' order and what is late."""

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from leverframe.core.errors import LimitExceeded
from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.features.materialization.slices import (
    PARTITIONS_MAX,
    Partition,
    compute,
    entity_rows,
    key_ranges,
    over_held,
    put_together,
    time_slices,
)
from leverframe.features.online.online import NEVER_US
from leverframe.features.rows import transforms
from leverframe.features.timelines.timeline import timeline

BASE = {"name": "w", "source": "s", "entity": ("k",), "event_time": "e", "arrival_time": "a"}
EXPRESSIONS = FeatureView(**BASE, expressions=(Expression(name="v", sql="x"), Expression(name="twice", sql="x * 2")))
WINDOWS = FeatureView(
    **BASE,
    aggregates=(
        Aggregate(name="n7", function="count", window_us=7),
        Aggregate(name="sum7", function="sum", column="x", window_us=7),
        Aggregate(name="mean20", function="mean", column="x", window_us=20),
    ),
)
KEYED = msgspec.structs.replace(WINDOWS, row_key="r")
VIEWS = {"expressions": EXPRESSIONS, "windows": WINDOWS, "corrected": KEYED}
ROWS = st.lists(
    st.tuples(st.sampled_from("ABC"), st.integers(0, 60), st.integers(-3, 40), st.one_of(st.none(), st.integers(-5, 5))),
    min_size=0,
    max_size=60,
)


def frame(rows: list[tuple[str, int, int, int | None]]) -> pl.LazyFrame:
    """Rows with an arrival some way after the event, or before it."""
    columns = {
        "k": [k for k, _, _, _ in rows],
        "e": [e for _, e, _, _ in rows],
        "a": [e + late for _, e, late, _ in rows],
        "x": [None if x is None else float(x) for _, _, _, x in rows],
        # Rows come in pairs: the second corrects the first, when both are of one entity.
        "r": [number // 2 for number in range(len(rows))],
    }
    return pl.LazyFrame(columns, schema={"k": pl.String, "e": pl.Int64, "a": pl.Int64, "x": pl.Float64, "r": pl.Int64})


def whole(view: FeatureView, source: pl.LazyFrame, to_us: int) -> pl.DataFrame:
    """The timeline's end, which has no notion of parts."""
    line = timeline(view, source).filter(pl.col("valid_from_us") <= to_us).drop("valid_from_us")
    return line.unique("k", keep="last", maintain_order=True).sort("k")


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@given(rows=ROWS, to_us=st.integers(0, 110), step_us=st.integers(3, 50))
@settings(max_examples=60, deadline=None)
def test_spans_of_time_put_together_are_what_one_pass_gives(view: FeatureView, rows: list, to_us: int, step_us: int) -> None:
    source = frame(rows)
    parts = [compute(view, source, part).latest for part in time_slices(-10, to_us, step_us)]
    if parts:
        assert_frame_equal(put_together(view, parts).sort("k"), whole(view, source, to_us), check_exact=True)


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@given(rows=ROWS, to_us=st.integers(0, 110), parts=st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_ranges_of_keys_put_together_are_what_one_pass_gives(view: FeatureView, rows: list, to_us: int, parts: int) -> None:
    source = frame(rows)
    ranges = key_ranges(view, source, to_us, parts)
    assert len(ranges) <= parts
    slices = [compute(view, source, part) for part in ranges]
    assert_frame_equal(put_together(view, [s.latest for s in slices]).sort("k"), whole(view, source, to_us), check_exact=True)
    read = compute(view, source, Partition(name="all", to_us=to_us)).rows_read
    assert sum(s.rows_read for s in slices) == read, "a row was read by two ranges, or by none"


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@given(rows=ROWS, first_us=st.integers(0, 80), more_us=st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_a_span_written_over_what_is_held_is_what_one_pass_gives(view: FeatureView, rows: list, first_us: int, more_us: int) -> None:
    """The incremental way: a store complete up to one moment, brought forward by what changed since."""
    source = frame(rows)
    held = {row[0]: row[1:] for row in whole(view, source, first_us).rows()}
    new = entity_rows(view, compute(view, source, Partition(name="next", from_us=first_us, to_us=first_us + more_us)).latest)
    times = [held.get(key.decode(), (NEVER_US, NEVER_US)) for key in new.keys]
    written = over_held(view, new, [t[0] for t in times], [t[1] for t in times])
    for key, event, arrival, values in zip(written.keys, written.event_us, written.arrival_us, written.values, strict=True):
        held[key.decode()] = (event, arrival, *(None if v != v else v for v in values))
    assert held == {row[0]: row[1:] for row in whole(view, source, first_us + more_us).rows()}


def test_a_span_reads_only_what_can_decide_it() -> None:
    """A year of history must not be read again for each day."""
    source = frame([("A", at, 0, 1) for at in range(100)])
    assert compute(EXPRESSIONS, source, Partition(name="p", from_us=90, to_us=95)).rows_read == 5
    assert compute(WINDOWS, source, Partition(name="p", from_us=90, to_us=95)).rows_read == 25


def test_a_transform_sees_all_rows_before_any_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A difference to the row before would be another one if the row before had been cut off."""
    monkeypatch.setattr(transforms, "_transform", lambda name: lambda rows: rows.with_columns(pl.col("x").diff().over("k")))
    view = msgspec.structs.replace(EXPRESSIONS, transform="difference")
    source = frame([("A", at, 0, at % 5) for at in range(20)])
    latest = compute(view, source, Partition(name="p", from_us=10, to_us=12)).latest
    assert latest.select("event_us", "v").rows() == [(12, 1.0)]
    assert compute(view, source, Partition(name="p", from_us=9, to_us=10)).latest.select("event_us", "v").rows() == [(10, -4.0)]


def test_cuts_lie_on_whole_steps_and_are_bounded() -> None:
    assert [(p.from_us, p.to_us) for p in time_slices(20, 40, 10)] == [(20, 30), (30, 40)]
    assert time_slices(5, 5, 10) == []
    with pytest.raises(LimitExceeded):
        time_slices(0, PARTITIONS_MAX + 2, 1)
