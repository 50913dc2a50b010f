"""Batch input: what cannot be scored is said before anything is, all of it at once, and in the words of the file."""

import polars as pl
import pytest
from tests.serving.batch_jobs import batch, flights, scores
from tests.serving.installation import FLIGHT

from leverframe.apps.scoring.files import open_files
from leverframe.core.errors import Conflict, InvalidInput, NotFound, SchemaMismatch


def offered(tmp_path, frame: pl.DataFrame, **more):
    frame.write_parquet(tmp_path / "in.parquet")
    return open_files([tmp_path / "in.parquet"], FLIGHT, **more)


def test_every_missing_and_mistyped_column_is_named_at_once(tmp_path):
    frame = flights(5).rename({"origin": "orign"}).with_columns(pl.col("sched_dep_s").cast(pl.String), distance=pl.lit("far"))
    with pytest.raises(SchemaMismatch) as error:
        offered(tmp_path, frame).rows()
    faults = {(fault.where, fault.what, fault.expected, fault.got) for fault in error.value.faults}
    assert faults == {
        ("origin", "missing column", "BYTES", "'orign'"),
        ("distance", "wrong type", "FP64", "String"),
        ("sched_dep_s", "wrong type", "INT64", "String"),
    }


def test_a_float_is_not_taken_for_an_integer_but_an_integer_is_for_a_float(tmp_path):
    with pytest.raises(SchemaMismatch, match="sched_dep_s: wrong type"):
        offered(tmp_path, flights(3).with_columns(pl.col("sched_dep_s").cast(pl.Float64))).rows()
    assert offered(tmp_path, flights(3).with_columns(pl.col("distance").cast(pl.Int32))).rows() == 3


def test_optional_fields_may_be_left_out(tmp_path):
    flights(3).drop("carrier", "distance").write_parquet(tmp_path / "in.parquet")
    batch(tmp_path / "in.parquet", tmp_path / "out", FLIGHT)
    assert scores(tmp_path / "out")["code"].to_list() == ["", "", ""]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_value_that_cannot_be_read_names_its_column_and_finishes_nothing(tmp_path, suffix):
    path = tmp_path / f"in{suffix}"
    frame = flights(200).with_columns(pl.col("sched_dep_s").cast(pl.String))
    frame[150, "sched_dep_s"] = "tomorrow"
    frame.write_csv(path) if suffix == ".csv" else frame.write_ndjson(path)
    with pytest.raises(SchemaMismatch) as error:
        batch(path, tmp_path / "out", FLIGHT, rows_per_part=10)
    assert error.value.where == path.name
    assert error.value.got
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_no_rows_is_an_error(tmp_path):
    with pytest.raises(InvalidInput, match="no rows to score"):
        offered(tmp_path, flights(0)).rows()
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InvalidInput, match=r"empty\.csv: the file is empty"):
        open_files([tmp_path / "empty.csv"], FLIGHT)


def test_ids_must_be_there_and_different(tmp_path):
    frame = flights(10)
    frame[7, "flight_id"] = frame[2, "flight_id"]
    with pytest.raises(InvalidInput, match="2 rows, the first at 2, 7"):
        offered(tmp_path, frame, id_column="flight_id").rows()
    with pytest.raises(SchemaMismatch, match="flight_ids: no such column"):
        offered(tmp_path, frame, id_column="flight_ids").rows()


def test_an_output_column_is_not_overwritten_by_an_input_column(tmp_path):
    with pytest.raises(SchemaMismatch, match="missing: a column of the output has this name"):
        offered(tmp_path, flights(3).with_columns(missing=1), keep=["missing"]).rows()


def test_a_moment_is_an_integer_or_a_timestamp(tmp_path):
    with pytest.raises(SchemaMismatch, match="asked_at: not a moment"):
        offered(tmp_path, flights(3).with_columns(asked_at=pl.lit("noon")), as_of="asked_at").rows()
    seconds = pl.from_epoch(pl.col("sched_dep_s"), time_unit="s")
    (part,) = offered(tmp_path, flights(3).with_columns(asked_at=seconds), as_of="asked_at").parts(10, frozenset())
    assert part.asked_at_us.tolist() == [s * 1_000_000 for s in flights(3)["sched_dep_s"]]


def test_files_that_are_not_there_or_of_no_known_format(tmp_path):
    with pytest.raises(NotFound, match="no such file"):
        open_files([tmp_path / "gone.parquet"], FLIGHT)
    with pytest.raises(InvalidInput, match="which format"):
        open_files([tmp_path / "rows.xlsx"], FLIGHT)
    (tmp_path / "not.parquet").write_bytes(b"PK\x03\x04 this is something else altogether")
    with pytest.raises(InvalidInput, match=r"not\.parquet"):
        open_files([tmp_path / "not.parquet"], FLIGHT).rows()


def test_several_files_are_one_input_in_their_order(tmp_path):
    frame = flights(300)
    frame[:120].write_parquet(tmp_path / "b.parquet")
    frame[120:].write_parquet(tmp_path / "a.parquet")
    rows = open_files([tmp_path / "b.parquet", tmp_path / "a.parquet"], FLIGHT, keep=["flight_id"])
    assert rows.rows() == 300
    assert len(rows.digests) == 2
    kept = pl.concat(part.kept for part in rows.parts(77, frozenset()))
    assert kept["flight_id"].to_list() == frame["flight_id"].to_list()


def test_parts_have_their_size_and_skipped_ones_are_not_given(tmp_path):
    parts = list(offered(tmp_path, flights(1000)).parts(300, frozenset({1})))
    assert [(p.number, p.first_row, p.rows) for p in parts] == [(0, 0, 300), (2, 600, 300), (3, 900, 100)]


def test_a_file_that_changes_while_it_is_read_is_no_input(tmp_path):
    rows = offered(tmp_path, flights(100))
    parts = rows.parts(10, frozenset())
    next(parts)
    flights(101).write_parquet(tmp_path / "in.parquet")
    with pytest.raises((Conflict, SchemaMismatch)):
        list(parts)
