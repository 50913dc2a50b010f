"""What the run says, figure by figure, each with its bar; the peer's figures stand beside ours, ratios after both."""

from collections.abc import Mapping

from benchmarks.report import Report

PEER = "Feast"
Figures = Mapping[str, float]

BUILD_RATIO_MIN, MEMORY_RATIO_MIN = 150.0, 5.0
LINEAR_MAX = 1.1
"""Time a question at one size over that at the next smaller one; a tenth is what two runs of one size differ by."""
STREAMED_MB_MAX = 8 * 1024
WINDOWS_RATIO_MIN = 10.0
READ_1_US_MAX, READ_1_RATIO_MIN = 10.0, 30.0
READ_100_US_MAX, READ_100_RATIO_MIN = 150.0, 80.0
REDIS_1_RATIO_MIN, REDIS_100_RATIO_MIN = 3.0, 20.0
MATERIALIZE_RATIO_MIN = 50.0
REPLAY_S_MAX = 3.0


def report_training(report: Report, ours: Figures, theirs: Figures) -> None:
    """Time and memory of the training set."""
    report.add("training set: 336,776 questions, 3 views, 20 features, median of 7", ours["build_s"], "s")
    report.add("training set: the first of them", ours["build_first_s"], "s")
    report.add("training set: peak memory of the process", ours["rss_mb"], "MB")
    if theirs:
        report.add("training set", theirs["build_s"], "s", peer=PEER)
        report.add("training set: peak memory of the process", theirs["rss_mb"], "MB", peer=PEER)
        _ratio(report, "training set: peer / ours", theirs["build_s"] / ours["build_s"], BUILD_RATIO_MIN)
        _ratio(report, "training set, the first: peer / ours", theirs["build_s"] / ours["build_first_s"], None)
        _ratio(report, "training set, peak memory: peer / ours", theirs["rss_mb"] / ours["rss_mb"], MEMORY_RATIO_MIN)


def report_correctness(
    report: Report, oracles: Figures, ours: Figures, corrected: Figures, documented: Figures, dask: Figures, *, questions: int
) -> None:
    """What differs, leaks and is lost, ours and the peer's."""
    report.add("cells compared with DuckDB's ASOF JOIN", oracles["duckdb_cells"], "cells")
    report.add("cells that differ from DuckDB's ASOF JOIN", oracles["duckdb_differ"], "cells", bar=0)
    report.add("cells compared with the slow reference", oracles["reference_cells"], "cells")
    report.add("cells that differ from the slow reference", oracles["reference_differ"], "cells", bar=0)
    if "feast_cells" in oracles:
        report.add("cells compared with the peer, keyed on arrival", oracles["feast_cells"], "cells", peer=PEER)
        report.add("cells that differ from it", oracles["feast_differ"], "cells", peer=PEER, bar=0)
    report.add("questions answered with a row not yet known", corrected["leaked"], "rows", bar=0)
    if documented and "feast_leaks" in oracles:
        report.add("the same, configured as documented", oracles["feast_leaks"], "rows", peer=PEER)
        report.add("of these with a correction, hours before it was made", oracles["feast_corrections"], "rows", peer=PEER)
    report.add("questions dropped or doubled", abs(ours["rows"] - questions), "rows", bar=0)
    if dask:
        report.add("the same, on its default offline store", abs(dask["rows"] - questions), "rows", peer=PEER)


def report_scaling(report: Report, sizes: Mapping[int, Figures]) -> None:
    """Streamed from Parquet to Parquet."""
    before: tuple[int, float] | None = None
    for rows, figures in sizes.items():
        report.add(f"streamed, {rows:,} questions", figures["s"], "s")
        report.add(f"streamed, {rows:,} questions: peak memory", figures["rss_mb"], "MB", bar=STREAMED_MB_MAX)
        if before is not None:
            growth = (figures["s"] / rows) / (before[1] / before[0])
            report.add(f"time a question, {rows:,} / {before[0]:,}", growth, "x", bar=LINEAR_MAX)
        before = (rows, figures["s"])


def report_windows(report: Report, figures: Figures) -> None:
    """Whatever the benchmark of windows measured; its ratio has a bar."""
    for name, value in figures.items():
        ratio = name.endswith("_ratio")
        unit = "x" if ratio else "s" if name.endswith("_s") else "cells"
        bar = WINDOWS_RATIO_MIN if ratio else 0 if name.endswith("differ") else None
        peer = "" if name.startswith("ours") else "pandas"
        report.add(f"windows: {name.replace('_', ' ')}", value, unit, peer=peer, bar=bar, better="higher" if ratio else "lower")


def report_embedded(report: Report, ours: Figures, theirs: Figures, differ: int | None) -> None:
    """The embedded store beside SQLite."""
    report.add("online read, LMDB, 1 entity x 20 features, p50", ours["read_1_us"], "us", bar=READ_1_US_MAX)
    report.add("online read, LMDB, 100 entities x 20 features, p50", ours["read_100_us"], "us", bar=READ_100_US_MAX)
    _online(report, "LMDB", "SQLite", ours, theirs, differ, READ_1_RATIO_MIN, READ_100_RATIO_MIN)
    report.add("materialise into LMDB, reading Parquet, median of 5", ours["materialize_rows_per_s"], "rows/s")
    report.add("materialise into LMDB, the first of them", ours["materialize_first_rows_per_s"], "rows/s")
    report.add("cells served past their TTL (4,000 asked)", ours["past_ttl_cells"], "cells", bar=0)
    if theirs:
        report.add("materialise into SQLite, reading Parquet", theirs["materialize_rows_per_s"], "rows/s", peer=PEER)
        ratio = ours["materialize_rows_per_s"] / theirs["materialize_rows_per_s"]
        _ratio(report, "materialise: ours / peer", ratio, MATERIALIZE_RATIO_MIN)
        report.add("cells served past their TTL (4,000 asked)", theirs["past_ttl_cells"], "cells", peer=PEER)


def report_stream(report: Report, ours: Figures, demo: Figures) -> None:
    """What no peer here does."""
    report.add("training set of the demo, 4 views, windows computed from raw rows", demo["demo_s"], "s")
    report.add("stream: moments of April replayed", ours["replay_minutes"], "moments")
    report.add("stream: April replayed, 2 views of windows into LMDB", ours["replay_s"], "s", bar=REPLAY_S_MAX)


def report_redis(report: Report, ours: Figures, theirs: Figures, differ: int | None) -> None:
    """Both on one Redis server."""
    _online(report, "Redis", "Redis", ours, theirs, differ, REDIS_1_RATIO_MIN, REDIS_100_RATIO_MIN)
    report.add("materialise into Redis, reading Parquet, median of 5", ours["materialize_rows_per_s"], "rows/s")
    report.add("materialise into Redis, the first of them", ours["materialize_first_rows_per_s"], "rows/s")
    if theirs:
        report.add("materialise into Redis, reading Parquet", theirs["materialize_rows_per_s"], "rows/s", peer=PEER)
        ratio = ours["materialize_rows_per_s"] / theirs["materialize_rows_per_s"]
        _ratio(report, "materialise into Redis: ours / peer", ratio, None)


def _online(
    report: Report, store: str, their_store: str, ours: Figures, theirs: Figures, differ: int | None, min_1: float, min_100: float
) -> None:
    for entities, noun, bar in ((1, "entity", min_1), (100, "entities", min_100)):
        mine = ours[f"read_{entities}_from_ids_us"]
        report.add(f"online read from ids, {store}, {entities} {noun}, p50", mine, "us")
        if theirs:
            report.add(f"online read from ids, {their_store}, {entities} {noun}, p50", theirs[f"read_{entities}_us"], "us", peer=PEER)
            _ratio(report, f"online read, {store}, {entities} {noun}: peer / ours", theirs[f"read_{entities}_us"] / mine, bar)
    if differ is not None:
        report.add(f"online cells that differ, {store} (4,000)", differ, "cells", peer=PEER, bar=0)


def _ratio(report: Report, figure: str, ratio: float, bar: float | None) -> None:
    report.add(figure, ratio, "x", peer=PEER, bar=bar, better="higher")
