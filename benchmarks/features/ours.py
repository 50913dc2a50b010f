"""Our side, in a process of its own, so that its memory is its own: ``python -m benchmarks.features.ours <folder>``."""

import json
import resource
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
from benchmarks.features.inputs import VIEWS, WIDE

from leverframe.apps.demo.project.features import CARRIER_DELAYS, ORIGIN_DELAYS
from leverframe.apps.demo.project.features import VIEWS as DEMO_VIEWS
from leverframe.apps.demo.project.prepare import datasets, moment_us
from leverframe.features.bindings import binding
from leverframe.features.materialize import materialize
from leverframe.features.online import entity_keys
from leverframe.features.online_lmdb import LmdbOnlineStore
from leverframe.features.point_in_time import training_set
from leverframe.features.stream import ViewStream

BUILDS = 5
NOW_US = 1_390_000_000_000_000


def build(folder: Path) -> pl.DataFrame:
    """The training set, from Parquet files to a frame in memory."""
    sources = [(view, pl.scan_parquet(folder / f"{view.source}.parquet")) for view in VIEWS]
    return training_set(pl.scan_parquet(folder / "questions.parquet"), "asked_at", sources).frame


def main(folder: Path) -> None:
    """Measure and write ``ours.json`` and ``ours.parquet``."""
    figures: dict[str, float] = {}
    seconds = []
    for turn in range(BUILDS):
        begin = time.perf_counter()
        frame = build(folder)
        seconds.append(time.perf_counter() - begin)
        if turn == 0:  # the peer builds once, too
            figures["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures["build_s"] = statistics.median(seconds)
    figures["build_first_s"] = seconds[0]
    figures["rows"] = frame.height
    frame.write_parquet(folder / "ours.parquet")
    figures |= online(folder)
    figures |= windows()
    figures |= replay(folder)
    (folder / "ours.json").write_text(json.dumps(figures))


def online(folder: Path) -> dict[str, float]:
    """Materialise and read 1 and 100 entities of 20 features, each read with its own keys, from values to a float64 array."""
    store = LmdbOnlineStore(folder / "online")
    source = pl.scan_parquet(folder / "wide.parquet")
    begin = time.perf_counter()
    done = materialize(WIDE, source, store, NOW_US)
    figures = {"materialize_rows_per_s": done.entities / (time.perf_counter() - begin)}
    names = pl.read_parquet(folder / "wide.parquet")["entity"].to_list()
    bound = binding(WIDE)
    rng = np.random.default_rng(3)
    for entities, reads in ((1, 20_000), (100, 2_000)):
        asked = [[names[i] for i in rng.integers(0, len(names), entities)] for _ in range(reads)]
        took = []
        took_with_keys = []
        for ids in asked:
            begin = time.perf_counter()
            keys = entity_keys([ids])
            middle = time.perf_counter()
            store.read(bound, keys, NOW_US)
            end = time.perf_counter()
            took.append(end - middle)
            took_with_keys.append(end - begin)
        figures[f"read_{entities}_us"] = statistics.median(took) * 1e6
        figures[f"read_{entities}_from_ids_us"] = statistics.median(took_with_keys) * 1e6
    rows = store.read(bound, entity_keys([names[:200]]), NOW_US).values
    pl.DataFrame(rows.copy(), schema=list(WIDE.features)).with_columns(pl.Series("entity", names[:200])).write_parquet(
        folder / "ours_online.parquet"
    )
    store.close()
    return figures


def windows() -> dict[str, float]:
    """The demo's own four views, windowed aggregates compiled from raw departures: what no peer here does offline."""
    data = datasets()
    begin = time.perf_counter()
    training_set(data["flights"], "asked_at", [(view, data[view.source].lazy()) for view in DEMO_VIEWS])
    return {"windows_s": time.perf_counter() - begin}


def replay(folder: Path) -> dict[str, float]:
    """April minute by minute: both views of windowed delays kept current in LMDB, one commit a view and minute."""
    data = datasets()
    begin_us, end_us = moment_us(4, 1), moment_us(5, 1)
    store = LmdbOnlineStore(folder / "replay")
    streams = [ViewStream(view, store) for view in (ORIGIN_DELAYS, CARRIER_DELAYS)]
    for stream in streams:
        stream.push(data["departures"].filter(pl.col("departed_at") < end_us))
        stream.advance(begin_us)
    asked = data["flights"].filter(pl.col("asked_at").is_between(begin_us, end_us))["asked_at"].unique().sort().to_list()
    begin = time.perf_counter()
    for at_us in asked:
        for stream in streams:
            stream.advance(at_us)
    seconds = time.perf_counter() - begin
    store.close()
    return {"replay_s": seconds, "replay_minutes": len(asked)}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
