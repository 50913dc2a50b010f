"""Training sets that Spark makes, from files to files and in a training run, are those of Polars: cell for cell, report for report."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from tests.contracts.test_feature_engines import CORRECTED, COUNTED, HOUR_US, NEWEST, nasty_questions, nasty_rows
from typer.testing import CliRunner

from leverframe.apps import spark_session, spark_training_sets
from leverframe.apps.cli.main import app
from leverframe.core.dataset import Snapshot, SnapshotPart
from leverframe.core.digest import digest_bytes
from leverframe.core.errors import Conflict, Integrity, SchemaMismatch, Unavailable
from leverframe.features.training_sets.point_in_time import training_set
from leverframe.features.training_sets.training_files import write_training_set
from leverframe.governance.artifacts import ArtifactStore

VIEWS = (
    NEWEST,
    msgspec.structs.replace(COUNTED, aggregates=COUNTED.aggregates[:3]),
    msgspec.structs.replace(CORRECTED, aggregates=CORRECTED.aggregates[3:5]),
)
"""One of each kind; cell by cell and aggregate by aggregate they are compared in ``test_feature_engines.py``."""
PROJECT = """
import leverframe as lf

VIEWS = (
    lf.FeatureView(
        name="newest", source="s", entity=("k",), event_time="happened", arrival_time="arrived", ttl_us=5 * lf.HOUR_US,
        owner="o", description="d", expressions=(lf.Expression(name="x", sql="x"), lf.Expression(name="odd", sql="s NOT LIKE 'gr%'")),
    ),
)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Rows and questions in two files each: the order of files decides ties too."""
    folder = tmp_path_factory.mktemp("files")
    found = {}
    for name, frame in (("rows", nasty_rows()), ("questions", nasty_questions())):
        found[name] = [folder / f"{name}-{number}.parquet" for number in range(2)]
        frame[:100].write_parquet(found[name][0])
        frame[100:].write_parquet(found[name][1])
    return found


@contextmanager
def lent(session: Any, *_: Any) -> Iterator[Any]:
    """The session of the tests in the place of one that would be stopped afterwards."""
    yield session


@pytest.mark.slow
def test_from_files_to_files(spark: Any, files: dict[str, list[Path]], tmp_path: Path) -> None:
    """No key, no moment, entities without history, expired values, corrections: the same cells, and the same reasons why not."""
    from leverframe.features.spark.spark_training_files import write_spark_training_set

    theirs = write_spark_training_set(spark, files["questions"], "t", [(view, files["rows"]) for view in VIEWS], tmp_path / "spark")
    scanned = [(view, pl.scan_parquet(files["rows"])) for view in VIEWS]
    ours = write_training_set(pl.scan_parquet(files["questions"]), "t", scanned, tmp_path / "polars")
    assert theirs.rows == ours.rows == 422
    assert theirs.matches == ours.matches, "the reports say why questions have no row"
    assert all(match.never_known and match.known_later and match.matched for match in ours.matches), (
        "a case that never comes proves nothing"
    )
    assert ours.matches[0].expired
    read = [pl.concat(pl.read_parquet(part) for part in written.parts) for written in (ours, theirs)]
    drawn = pl.col("question").cast(pl.Int64)  # Spark has no unsigned integers
    assert read[1].with_columns(drawn).equals(read[0].with_columns(drawn))
    assert sorted(path.name for path in (tmp_path / "spark").iterdir()) == [path.name for path in theirs.parts], "only parts are left"
    with pytest.raises(Conflict):
        write_spark_training_set(spark, files["questions"], "t", [(NEWEST, files["rows"])], tmp_path / "spark")


def test_what_polars_refuses_spark_refuses(spark: Any, files: dict[str, list[Path]], tmp_path: Path) -> None:
    from leverframe.features.spark.spark_training_files import write_spark_training_set

    local = tmp_path / "local.parquet"
    nasty_questions().with_columns(pl.from_epoch(pl.col("t"), "us").alias("local"), pl.lit(1.0).alias("newest.x")).write_parquet(local)
    for asked_at, said in (("local", "local time without its zone"), ("k", "moment of the question"), ("t", "already have a column")):
        with pytest.raises(SchemaMismatch, match=said):
            write_spark_training_set(spark, [local], asked_at, [(NEWEST, files["rows"])], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_runs_training_set(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots are read where they lie; the questions that training holds in memory get the very columns that Polars gives them."""
    monkeypatch.setattr(spark_training_sets, "spark_for", lambda *_: lent(spark))
    artifacts, rows, questions = ArtifactStore(str(tmp_path / "artifacts")), nasty_rows(), nasty_questions()
    parts = []
    for frame in (rows[:50].drop("id"), rows[50:]):  # a part from before a column was added
        data = _parquet(frame, tmp_path)
        parts.append(SnapshotPart(digest=artifacts.put(data), rows=frame.height, bytes=len(data)))
    snapshot = Snapshot(
        dataset="s", digest=digest_bytes(b"manifest"), rows=rows.height, bytes=1, columns={}, contract="s", contract_version="1.0.0",
        contract_digest=digest_bytes(b"c"), report_digest=digest_bytes(b"r"), created_at_us=1, parts=tuple(parts),
    )  # fmt: skip
    files = spark_training_sets.snapshot_files(artifacts, snapshot)
    whole = pl.concat([rows[:50].with_columns(pl.lit(None, dtype=pl.Int64).alias("id")), rows[50:]])
    made = spark_training_sets.joined_on_spark("", tmp_path, questions, "t", [(NEWEST, files)])
    expected = training_set(questions, "t", [(NEWEST, whole.lazy())])
    assert made.matches == expected.matches
    assert made.frame.equals(expected.frame), "the digest of a run's training set would depend on where it was computed"
    assert not list((tmp_path / "spark").iterdir()), "what went there and back is gone"
    files[0].chmod(0o600)
    files[0].write_bytes(b"PAR1 damaged")
    with pytest.raises(Integrity):
        spark_training_sets.snapshot_files(artifacts, snapshot)


def _parquet(frame: pl.DataFrame, folder: Path) -> bytes:
    frame.write_parquet(folder / "part.parquet")
    return (folder / "part.parquet").read_bytes()


def test_the_verb_writes_the_same_on_both(
    spark: Any, files: dict[str, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_session, "spark_for", lambda *_: lent(spark))
    project = tmp_path / "project"
    project.mkdir()
    (project / "features.py").write_text(PROJECT)
    given = [f"--rows=s={file}" for file in files["rows"]]
    said = {}
    for engine in ("polars", "spark"):
        words = ["features", "training-set", str(project), *map(str, files["questions"]), *given, "--asked-at", "t", "--engine", engine]
        done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / engine), "--json"])
        assert done.exit_code == 0, done.output
        said[engine] = msgspec.json.decode(done.stdout)
    assert said["spark"]["matches"] == said["polars"]["matches"]
    read = [pl.concat(pl.read_parquet(part) for part in said[engine]["parts"]).drop("question") for engine in ("polars", "spark")]
    assert read[0].equals(read[1])
    assert read[0]["newest.odd"].drop_nulls().n_unique() == 2, "NOT LIKE is not LIKE"


def test_what_the_verb_lacks_it_names(files: dict[str, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "features.py").write_text(PROJECT)
    words = ["features", "training-set", str(tmp_path), str(files["questions"][0]), "--out", str(tmp_path / "out")]
    for more, said in (
        ([], "lever data export s"),
        (["--rows", "s"], "SOURCE=FILE"),
        (["--rows", "s=nowhere.parquet"], "no such file"),
        (["--engine", "flink"], "no such engine"),
        (["--view", "other"], "no such feature view"),
    ):
        done = CliRunner().invoke(app, [*words, *more])
        assert done.exit_code != 0
        assert said in str(done.exception), done.output
    monkeypatch.setattr(spark_session, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match=r"pip install 'leverframe\[spark\]'"):
        spark_training_sets.joined_on_spark("", tmp_path, nasty_questions(), "t", [(NEWEST, files["rows"])])
    assert NEWEST.ttl_us == 5 * HOUR_US
