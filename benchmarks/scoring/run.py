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
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from subprocess import PIPE
from threading import Timer
from typing import Any

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

ROWS, PASSES = 500_000, 7
ROWS_PER_PART = 65_536
RATIO_BAR = 10.0
MLFLOW = ("mlflow-skinny>=2.20", "lightgbm==4.6.0", "pandas", "pyarrow", "scikit-learn")
PEER_SECONDS_MAX = 150
DIGEST = "sha256:" + "0" * 64
Pass = tuple[tuple[float, float], dict[str, Any] | None]
"""Our seconds and processor seconds, and what MLflow said of its pass."""


def _model(folder: Path) -> LoadedVersion:
    """200 trees over 20 columns, loaded as a gateway does; its text is also left in ``folder`` for the peer."""
    booster = train(threads=2)
    (folder / "model.txt").write_text(booster.model_to_string())
    files = bundle_files(booster)
    return load_version("m", Arm(version="m@v1", bundle=DIGEST, envelope=DIGEST, role="live", weight=100.0), files)


def _score(model: LoadedVersion, source: Path, target: Path, workers: int) -> tuple[float, float]:
    """Seconds of one whole job, from opening the file to the manifest, and its processor seconds."""
    shutil.rmtree(target, ignore_errors=True)
    cpu, started = time.process_time(), time.perf_counter()
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
    return time.perf_counter() - started, time.process_time() - cpu


def _runtime_seconds(model: LoadedVersion, source: Path) -> float:
    """Seconds of the model alone over the whole file on one core: what no batch around it can be faster than."""
    columns = [values.to_numpy() for values in pl.read_parquet(source).drop("id").get_columns()]
    assert model.score_columns is not None
    started = time.perf_counter()
    model.score_columns(columns)
    return time.perf_counter() - started


def main() -> None:
    """Measure, print the table and write ``benchmarks/results/scoring.json``."""
    report = Report("scoring", packages=("lightgbm", "polars"))
    workers = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="lfscoring") as name:
        folder = Path(name)
        model = _model(folder)
        source = folder / "in.parquet"
        matrix = np.random.default_rng(1).normal(size=(ROWS, COLUMNS))
        pl.DataFrame(matrix, schema=[f"f{i}" for i in range(COLUMNS)]).with_row_index("id").write_parquet(source)

        def ours() -> tuple[float, float]:
            return _score(model, source, folder / "out", workers)

        ours()
        try:
            passes = list(_side_by_side(folder, source, ours, report))
        except PeerUnavailable as error:
            report.add("file to file", str(error)[:100], "rows/s", peer="MLflow pyfunc")
            passes = [(ours(), None) for _ in range(PASSES)]
        else:
            _same_scores(folder)
        _report(report, passes)
        without = replace(model, score_columns=lambda columns: columns[0])
        others = [_score(without, source, folder / "without", workers)[0] for _ in range(PASSES)]
        report.add("everything but the model", ROWS / statistics.median(others), "rows/s")
        report.add("the exact runtime alone, one core", ROWS / _runtime_seconds(model, source), "rows/s")
    report.write()


def _side_by_side(folder: Path, source: Path, ours: Callable[[], tuple[float, float]], report: Report) -> Iterator[Pass]:
    """Passes in turns, so that whatever else the machine does falls on both.

    Raises
    ------
    PeerUnavailable: MLflow is not there or failed.
    """
    python = peer_python("mlflow", MLFLOW)
    script = Path(__file__).with_name("mlflow_peer.py")
    arguments = [folder / "model.txt", folder / "pyfunc", source, folder / "theirs.parquet"]
    with (folder / "mlflow.log").open("w+") as log:
        peer = subprocess.Popen(
            [python, script, *map(str, arguments)], stdin=PIPE, stdout=PIPE, stderr=log, text=True, env={"PATH": os.defpath}
        )
        assert peer.stdin is not None
        assert peer.stdout is not None
        late = Timer(PEER_SECONDS_MAX, peer.kill)
        late.start()
        try:
            for turn in range(PASSES + 1):
                if not (line := peer.stdout.readline()):
                    log.seek(0)
                    raise PeerUnavailable(f"mlflow: {(log.read().strip().splitlines() or ['ended'])[-1]}")
                said = json.loads(line)
                if turn == 0:
                    report.versions["mlflow"], report.versions["lightgbm of mlflow"] = said["mlflow"], said["lightgbm"]
                else:
                    yield ours(), said
                if turn < PASSES:
                    peer.stdin.write("\n")
                    peer.stdin.flush()
        finally:
            late.cancel()
            peer.kill()
            peer.wait()


def _report(report: Report, passes: list[Pass]) -> None:
    """Medians of each side, and the median of the ratios of passes that ran in turns."""
    report.add("file to file", ROWS / statistics.median(seconds for (seconds, _), _ in passes), "rows/s")
    report.add("file to file, processor time", statistics.median(cpu for (_, cpu), _ in passes), "s")
    both = [(ours, theirs) for ours, theirs in passes if theirs is not None]
    if not both:
        return
    for what, key in (("file to file", "seconds"), ("its predict alone", "predicting")):
        report.add(what, ROWS / statistics.median(theirs[key] for _, theirs in both), "rows/s", peer="MLflow pyfunc")
    report.add("file to file, processor time", statistics.median(theirs["cpu"] for _, theirs in both), "s", peer="MLflow pyfunc")
    of_time = statistics.median(theirs["seconds"] / seconds for (seconds, _), theirs in both)
    of_cpu = statistics.median(theirs["cpu"] / cpu for (_, cpu), theirs in both)
    report.add("file to file, ratio", of_time, "×", peer="MLflow pyfunc", bar=RATIO_BAR, better="higher")
    report.add("file to file, ratio of processor time", of_cpu, "×", peer="MLflow pyfunc")


def _same_scores(folder: Path) -> None:
    """Both scored the same rows with the same model, or the ratio means nothing."""
    manifest = OutputFolder(folder / "out").finished()
    ours = pl.concat(pl.read_parquet(folder / "out" / part.file) for part in manifest.parts)["probability"]
    theirs = pl.read_parquet(folder / "theirs.parquet")["probability"]
    assert ours.equals(theirs), "the scores differ"


if __name__ == "__main__":
    main()
