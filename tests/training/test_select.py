import msgspec
import polars as pl
import pytest

from leverframe.core.errors import Refused, SchemaMismatch
from leverframe.training.select import select_questions


def rows_of(**changes):
    columns = {
        "asked_at": [10, 20, 30, 40],
        "label_known_at": [15, 25, 90, 45],
        "late": [0, None, 1, 1],
        "origin": ["JFK"] * 4,
        "carrier": ["UA"] * 4,
        "departs_s": [1, 2, 3, 4],
    }
    return pl.DataFrame({**columns, **changes})


def test_only_questions_of_the_window_with_labels_known_by_its_end(spec):
    chosen = select_questions(rows_of(), spec, from_us=10, to_us=60)
    assert chosen["asked_at"].to_list() == [10, 40], "20 has no label, 30's label came after the window"
    assert select_questions(rows_of(), spec, from_us=11, to_us=90)["asked_at"].to_list() == [30, 40]
    assert select_questions(rows_of(), spec, from_us=10, to_us=40)["asked_at"].to_list() == [10], "the end is open"


def test_the_order_given_does_not_matter(spec, questions):
    chosen = select_questions(questions, spec, from_us=0, to_us=10**13)
    assert chosen.equals(select_questions(questions.sample(fraction=1.0, shuffle=True, seed=1), spec, from_us=0, to_us=10**13))
    assert chosen["asked_at"].is_sorted()


def test_no_row_left_is_refused_with_what_to_do(spec):
    with pytest.raises(Refused, match="no labelled question"):
        select_questions(rows_of(), spec, from_us=50, to_us=60)


def test_every_column_fault_is_told_at_once(spec):
    bad = rows_of(asked_at=["x"] * 4, late=[0, 1, 2, 3]).drop("carrier", "label_known_at")
    with pytest.raises(SchemaMismatch) as caught:
        select_questions(bad, msgspec.structs.replace(spec, slices=("dest",)), from_us=0, to_us=60)
    assert {f.where for f in caught.value.faults} == {"asked_at", "label_known_at", "late", "carrier", "dest"}
