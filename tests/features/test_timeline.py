"""Worked examples of timelines; the general truth is in tests/properties/test_features_timeline.py."""

from datetime import datetime

import polars as pl
import pytest

from leverframe.core.errors import InvalidInput
from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.features.timelines.timeline import timeline

NEWEST = FeatureView(
    name="w", source="s", entity=("k",), event_time="e", arrival_time="a", expressions=(Expression(name="v", sql="x"),), where="x > 0"
)
MEAN = FeatureView(
    name="m",
    source="s",
    entity=("k",),
    event_time="e",
    arrival_time="a",
    aggregates=(
        Aggregate(name="mean", function="mean", column="x", window_us=10),
        Aggregate(name="n", function="count", window_us=10),
        Aggregate(name="total", function="sum", column="x", window_us=20),
    ),
)


def source(rows: list[tuple[str | None, int | None, int | None, float | None]]) -> pl.LazyFrame:
    return pl.LazyFrame(rows, schema={"k": pl.String, "e": pl.Int64, "a": pl.Int64, "x": pl.Float64}, orient="row")


def test_a_late_correction_of_the_newest_event_takes_over_and_of_an_older_event_does_not() -> None:
    rows = [("A", 10, 10, 1.0), ("A", 10, 15, 2.0), ("A", 5, 20, 9.0), ("A", 12, 18, 3.0), ("A", 30, 1, 4.0)]
    assert timeline(NEWEST, source(rows)).select("valid_from_us", "v").rows() == [(10, 1.0), (15, 2.0), (18, 3.0), (30, 4.0)]


def test_rows_that_cannot_be_asked_for_or_known_are_left_out() -> None:
    rows = [(None, 1, 1, 1.0), ("A", None, 1, 1.0), ("A", 1, None, 1.0), ("A", 1, 1, -5.0), ("B", 2, 2, 7.0)]
    assert timeline(NEWEST, source(rows)).rows() == [("B", 2, 2, 2, 7.0)]


def test_a_window_counts_a_row_from_its_arrival_until_its_event_leaves() -> None:
    """Late rows count less long; rows that arrive after their window never count, but make the entity known."""
    rows = [("A", 0, 3, 4.0), ("A", 5, 5, None), ("B", 0, 50, 1.0)]
    line = timeline(MEAN, source(rows)).select("k", "valid_from_us", "mean", "n", "total").rows()
    assert line == [
        ("A", 3, 4.0, 1.0, 4.0),
        ("A", 5, 4.0, 2.0, 4.0),
        ("A", 10, None, 1.0, 4.0),
        ("A", 15, None, 0.0, 4.0),
        ("A", 20, None, 0.0, 0.0),
        ("A", 25, None, 0.0, 0.0),
        ("B", 50, None, 0.0, 0.0),
    ]


def test_what_was_added_is_taken_back_exactly() -> None:
    """A running float sum would end at 1.4e-17 instead of 0, and the mean of one row at something beside it."""
    rows = [("A", at, at, value) for at, value in enumerate([0.1, 0.2, 0.3, 1e6, -0.7])]
    line = timeline(MEAN, source(rows))
    assert line["total"].to_list()[-1] == 0.0
    assert line.filter(pl.col("valid_from_us") == 13)["mean"].to_list() == [-0.7]


def test_moments_may_be_datetimes_and_keys_integers() -> None:
    frame = pl.LazyFrame({"k": [7], "e": [datetime(1970, 1, 1, 0, 0, 1)], "a": [datetime(1970, 1, 1, 0, 0, 2)], "x": [1]})
    assert timeline(NEWEST, frame).rows() == [(7, 2_000_000, 1_000_000, 2_000_000, 1.0)]


def test_not_finite_is_missing() -> None:
    rows = [("A", 1, 1, float("inf")), ("A", 2, 2, float("nan")), ("A", 3, 3, 2.0)]
    assert timeline(MEAN, source(rows)).select("mean", "n").rows()[2] == (2.0, 3.0)


def test_numbers_too_large_to_sum_exactly_are_refused() -> None:
    """Rather a refusal than a sum that wrapped around."""
    with pytest.raises(InvalidInput, match="too large to be summed exactly"):
        timeline(MEAN, source([("A", 1, 1, 8.0e12), ("A", 2, 2, -2.0e12)]))


def test_an_empty_source_is_an_empty_timeline() -> None:
    assert timeline(MEAN, source([])).height == 0
    assert timeline(NEWEST, source([])).columns == ["k", "valid_from_us", "event_us", "arrival_us", "v"]
