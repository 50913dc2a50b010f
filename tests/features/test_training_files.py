"""A training set written in parts is the training set, and is there as a whole or not at all."""

from pathlib import Path

import polars as pl
import pytest

from leverframe.core.errors import Conflict, SchemaMismatch
from leverframe.core.feature import Expression, FeatureView
from leverframe.features.training_sets.point_in_time import training_set
from leverframe.features.training_sets.training_files import write_training_set

VIEW = FeatureView(
    name="w", source="s", entity=("k",), event_time="e", arrival_time="a", expressions=(Expression(name="v", sql="x"),), ttl_us=40
)
SOURCE = pl.LazyFrame({"k": ["A", "B"] * 20, "e": range(40), "a": range(3, 43), "x": [i / 4 for i in range(40)]})


def questions(rows: int) -> pl.LazyFrame:
    return pl.LazyFrame(
        {"i": range(rows), "k": [("A", "B", "Z", None)[i % 4] for i in range(rows)], "t": [(i * 37) % 101 for i in range(rows)]}
    )


@pytest.mark.parametrize("rows_per_part", [1, 7, 1000])
def test_parts_hold_the_questions_in_their_order_and_their_reports_add_up(tmp_path: Path, rows_per_part: int) -> None:
    questions(50).sink_parquet(tmp_path / "questions.parquet", row_group_size=16)
    done: list[int] = []
    written = write_training_set(
        pl.scan_parquet(tmp_path / "questions.parquet"),
        "t",
        [(VIEW, SOURCE)],
        tmp_path / "out",
        rows_per_part=rows_per_part,
        progress=done.append,
    )
    whole = training_set(questions(50), "t", [(VIEW, SOURCE)])
    assert pl.read_parquet(tmp_path / "out").equals(whole.frame)
    assert pl.concat([pl.read_parquet(part) for part in written.parts]).equals(whole.frame)
    assert (written.rows, written.matches) == (50, whole.matches)
    assert done[-1] == 50
    assert max(pl.read_parquet(part).height for part in written.parts) <= rows_per_part
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "questions.parquet"]


def test_no_questions_are_one_part_without_rows(tmp_path: Path) -> None:
    written = write_training_set(questions(5).head(0), "t", [(VIEW, SOURCE)], tmp_path / "out")
    assert pl.read_parquet(tmp_path / "out").schema == training_set(questions(5).head(0), "t", [(VIEW, SOURCE)]).frame.schema
    assert (written.rows, len(written.parts)) == (0, 1)


def test_what_stops_in_the_middle_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    def stop(rows: int) -> None:
        assert not (tmp_path / "out").exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_training_set(questions(50), "t", [(VIEW, SOURCE)], tmp_path / "out", rows_per_part=10, progress=stop)
    assert not (tmp_path / "out").exists()
    assert write_training_set(questions(50), "t", [(VIEW, SOURCE)], tmp_path / "out").rows == 50  # and what it left is in nobody's way
    with pytest.raises(Conflict):
        write_training_set(questions(50), "t", [(VIEW, SOURCE)], tmp_path / "out")


def test_questions_that_do_not_fit_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch):
        write_training_set(questions(5).drop("k"), "t", [(VIEW, SOURCE)], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
