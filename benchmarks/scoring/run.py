"""A file scored as a batch, beside MLflow's pyfunc on the same file and model; Parquet in, Parquet out, both on all cores of the machine.

Ours checks columns, types and ids, counts missing values, syncs every part to disk and writes a manifest; MLflow's pass is what its users
write: read the frame, ``predict``, write the frame. Neither is charged for starting Python and loading the model.
"""

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from benchmarks.classifier import COLUMNS, SIGNATURE_OF_20, bundle_files, train
from benchmarks.peers import PeerUnavailable, peer_python
from benchmarks.report import Report

from leverframe.apps.scoring.files import encode_part, open_files
from leverframe.core.route import Arm
from leverframe.serving.batch.output import Job, OutputFolder
from leverframe.serving.batch.parts import PartScorer
from leverframe.serving.batch.run import run_batch
from leverframe.serving.engine.models import LoadedVersion, load_version

ROWS, PASSES = 500_000, 3
ROWS_PER_PART = 65_536
RATIO_BAR = 10.0
MLFLOW = ("mlflow-skinny>=2.20", "lightgbm==4.6.0", "pandas", "pyarrow", "scikit-learn")
PEER_SECONDS_MAX = 150
DIGEST = "sha256:" + "0" * 64


def _model(folder: Path) -> LoadedVersion:
    """200 trees over 20 columns, loaded as a gateway does; its text is also left in ``folder`` for the peer."""
    booster = train(threads=2)
    (folder / "model.txt").write_text(booster.model_to_string())
    files = bundle_files(booster)
    return load_version("m", Arm(version="m@v1", bundle=DIGEST, envelope=DIGEST, role="live", weight=100.0), files)


def _score(model: LoadedVersion, source: Path, target: Path, workers: int) -> float:
    """Seconds of one whole job, from opening the file to the manifest."""
    shutil.rmtree(target, ignore_errors=True)
    started = time.perf_counter()
    rows = open_files([source], SIGNATURE_OF_20, id_column="id")
    job = Job(
        version="m@v1", bundle=DIGEST, rows=rows.rows(), inputs=rows.digests, rows_per_part=ROWS_PER_PART,
        id_column=rows.id_column, kept=rows.kept,
    )  # fmt: skip
    folder = OutputFolder(target)
    with folder.held():
        run_batch(
            folder.begin(job), rows, PartScorer(model, lambda _: {}), partial(encode_part, output=model.output), folder, workers=workers
        )
    return time.perf_counter() - started


def _runtime_seconds(model: LoadedVersion, source: Path, *, alike: bool) -> float:
    """Seconds of the model alone over the whole file on one core, a part at a time: what no batch around it can be faster than."""
    matrix = pl.read_parquet(source).drop("id").to_numpy()
    score = model.score_alike if alike and model.score_alike is not None else model.score
    started = time.perf_counter()
    for at in range(0, len(matrix), ROWS_PER_PART):
        score(matrix[at : at + ROWS_PER_PART])
    return time.perf_counter() - started


def main() -> None:
    """Measure, print the table and write ``benchmarks/results/scoring.json``."""
    report = Report("scoring", packages=("lightgbm", "onnxruntime", "polars"))
    workers = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="lfscoring") as name:
        folder = Path(name)
        model = _model(folder)
        source = folder / "in.parquet"
        matrix = np.random.default_rng(1).normal(size=(ROWS, COLUMNS))
        pl.DataFrame(matrix, schema=[f"f{i}" for i in range(COLUMNS)]).with_row_index("id").write_parquet(source)
        ours = [_score(model, source, folder / "out", workers) for _ in range(PASSES)]
        rate = ROWS / statistics.median(ours)
        report.add("file to file", rate, "rows/s")
        without = replace(model, score_columns=lambda columns: columns[0])
        others = [_score(without, source, folder / "without", workers) for _ in range(PASSES)]
        report.add("everything but the model", ROWS / statistics.median(others), "rows/s")
        report.add("the exact runtime alone, one core", ROWS / _runtime_seconds(model, source, alike=True), "rows/s")
        report.add("ONNX Runtime alone, one core", ROWS / _runtime_seconds(model, source, alike=False), "rows/s")
        try:
            peer = _mlflow(folder, source, report)
        except PeerUnavailable as error:
            report.add("file to file", str(error)[:100], "rows/s", peer="MLflow pyfunc")
        else:
            report.add("file to file, ratio", rate / peer, "×", peer="MLflow pyfunc", bar=RATIO_BAR, better="higher")
            _same_scores(folder)
    report.write()


def _mlflow(folder: Path, source: Path, report: Report) -> float:
    """MLflow's rows a second, read to write."""
    python = peer_python("mlflow", MLFLOW)
    script = Path(__file__).with_name("mlflow_peer.py")
    arguments = [folder / "model.txt", folder / "pyfunc", source, folder / "theirs.parquet", PASSES]
    try:
        done = subprocess.run(
            [python, script, *map(str, arguments)], capture_output=True, text=True, timeout=PEER_SECONDS_MAX, env={"PATH": os.defpath}
        )
    except subprocess.TimeoutExpired as error:
        raise PeerUnavailable(f"mlflow: took longer than {PEER_SECONDS_MAX} s") from error
    if done.returncode:
        raise PeerUnavailable(f"mlflow: {done.stderr.strip().splitlines()[-1]}")
    said = json.loads(done.stdout.splitlines()[-1])
    report.versions["mlflow"], report.versions["lightgbm of mlflow"] = said["mlflow"], said["lightgbm"]
    rate = ROWS / statistics.median(said["seconds"])
    report.add("file to file", rate, "rows/s", peer="MLflow pyfunc")
    report.add("its predict alone", ROWS / statistics.median(said["predicting"]), "rows/s", peer="MLflow pyfunc")
    return rate


def _same_scores(folder: Path) -> None:
    """Both scored the same rows with the same model, or the ratio means nothing."""
    manifest = OutputFolder(folder / "out").finished()
    ours = pl.concat(pl.read_parquet(folder / "out" / part.file) for part in manifest.parts)["probability"]
    theirs = pl.read_parquet(folder / "theirs.parquet")["probability"]
    assert ours.equals(theirs), "the scores differ"


if __name__ == "__main__":
    main()
