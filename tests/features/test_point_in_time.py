"""Training sets: shape, order and refusals; values are in tests/properties/test_features_timeline.py."""

import polars as pl
import pytest

from leverframe.core.errors import SchemaMismatch
from leverframe.core.feature import Expression, FeatureView
from leverframe.features.training_sets.point_in_time import training_set

VIEW = FeatureView(
    name="w", source="s", entity=("k",), event_time="e", arrival_time="a", expressions=(Expression(name="v", sql="x"),), ttl_us=10
)
SOURCE = pl.LazyFrame({"k": ["A", "B"], "e": [10, 20], "a": [12, 20], "x": [1.5, 2.5]})


def test_values_are_as_of_the_question_and_expire_with_the_ttl() -> None:
    questions = pl.DataFrame({"id": range(6), "k": ["B", "A", "A", "A", None, "A"], "t": [25, 11, 12, 19, 30, 20]})
    result = training_set(questions, "t", [(VIEW, SOURCE)])
    assert result.frame["id"].to_list() == [0, 1, 2, 3, 4, 5]
    assert result.frame["w.v"].to_list() == [2.5, None, 1.5, 1.5, None, None]
    assert result.unmatched == {"w": 3}


def test_every_fault_of_the_questions_is_named_at_once() -> None:
    other = FeatureView(name="o", source="s", entity=("e",), event_time="e", arrival_time="a", expressions=(Expression(name="v", sql="x"),))
    questions = pl.DataFrame({"k": [1], "t": ["noon"], "w.v": [1.0]})
    with pytest.raises(SchemaMismatch) as caught:
        training_set(questions, "t", [(VIEW, SOURCE), (other, SOURCE), (VIEW, SOURCE)])
    assert [(f.where, f.what) for f in caught.value.faults] == [
        ("t", "the moment of the question"),
        ("w.k", "key of another type"),
        ("w.v", "the questions already have a column of this name"),
        ("o.e", "questions lack the entity key"),
        ("w.k", "key of another type"),
        ("w.v", "the questions already have a column of this name"),
        ("w", "a view is given twice"),
    ]


def test_no_questions_and_no_rows_are_fine() -> None:
    nobody = training_set(pl.DataFrame(schema={"k": pl.String, "t": pl.Int64}), "t", [(VIEW, SOURCE)])
    assert nobody.frame.columns == ["k", "t", "w.v"]
    nothing = training_set(pl.DataFrame({"k": ["A"], "t": [99]}), "t", [(VIEW, SOURCE.filter(pl.lit(False)))])
    assert nothing.frame["w.v"].to_list() == [None]
    assert nothing.unmatched == {"w": 1}


def test_keys_of_two_columns_and_of_categories() -> None:
    view = FeatureView(
        name="p", source="s", entity=("a_key", "b_key"), event_time="e", arrival_time="e", expressions=(Expression(name="v", sql="x"),)
    )
    rows = pl.LazyFrame({"a_key": ["A", "A"], "b_key": [1, 2], "e": [0, 0], "x": [1.0, 2.0]})
    questions = pl.DataFrame(
        {"a_key": pl.Series(["A", "A", "B"], dtype=pl.Categorical), "b_key": pl.Series([2, 1, 1], dtype=pl.Int16), "t": [5, 5, 5]}
    )
    assert training_set(questions, "t", [(view, rows)]).frame["p.v"].to_list() == [2.0, 1.0, None]


def test_a_join_on_event_time_alone_would_leak_what_was_not_known() -> None:
    """The negative control: the naive join hands over a correction before it arrived; ours waits for it."""
    rows = pl.LazyFrame({"k": ["A", "A"], "e": [10, 10], "a": [10, 30], "x": [1.0, 2.0]})
    questions = pl.DataFrame({"k": ["A", "A"], "t": [15, 30]})
    view = FeatureView(name="n", source="s", entity=("k",), event_time="e", arrival_time="a", expressions=(Expression(name="v", sql="x"),))
    naive = FeatureView(name="n", source="s", entity=("k",), event_time="e", arrival_time="e", expressions=(Expression(name="v", sql="x"),))
    assert training_set(questions, "t", [(view, rows)]).frame["n.v"].to_list() == [1.0, 2.0]
    assert training_set(questions, "t", [(naive, rows)]).frame["n.v"].to_list() == [2.0, 2.0]
