"""Each leak is found where it was put, with its numbers, and a clean feed is left in peace."""

import numpy as np
import polars as pl
import pytest

from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.core.training_set_report import Leak, TrainingSetReport
from leverframe.features.training_sets.leakage import training_set_report
from leverframe.features.training_sets.leakage_sources import Labelled
from leverframe.features.training_sets.point_in_time import training_set

COLUMNS = Labelled(dataset="flights", asked_at="asked_at", label="late", known_at="known_at")
ROWS = 400
RNG = np.random.default_rng(11)
QUESTIONS = pl.DataFrame(
    {
        "k": ["A", "B"] * (ROWS // 2),
        "asked_at": range(1_000, 1_000 + ROWS),
        "late": RNG.integers(0, 2, ROWS),
        "known_at": range(1_050, 1_050 + ROWS),
    }
)


def view(name: str = "w", source: str = "s", sql: str = "x", arrival: str = "a") -> FeatureView:
    return FeatureView(
        name=name, source=source, entity=("k",), event_time="e", arrival_time=arrival, expressions=(Expression(name="v", sql=sql),)
    )


def rows(late_by: int = 5) -> pl.DataFrame:
    events = np.arange(900, 1_500)
    return pl.DataFrame({"k": ["A", "B"] * 300, "e": events, "a": events + late_by, "x": RNG.normal(size=600)})


def report(declared: FeatureView, source: pl.DataFrame, questions: pl.DataFrame = QUESTIONS) -> TrainingSetReport:
    views = [(declared, source.lazy())]
    return training_set_report("m", training_set(questions, "asked_at", views), COLUMNS, views)


def found(leaks: tuple[Leak, ...]) -> list[tuple[str, str, int, int]]:
    return [(leak.check, leak.severity, leak.rows, leak.out_of) for leak in leaks]


def test_what_the_join_prevents_is_counted_and_nothing_else_is_said_of_a_clean_feed() -> None:
    """Every question is asked while the newest event is still on its way, so a join by event time would have shown it to all of them."""
    result = report(view(), rows())
    assert found(result.leaks) == [("event_time_join", "note", ROWS, ROWS)]
    assert result.matches[0].matched == ROWS
    assert result.summary() == "400 questions; leakage: 0 errors, 0 warnings"
    assert found(report(view(), rows(late_by=0).with_columns(a=pl.col("e") + pl.int_range(600).is_in([0]).cast(pl.Int64))).leaks) == []


@pytest.mark.parametrize("arrival", ["a", "e"])
def test_an_arrival_time_that_is_the_event_time_hides_late_rows(arrival: str) -> None:
    assert found(report(view(arrival=arrival), rows(late_by=0)).leaks) == [("arrival_is_event", "warning", 600, 600)]


def test_rows_without_arrival_and_rows_known_before_they_happened() -> None:
    source = rows(late_by=0).with_columns(
        a=pl.when(pl.col("e") < 910).then(None).when(pl.col("e") < 930).then(pl.col("e") - 1).otherwise("a")
    )
    assert found(report(view(), source).leaks) == [
        ("arrival_missing", "warning", 10, 600),
        ("known_before_it_happened", "warning", 20, 600),
    ]


def test_a_feature_that_reads_the_label_before_it_was_known_is_an_error() -> None:
    flights = QUESTIONS.with_columns(e="asked_at")
    early = view(source="flights", sql="late", arrival="e")
    assert ("label_known_early", "error", ROWS, ROWS) in found(report(early, flights).leaks)
    honest = view(source="flights", sql="late", arrival="known_at")
    assert ("reads_label", "note", ROWS, ROWS) in found(report(honest, flights).leaks)
    assert not any(leak.severity == "error" for leak in report(honest, flights).leaks)
    elsewhere = view(source="s", sql="late", arrival="e")  # another source may have a column of that name
    assert not any(leak.check in ("label_known_early", "reads_label") for leak in report(elsewhere, flights).leaks)


def test_the_label_is_found_behind_aggregates_conditions_and_filters() -> None:
    flights = QUESTIONS.with_columns(e="asked_at")
    windows = (
        Aggregate(name="late_share", function="mean", column="late", window_us=100),
        Aggregate(name="flights", function="count", window_us=100),
    )
    declared = FeatureView(name="w", source="flights", entity=("k",), event_time="e", arrival_time="e", aggregates=windows)
    assert [leak.feature for leak in report(declared, flights).leaks if leak.check == "label_known_early"] == ["late_share"]
    filtered = FeatureView(
        name="w", source="flights", entity=("k",), event_time="e", arrival_time="e", aggregates=windows, where="late = 1"
    )
    assert [leak.feature for leak in report(filtered, flights).leaks if leak.check == "label_known_early"] == ["flights", "late_share"]


def test_a_feature_that_is_the_label_in_disguise_is_flagged_by_value_or_by_being_there() -> None:
    """A source that writes a row for an entity only once the outcome is known tells it by having a row at all."""
    per_question = QUESTIONS.with_columns(k=pl.Series([f"K{i}" for i in range(ROWS)]))
    source = per_question.select("k", e=pl.lit(0), a=pl.lit(1), x=pl.col("late") * 2.0 + 1.0)
    by_value = report(view(), source, per_question)
    assert ("tells_label", "warning", ROWS, ROWS) in found(by_value.leaks)
    assert "its value alone ranks the labels with an AUC of 1.000" in by_value.leaks[0].sentence
    by_presence = report(view(), source.filter(pl.Series(per_question["late"] == 1)).with_columns(x=1.0), per_question)
    assert "whether it has a value alone" in next(leak for leak in by_presence.leaks if leak.check == "tells_label").sentence
    few = report(view(), source, per_question.head(60))
    assert not any(leak.check == "tells_label" for leak in few.leaks)  # too few of a class to say
