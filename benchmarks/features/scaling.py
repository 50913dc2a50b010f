"""A training set of any number of questions, from Parquet to Parquet in bounded memory.

The questions are the flights of 2013 again and again, each pass at other seconds. One process writes them, another one is measured.
"""

import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
from benchmarks.features.inputs import VIEWS

import leverframe as lf

SECONDS_MAX = 300
ROWS_PER_PART = 1_000_000


def measure(folder: Path, rows: int) -> dict[str, float]:
    """Seconds, peak memory of the process (MB) and rows that came out, for ``rows`` questions."""
    for step in ("questions", "build"):
        command = [sys.executable, "-m", "benchmarks.features.scaling", str(folder), str(rows), step]
        subprocess.run(command, check=True, timeout=SECONDS_MAX, cwd=Path(__file__).parents[2])
    figures: dict[str, float] = json.loads((folder / "scaling.json").read_text())
    return figures


def write_questions(folder: Path, rows: int) -> None:
    """``rows`` questions as ``many.parquet``."""
    flights = pl.scan_parquet(folder / "questions.parquet").select("origin", "tailnum", "asked_at")
    each = flights.select(pl.len()).collect().item()
    passes = [flights.with_columns(pl.col("asked_at") + pl.duration(seconds=turn)) for turn in range(-(-rows // each))]
    pl.concat(passes).head(rows).sink_parquet(folder / "many.parquet")


def build(folder: Path, rows: int) -> None:
    """Build and write ``scaling.json``."""
    out = folder / "many"
    sources = [(view, pl.scan_parquet(folder / f"{view.source}.parquet")) for view in VIEWS]
    begin = time.perf_counter()
    written = lf.write_training_set(pl.scan_parquet(folder / "many.parquet"), "asked_at", sources, out, rows_per_part=ROWS_PER_PART)
    seconds = time.perf_counter() - begin
    figures = {"s": seconds, "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    held = pl.scan_parquet(out).select(pl.len()).collect().item()
    assert held == written.rows == rows, f"{rows} questions, {written.rows} counted, {held} in the files"
    (folder / "scaling.json").write_text(json.dumps(figures | {"rows": held}))
    shutil.rmtree(out)


if __name__ == "__main__":
    (write_questions if sys.argv[3] == "questions" else build)(Path(sys.argv[1]), int(sys.argv[2]))
