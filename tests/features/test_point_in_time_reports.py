"""Why a view had no row for a question, how old the rows were that it had, and moments by any clock."""

from datetime import datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.core.clock import HOUR_US
from leverframe.core.errors import SchemaMismatch
from leverframe.core.feature import Expression, FeatureView
from leverframe.core.training_set_report import ViewMatch
from leverframe.features.training_sets.point_in_time import training_set
from leverframe.features.training_sets.questions import in_utc

VALUE = (Expression(name="v", sql="x"),)
VIEW = FeatureView(name="w", source="s", entity=("k",), event_time="e", arrival_time="a", expressions=VALUE, ttl_us=10)
PAIR = FeatureView(name="pair", source="s", entity=("k", "n"), event_time="e", arrival_time="a", expressions=VALUE)
NEW_YORK = ZoneInfo("America/New_York")


def test_each_view_says_why_it_had_no_row_and_how_old_its_rows_were() -> None:
    source = pl.LazyFrame({"k": ["A", "B"], "e": [10, 20], "a": [12, 20], "x": [1.5, None]})
    questions = pl.DataFrame({"k": ["A", "A", "A", "B", "B", "Z", None, "A"], "t": [11, 12, 20, 29, 19, 50, 50, None]})
    result = training_set(questions, "t", [(VIEW, source)])
    assert result.matches == (
        ViewMatch(view="w", questions=8, matched=2, never_known=3, known_later=2, expired=1, age_us_min=2, age_us_max=9),
    )
    assert result.frame["w.v"].to_list() == [None, 1.5, None, None, None, None, None, None]  # B's row has no value, but is a row


def test_reports_of_two_parts_add_up_to_the_report_of_the_whole() -> None:
    source = pl.LazyFrame({"k": ["A", "B"], "e": [10, 20], "a": [12, 20], "x": [1.5, 2.5]})
    questions = pl.DataFrame({"k": ["A", "Z", "B", "A"], "t": [13, 13, 26, 40]})
    whole, *parts = (
        training_set(part, "t", [(VIEW, source)]).matches[0] for part in (questions, questions[:1], questions[1:2], questions[2:])
    )
    assert parts[0] + parts[1] + parts[2] == whole
    assert (whole.age_us_min, whole.age_us_max, whole.unmatched_share) == (3, 6, 0.5)


def test_several_views_of_several_entities_and_one_question_asked_many_times() -> None:
    """Many-to-many: each question stays one row, however many rows a view has for it and however often it is asked."""
    source = pl.LazyFrame({"k": ["A"] * 4, "n": [1, 1, 2, 2], "e": [1, 2, 3, 4], "a": [1, 2, 3, 4], "x": [10.0, 20.0, 30.0, 40.0]})
    questions = pl.DataFrame({"k": ["A", "A", "A", "A", "B"], "n": [2, 1, 1, 1, 1], "t": [9, 1, 9, 9, 9], "other": [5, 4, 3, 2, 1]})
    result = training_set(questions, "t", [(VIEW, source), (PAIR, source)])
    assert result.frame["other"].to_list() == [5, 4, 3, 2, 1]
    assert result.frame["w.v"].to_list() == [40.0, 10.0, 40.0, 40.0, None]
    assert result.frame["pair.v"].to_list() == [40.0, 10.0, 20.0, 20.0, None]


def _clock_change(fold: int) -> datetime:
    return datetime(2013, 11, 3, 1, 30, tzinfo=NEW_YORK, fold=fold)


def test_the_hour_that_a_wall_clock_shows_twice_is_two_moments() -> None:
    """1:30 comes twice when summer time ends; what became known between the two is known at the second one only."""
    moments = pl.Series([int(_clock_change(fold).timestamp()) * 1_000_000 for fold in (0, 1)])
    known_us = int(moments[0]) + HOUR_US // 2
    source = pl.LazyFrame({"k": ["A"], "e": [known_us], "a": [known_us], "x": [1.0]})
    view = FeatureView(name="w", source="s", entity=("k",), event_time="e", arrival_time="a", expressions=VALUE)
    for asked in (moments, moments.cast(pl.Datetime("us", "UTC")).dt.convert_time_zone("America/New_York")):
        for unit in ("us", "ms") if asked.dtype != pl.Int64 else ("us",):
            column = asked if asked.dtype == pl.Int64 else asked.cast(pl.Datetime(unit, "America/New_York"))
            frame = training_set(pl.DataFrame({"k": ["A", "A"], "t": column}), "t", [(view, source)]).frame
            assert frame["w.v"].to_list() == [None, 1.0]
            assert frame["t"].dtype == column.dtype


def test_a_window_over_the_hour_that_is_skipped_counts_elapsed_time() -> None:
    """From 1:59 to 3:01 on the day summer time begins two minutes pass, so a value that lives ten minutes is still alive."""
    before, after = (datetime(2013, 3, 10, *at, tzinfo=NEW_YORK) for at in ((1, 59), (3, 1)))
    ten_minutes = FeatureView(name="w", source="s", entity=("k",), event_time="e", arrival_time="e", expressions=VALUE, ttl_us=600_000_000)
    zoned = pl.Datetime("us", "America/New_York")
    source = pl.LazyFrame(
        {"k": ["A"], "e": pl.Series([before.astimezone(ZoneInfo("UTC"))]).dt.convert_time_zone("America/New_York"), "x": [1.0]}
    )
    assert source.collect_schema()["e"] == zoned
    asked = pl.Series([after.astimezone(ZoneInfo("UTC"))]).dt.convert_time_zone("Europe/Berlin")
    result = training_set(pl.DataFrame({"k": ["A"], "t": asked}), "t", [(ten_minutes, source)])
    assert result.frame["w.v"].to_list() == [1.0]
    assert result.matches[0].age_us_max == 2 * 60_000_000


def test_local_times_without_a_zone_are_refused_with_what_to_type() -> None:
    source = pl.LazyFrame({"k": ["A"], "e": [1], "a": [1], "x": [1.0]})
    questions = pl.DataFrame({"k": ["A"], "t": [datetime(2013, 11, 3, 1, 30)]})
    with pytest.raises(SchemaMismatch) as caught:
        training_set(questions, "t", [(VIEW, source)])
    assert [f.what for f in caught.value.faults] == ["a local time without its zone names no moment"]
    assert "replace_time_zone" in caught.value.next_step


CENTURIES_US = 250 * 365 * 24 * HOUR_US
keys = st.tuples(st.one_of(st.none(), st.sampled_from("AB")), st.one_of(st.none(), st.integers(0, 2)))
moments = st.one_of(st.integers(0, 12), st.integers(CENTURIES_US, CENTURIES_US + 12))
pair_rows = st.lists(st.tuples(keys, moments, moments, st.integers(0, 99)), max_size=20)
pair_questions = st.lists(st.tuples(keys, st.one_of(st.none(), moments)), max_size=20)


@given(pair_rows, pair_questions, st.integers(0, 20_000))
@settings(max_examples=120, deadline=None, derandomize=True)
def test_no_question_is_dropped_doubled_or_moved(rows: list[tuple], asked: list[tuple], strangers: int) -> None:  # type: ignore[type-arg]
    """Keys of two columns, nulls, ties, moments centuries apart: with many keys they do not fit one number together."""
    many = [((f"Z{i}", i), CENTURIES_US, CENTURIES_US, 0) for i in range(strangers)]
    schema = {"k": pl.String, "n": pl.Int64, "e": pl.Int64, "a": pl.Int64, "x": pl.Int64}
    source = pl.DataFrame([(*key, e, a, x) for key, e, a, x in rows + many], schema=schema, orient="row")
    questions = pl.DataFrame(
        [(i, *key, t) for i, (key, t) in enumerate(asked)],
        schema={"i": pl.Int64, "k": pl.String, "n": pl.Int64, "t": pl.Int64},
        orient="row",
    )
    result = training_set(questions, "t", [(PAIR, source.lazy())])
    assert result.frame.drop("pair.v").equals(questions)
    expected = []
    for key, t in asked:
        known = [(e, a, i, x) for i, (k, e, a, x) in enumerate(rows) if None not in key and k == key and t is not None and max(e, a) <= t]
        expected.append(float(max(known)[3]) if known else None)
    assert result.frame["pair.v"].to_list() == expected
    assert result.matches[0].questions == len(asked)
    assert result.matches[0].matched == sum(value is not None for value in expected)


def test_times_of_snapshots_are_utc_by_contract_and_said_to_be() -> None:
    """Snapshots hold every moment in UTC and without a zone; that is said once, where they are read, and changes no other column."""
    naive = pl.DataFrame({"k": ["A"], "t": [datetime(2013, 11, 3, 6, 30)], "other": [datetime(2013, 1, 1)]})
    marked = in_utc(naive, "t")
    assert marked.schema == {"k": pl.String, "t": pl.Datetime("us", "UTC"), "other": pl.Datetime("us")}
    assert marked["t"].cast(pl.Int64).equals(naive["t"].cast(pl.Int64))
    assert in_utc(marked, "t").equals(marked)
    assert in_utc(pl.DataFrame({"t": [1]}), "t")["t"].to_list() == [1]
