"""Batch scoring against the online path, bit by bit; parts that are finished once; rows in are rows out (P19, batch half)."""

import io
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.serving.batch_jobs import DIGEST, NOW_US, batch, files_of, flights, killed, loaded, online, scores
from tests.serving.installation import FLIGHT, PLAIN, bundle_files
from tests.serving.online import answer_rows

from leverframe.apps.scoring.features import OnlineFeatures
from leverframe.core.errors import Conflict, Integrity, Unavailable
from leverframe.core.model import MODEL_ONNX
from leverframe.serving.batch.output import MANIFEST, Job, OutputFolder
from leverframe.serving.batch.run import Progress
from leverframe.serving.runtimes.onnx import OnnxRuntime

SCALE = (1.0, 300.0, 700.0, 20.0)
"""What the numbers of the plain model were fitted on."""


# ---- equal to the online path ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("signature", "rows"), [(PLAIN, 10_000), (FLIGHT, 10_000)], ids=["numbers", "features"])
def test_ten_thousand_rows_have_the_bits_of_the_online_answers(tmp_path, signature, rows):
    """P19: the same rows through batch and through the request path, one request a row."""
    if signature is PLAIN:
        rng = np.random.default_rng(11)
        frame = pl.DataFrame(
            {f"x{i}": pl.Series(rng.normal(0, SCALE[i], rows)).set(pl.Series(rng.random(rows) < 0.05), None) for i in range(4)}
        )
    else:
        frame = flights(rows)
    frame.write_parquet(tmp_path / "in.parquet")
    batch(tmp_path / "in.parquet", tmp_path / "out", signature, rows_per_part=777, workers=2)
    got = scores(tmp_path / "out")
    wanted = answer_rows(tmp_path, signature, loaded(signature), online(), NOW_US, frame, [field.name for field in signature.request])
    assert got["row"].to_list() == list(range(rows))
    assert got["code"].to_list() == [code for code, _, _ in wanted]
    assert got["missing"].to_list() == [missing for _, _, missing in wanted]
    ours, theirs = got["probability"].to_numpy(), np.array([score for _, score, _ in wanted])
    assert (ours.view(np.int64) == theirs.view(np.int64)).all(), (
        f"{(ours != theirs).sum()} rows differ, by up to {np.abs(ours - theirs).max()}"
    )
    assert len(np.unique(ours)) > 100, "the rows must be different for this to prove anything"


def test_many_rows_have_the_bits_of_each_alone_which_onnx_runtime_would_not_give():
    """P19, requests of several rows; with ONNX Runtime as negative control: its last bit depends on the company a row is in."""
    model = loaded(PLAIN)
    matrix = np.random.default_rng(2).normal(size=(2000, 4)) * SCALE
    singly = np.array([model.score_row(row.tobytes()) for row in matrix])
    assert model.score_alike is not None
    assert (model.score_alike(matrix) == singly).all()
    assert all((model.score(matrix[:rows]) == singly[:rows]).all() for rows in (1, 2, 32, 500, 2000))
    together = OnnxRuntime(bundle_files(PLAIN, 3)[MODEL_ONNX], 4).score(matrix)
    assert (together != singly).any()
    assert np.abs(together - singly).max() <= 4 * np.finfo(np.float64).eps


def test_the_size_of_parts_and_the_number_of_workers_change_no_score(tmp_path):
    flights(3000).write_parquet(tmp_path / "in.parquet")
    for name, rows_per_part, workers in (("a", 3000, 1), ("b", 7, 3), ("c", 1001, 2)):
        batch(tmp_path / "in.parquet", tmp_path / name, FLIGHT, rows_per_part=rows_per_part, workers=workers)
    assert scores(tmp_path / "a").equals(scores(tmp_path / "b"))
    assert scores(tmp_path / "a").equals(scores(tmp_path / "c"))


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_every_format_gives_the_same_scores(tmp_path, format):
    frame = flights(500)
    frame.write_parquet(tmp_path / "in.parquet")
    batch(tmp_path / "in.parquet", tmp_path / "wanted", FLIGHT)
    path = tmp_path / f"in.{format}"
    {"parquet": frame.write_parquet, "csv": frame.write_csv, "jsonl": frame.write_ndjson}[format](path)
    batch(path, tmp_path / "got", FLIGHT, rows_per_part=99)
    assert scores(tmp_path / "got").equals(scores(tmp_path / "wanted"))


# ---- rows in are rows out --------------------------------------------------------------------------------------------------------------


def test_a_row_that_cannot_be_scored_is_in_the_output_with_its_reason(tmp_path):
    columns = tuple(msgspec.structs.replace(c, on_missing="refuse") if c.name == "wind" else c for c in FLIGHT.columns)
    refusing = msgspec.structs.replace(FLIGHT, columns=columns)
    frame = pl.DataFrame(
        {"origin": ["EWR", "JFK", "EWR", "XXX", None], "sched_dep_s": [1_364_814_000, 1_364_814_000, None, None, 1_364_814_000]}
    )
    frame.write_parquet(tmp_path / "in.parquet")
    manifest = batch(tmp_path / "in.parquet", tmp_path / "out", refusing)
    got = scores(tmp_path / "out")
    # JFK's weather has expired, an unknown origin has none; a moment that is not there cannot be read.
    assert got["code"].to_list() == ["", "refused", "schema_mismatch", "schema_mismatch", "refused"]
    assert got["probability"].is_null().to_list() == [False, True, True, True, True]
    assert got["origin"].to_list() == frame["origin"].to_list()
    assert (manifest.rows, manifest.scored, manifest.codes) == (5, 1, {"refused": 2, "schema_mismatch": 2})


def test_the_output_says_which_row_id_version_and_what_was_missing(tmp_path):
    flights(50).with_columns(note=pl.lit("x")).write_parquet(tmp_path / "in.parquet")
    manifest = batch(tmp_path / "in.parquet", tmp_path / "out", FLIGHT, id_column="flight_id", keep=["note"])
    got = scores(tmp_path / "out")
    assert got.columns == ["row", "flight_id", "origin", "note", "probability", "code", "missing", "model_version"]
    assert got["flight_id"].to_list() == [i * 7 for i in range(50)]
    assert set(got["model_version"]) == {"m@v1"}
    assert manifest.missing == got["missing"].sum() > 0


def test_parts_that_do_not_add_up_are_never_called_finished(tmp_path):
    flights(100).write_parquet(tmp_path / "in.parquet")
    batch(tmp_path / "in.parquet", tmp_path / "out", FLIGHT, rows_per_part=40)
    folder = OutputFolder(tmp_path / "out")
    job = folder.finished().asked
    receipts = folder.receipts(job)
    receipts.pop(1)
    with pytest.raises(Integrity, match="do not add up"):
        folder.finish(job, receipts)


def test_a_store_that_cannot_be_read_ends_the_job_and_leaves_what_is_finished(tmp_path):
    flights(100).write_parquet(tmp_path / "in.parquet")
    answering = OnlineFeatures(FLIGHT, online(), NOW_US)

    def breaking(part):
        if part.number == 3:
            raise Unavailable("gone", where="origin_delays")
        return answering(part)

    with pytest.raises(Unavailable):
        batch(tmp_path / "in.parquet", tmp_path / "out", FLIGHT, rows_per_part=10, features=breaking)
    assert not (tmp_path / "out" / MANIFEST).exists()
    assert 3 <= len(list((tmp_path / "out").glob("part-*"))) < 10
    told: list[Progress] = []
    batch(tmp_path / "in.parquet", tmp_path / "out", FLIGHT, rows_per_part=10, told=told.append)
    assert told[0].rows_found >= 30, "what was finished must not be scored again"
    assert scores(tmp_path / "out")["row"].to_list() == list(range(100))


# ---- finished once ---------------------------------------------------------------------------------------------------------------------


def test_the_same_job_again_changes_nothing(tmp_path):
    flights(300).write_parquet(tmp_path / "in.parquet")
    first = batch(tmp_path / "in.parquet", tmp_path / "out", FLIGHT, rows_per_part=64)
    before = files_of(tmp_path / "out")
    assert batch(tmp_path / "in.parquet", tmp_path / "out", FLIGHT, rows_per_part=64) == first
    assert files_of(tmp_path / "out") == before


def test_a_damaged_or_lost_part_is_made_again_with_the_same_bytes(tmp_path):
    flights(300).write_parquet(tmp_path / "in.parquet")
    manifest = batch(tmp_path / "in.parquet", tmp_path / "out", FLIGHT, rows_per_part=64)
    before = {name: data for name, (data, _) in files_of(tmp_path / "out").items()}
    damaged = tmp_path / "out" / manifest.parts[1].file
    damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
    (tmp_path / "out" / manifest.parts[3].file).unlink()
    batch(tmp_path / "in.parquet", tmp_path / "out", FLIGHT, rows_per_part=64)
    assert {name: data for name, (data, _) in files_of(tmp_path / "out").items()} == before


def test_another_job_is_refused_the_folder(tmp_path):
    flights(30).write_parquet(tmp_path / "in.parquet")
    flights(30, seed=6).write_parquet(tmp_path / "other.parquet")
    batch(tmp_path / "in.parquet", tmp_path / "out", FLIGHT)
    before = files_of(tmp_path / "out")
    with pytest.raises(Conflict, match="another inputs"):
        batch(tmp_path / "other.parquet", tmp_path / "out", FLIGHT)
    with pytest.raises(Conflict, match="another rows_per_part"):
        batch(tmp_path / "in.parquet", tmp_path / "out", FLIGHT, rows_per_part=7)
    assert files_of(tmp_path / "out") == before


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path):
    flights(30).write_parquet(tmp_path / "in.parquet")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(Conflict, match=r"not empty.*thesis\.txt"):
        batch(tmp_path / "in.parquet", tmp_path / "out", FLIGHT)


def test_two_at_once_have_one_winner(tmp_path):
    flights(30).write_parquet(tmp_path / "in.parquet")
    with OutputFolder(tmp_path / "out").held(), pytest.raises(Conflict, match="another process"):
        batch(tmp_path / "in.parquet", tmp_path / "out", FLIGHT)
    batch(tmp_path / "in.parquet", tmp_path / "out", FLIGHT)


def test_a_job_that_is_taken_up_again_keeps_its_moment(tmp_path):
    job = Job(version="m@v1", bundle=DIGEST, inputs=(DIGEST,), rows=3, rows_per_part=1, moment_us=5)
    folder = OutputFolder(tmp_path / "out")
    with folder.held():
        assert folder.begin(job).moment_us == 5
        assert folder.begin(msgspec.structs.replace(job, moment_us=9)).moment_us == 5


def test_progress_is_told_from_the_first_row_to_the_last(tmp_path):
    flights(100).write_parquet(tmp_path / "in.parquet")
    told: list[Progress] = []
    batch(tmp_path / "in.parquet", tmp_path / "out", FLIGHT, rows_per_part=30, told=told.append)
    assert [p.rows_done for p in told] == [0, 30, 60, 90, 100]
    assert {(p.rows, p.parts, p.rows_found) for p in told} == {(100, 4, 0)}


# ---- kill -9 ---------------------------------------------------------------------------------------------------------------------------


def _torn(output: Path) -> int:
    """Part files that are no whole Parquet."""
    torn = 0
    for path in output.glob("part-*.parquet"):
        try:
            pl.read_parquet(io.BytesIO(path.read_bytes()))
        except pl.exceptions.PolarsError:
            torn += 1
    return torn


def test_killed_at_random_moments_every_row_is_there_once(tmp_path):
    frame = flights(15_000)
    frame.write_parquet(tmp_path / "in.parquet")
    batch(tmp_path / "in.parquet", tmp_path / "wanted", FLIGHT, rows_per_part=250)
    wanted = {name: data for name, (data, _) in files_of(tmp_path / "wanted").items() if not name.endswith("lock")}
    rng = np.random.default_rng(20130101)
    output, kills = tmp_path / "out", 0
    for files in sorted(int(n) for n in rng.integers(3, 110, size=6)):
        kills += killed(tmp_path / "in.parquet", output, files)
        assert _torn(output) == 0, "a part is whole or not there"
        assert not (output / MANIFEST).exists() or OutputFolder(output).finished().rows == 15_000
    batch(tmp_path / "in.parquet", output, FLIGHT, rows_per_part=250)
    got = {name: data for name, (data, _) in files_of(output).items() if not name.endswith("lock")}
    assert kills >= 3, "too few kills to prove anything"
    assert got == wanted, "a job that was killed must leave the very files of one that was not"
    assert scores(output)["row"].to_list() == list(range(15_000))


def test_without_rename_a_kill_leaves_torn_parts(tmp_path):
    """Negative control: the same kills tear a file when parts are written in place."""
    flights(15_000).write_parquet(tmp_path / "in.parquet")
    torn = 0
    for attempt in range(8):
        output = tmp_path / f"out{attempt}"
        killed(tmp_path / "in.parquet", output, 5 + 3 * attempt, in_place=True)
        torn += _torn(output)
        if torn:
            break
    assert torn > 0
