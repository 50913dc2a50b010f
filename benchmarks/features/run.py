"""Training-set build and online reads against Feast (DuckDB offline, SQLite online), in the same run, results compared.

Every flight of 2013 asks three views (weather, hourly delay windows, planes). Each side runs in its own process and reads the same
Parquet files; the peer's time excludes its imports and set-up, ours too.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from benchmarks.features.inputs import VIEWS, WIDE
from benchmarks.peers import PeerUnavailable, peer_python
from benchmarks.report import Report

FEAST = "feast[duckdb]==0.67.0"
HERE = Path(__file__).parent
SECONDS_MAX = 150
BUILD_RATIO_MIN = 20.0
MEMORY_RATIO_MIN = 2.0
READ_1_US_MAX = 10.0
READ_100_US_MAX = 150.0
READ_RATIO_MIN = 20.0
REPLAY_S_MAX = 3.0


def main() -> None:
    """Run both sides and report."""
    report = Report(name="features", packages=("leverframe", "polars", "lmdb", "numpy"))
    with tempfile.TemporaryDirectory(prefix="bench-features-") as name:
        folder = Path(name)
        # Each in a process of its own: on Linux a child's peak memory starts at what its parent held.
        for part in ("inputs", "ours"):
            subprocess.run(
                [sys.executable, "-m", f"benchmarks.features.{part}", name], check=True, timeout=SECONDS_MAX, cwd=HERE.parents[1]
            )
        questions = pl.scan_parquet(folder / "questions.parquet").select(pl.len()).collect().item()
        ours = json.loads((folder / "ours.json").read_text())
        _report_ours(report, questions, ours)
        try:
            _report_feast(report, ours, _feast(folder), folder)
        except (PeerUnavailable, subprocess.SubprocessError) as error:
            report.add("Feast did not run", str(error)[-300:], "reason", peer="Feast")
    report.write()


def _feast(folder: Path) -> dict[str, float | str]:
    python = peer_python("feast", (FEAST,))
    # In the throw-away folder, because DuckDB spills to its working directory.
    command = [str(python), str(HERE / "feast_peer.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, cwd=folder)
    if done.returncode:
        raise PeerUnavailable(f"feast: {done.stderr.strip().splitlines()[-1]}")
    result: dict[str, float | str] = json.loads((folder / "feast.json").read_text())
    return result


def _report_ours(report: Report, questions: int, ours: dict[str, float]) -> None:
    report.add("training set rows", questions, "rows")
    report.add("training set rows dropped or doubled", abs(ours["rows"] - questions), "rows", bar=0)
    report.add("training set build, 3 views, median of 5", ours["build_s"], "s")
    report.add("training set build, first", ours["build_first_s"], "s")
    report.add("training set peak memory of the process", ours["rss_mb"], "MB")
    report.add("training set of the demo, 4 views, windows computed from raw rows", ours["windows_s"], "s")
    report.add("online read, 1 entity x 20 features, p50", ours["read_1_us"], "us", bar=READ_1_US_MAX)
    report.add("online read, 100 entities x 20 features, p50", ours["read_100_us"], "us", bar=READ_100_US_MAX)
    report.add("online read from ids, 1 entity, p50", ours["read_1_from_ids_us"], "us")
    report.add("online read from ids, 100 entities, p50", ours["read_100_from_ids_us"], "us")
    report.add("stream: moments of April replayed", ours["replay_minutes"], "moments")
    report.add("stream: April replayed, 2 views of windows into LMDB", ours["replay_s"], "s", bar=REPLAY_S_MAX)
    report.add("materialise from Parquet", ours["materialize_rows_per_s"], "rows/s")


def _report_feast(report: Report, ours: dict[str, float], feast: dict[str, float | str], folder: Path) -> None:
    peer = "Feast"
    report.versions["feast"] = str(feast["version"])
    theirs = {name: float(value) for name, value in feast.items() if name != "version"}
    report.add("training set build, 3 views", theirs["build_s"], "s", peer=peer)
    report.add("training set peak memory of the process", theirs["rss_mb"], "MB", peer=peer)
    report.add("online read from ids, 1 entity, p50", theirs["read_1_us"], "us", peer=peer)
    report.add("online read from ids, 100 entities, p50", theirs["read_100_us"], "us", peer=peer)
    report.add("materialise from Parquet", theirs["materialize_rows_per_s"], "rows/s", peer=peer)
    cells, different = compare_training_sets(folder)
    report.add("training set cells compared", cells, "cells", peer=peer)
    report.add("training set cells that differ", different, "cells", peer=peer, bar=0)
    report.add("online cells that differ (4,000)", compare_online(folder), "cells", peer=peer, bar=0)
    ratios = {
        "training set build: peer / ours": (theirs["build_s"] / ours["build_s"], BUILD_RATIO_MIN),
        "training set peak memory: peer / ours": (theirs["rss_mb"] / ours["rss_mb"], MEMORY_RATIO_MIN),
        "online read from ids, 1 entity: peer / ours": (theirs["read_1_us"] / ours["read_1_from_ids_us"], READ_RATIO_MIN),
        "online read from ids, 100 entities: peer / ours": (theirs["read_100_us"] / ours["read_100_from_ids_us"], READ_RATIO_MIN),
        "materialise: ours / peer": (ours["materialize_rows_per_s"] / theirs["materialize_rows_per_s"], READ_RATIO_MIN),
    }
    for figure, (ratio, bar) in ratios.items():
        report.add(figure, ratio, "x", peer=peer, bar=bar, better="higher")


def compare_training_sets(folder: Path) -> tuple[int, int]:
    """Cells compared and cells that differ between the two training sets, question by question; a row only one side has differs whole."""
    ours = pl.read_parquet(folder / "ours.parquet")
    theirs = pl.read_parquet(folder / "feast.parquet").with_columns(pl.col("row").cast(pl.UInt32))
    both = ours.join(theirs, on="row", how="full", coalesce=True)
    columns = [(f"{view.name}.{feature}", f"{view.name}__{feature}") for view in VIEWS for feature in view.features]
    different = sum(_differ(both[a], both[b]) for a, b in columns)
    return both.height * len(columns), different


def compare_online(folder: Path) -> int:
    """Cells that differ between the two online stores' answers for the same entities."""
    ours = pl.read_parquet(folder / "ours_online.parquet")
    theirs = pl.read_parquet(folder / "feast_online.parquet")
    both = ours.join(theirs, on="entity", how="full", coalesce=True, suffix="_feast")
    return sum(_differ(both[feature], both[f"{feature}_feast"]) for feature in WIDE.features)


def _differ(a: pl.Series, b: pl.Series) -> int:
    ours, theirs = (s.cast(pl.Float64).fill_null(np.nan).to_numpy() for s in (a, b))
    return int((~((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))).sum())


if __name__ == "__main__":
    main()
