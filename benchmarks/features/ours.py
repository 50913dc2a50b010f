"""Our side, each part in a process of its own, so that its memory is its own.

Run as ``python -m benchmarks.features.ours PART FOLDER [REDIS]``.
"""

import json
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from benchmarks.features.inputs import CORRECTED, EXPIRED, VIEWS, WIDE, WIDE_AT_US

import leverframe as lf
from leverframe.apps.demo.project.features import CARRIER_DELAYS, ORIGIN_DELAYS
from leverframe.apps.demo.project.features import VIEWS as DEMO_VIEWS
from leverframe.apps.demo.project.prepare import datasets, moment_us
from leverframe.features.declared.bindings import binding
from leverframe.features.materialization.materialize import materialize
from leverframe.features.online.online import OnlineStore, entity_keys
from leverframe.features.online.online_lmdb import LmdbOnlineStore
from leverframe.features.timelines.stream import ViewStream

BUILDS = 7
FILLS = 5
READS = {1: 10_000, 100: 2_000}
TTL_ENTITIES = 200
TIMEOUT_S = 5.0
NOW_US = WIDE_AT_US + 10_000_000_000_000


def build(folder: Path, views: tuple[lf.FeatureView, ...] = VIEWS) -> lf.TrainingSet:
    """The training set, from Parquet files to a frame in memory."""
    sources = [(view, pl.scan_parquet(folder / f"{view.source}.parquet")) for view in views]
    return lf.training_set(pl.scan_parquet(folder / "questions.parquet"), "asked_at", sources)


def peak_mb() -> float:
    """The most memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def training(folder: Path) -> dict[str, float]:
    """Build it several times; the memory is that after the first one, as the peer builds once, too."""
    seconds: list[float] = []
    figures: dict[str, float] = {}
    for _ in range(BUILDS):
        begin = time.perf_counter()
        made = build(folder)
        seconds.append(time.perf_counter() - begin)
        figures.setdefault("rss_mb", peak_mb())
    made.frame.write_parquet(folder / "ours_training.parquet")
    return figures | {"build_s": statistics.median(seconds), "build_first_s": seconds[0], "rows": made.frame.height}


def corrections(folder: Path) -> dict[str, float]:
    """Weather of which a tenth is corrected later."""
    frame = build(folder, (CORRECTED,)).frame
    frame.write_parquet(folder / "ours_corrections.parquet")
    asked_us = pl.col("asked_at").cast(pl.Int64)
    leaked = frame.filter(pl.col("corrected.known_us") > asked_us).height
    return {"rows": frame.height, "leaked": leaked}


def lmdb(folder: Path) -> dict[str, float]:
    """The embedded store."""
    stores = [LmdbOnlineStore(folder / f"online-{turn}") for turn in range(FILLS)]
    figures = online(folder, stores)
    store, asked = stores[0], _names(folder)[:TTL_ENTITIES]
    rows = store.read(binding(WIDE), entity_keys([asked]), NOW_US).values
    answers = pl.DataFrame(rows.copy(), schema=list(WIDE.features)).with_columns(pl.Series("entity", asked))
    answers.write_parquet(folder / "ours_online.parquet")
    materialize(EXPIRED, pl.scan_parquet(folder / "wide.parquet"), store, NOW_US)
    figures["past_ttl_cells"] = int((~np.isnan(store.read(binding(EXPIRED), entity_keys([asked]), NOW_US).values)).sum())
    for each in stores:
        each.close()
    return figures | replay(folder)


def redis(folder: Path, url: str) -> dict[str, float]:
    """The store for many machines, on the server that the peer is on, in databases of its own."""
    from leverframe.features.online.online_redis import RedisOnlineStore

    stores = [RedisOnlineStore.at(f"{url}/{turn + 1}", TIMEOUT_S) for turn in range(FILLS)]
    figures = online(folder, stores)
    for each in stores:
        each.close()
    return figures


def online(folder: Path, stores: Sequence[OnlineStore]) -> dict[str, float]:
    """Materialise into each empty store; read 1 and 100 entities of 20 features, each with its own ids, to a float64 array."""
    took = []
    for store in stores:
        begin = time.perf_counter()
        done = materialize(WIDE, pl.scan_parquet(folder / "wide.parquet"), store, NOW_US)
        took.append(time.perf_counter() - begin)
    figures = {"materialize_rows_per_s": done.entities / statistics.median(took), "materialize_first_rows_per_s": done.entities / took[0]}
    names, bound, rng, store = _names(folder), binding(WIDE), np.random.default_rng(3), stores[0]
    for entities, reads in READS.items():
        took, took_with_keys = [], []
        for _ in range(reads):
            ids = [names[i] for i in rng.integers(0, len(names), entities)]
            begin = time.perf_counter()
            keys = entity_keys([ids])
            middle = time.perf_counter()
            store.read(bound, keys, NOW_US)
            end = time.perf_counter()
            took.append(end - middle)
            took_with_keys.append(end - begin)
        figures[f"read_{entities}_us"] = statistics.median(took) * 1e6
        figures[f"read_{entities}_from_ids_us"] = statistics.median(took_with_keys) * 1e6
    return figures


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


def demo(folder: Path) -> dict[str, float]:
    """The demo's own four views, windowed aggregates compiled from raw departures: what no peer here does offline."""
    data = datasets()
    begin = time.perf_counter()
    lf.training_set(data["flights"], "asked_at", [(view, data[view.source].lazy()) for view in DEMO_VIEWS])
    return {"demo_s": time.perf_counter() - begin}


def _names(folder: Path) -> list[str]:
    return pl.read_parquet(folder / "wide.parquet", columns=["entity"])["entity"].to_list()


def main(part: str, folder: Path, url: str) -> None:
    """Measure a part and write ``ours_<part>.json``."""
    parts = {"training": training, "corrections": corrections, "lmdb": lmdb, "demo": demo}
    figures = redis(folder, url) if part == "redis" else parts[part](folder)
    (folder / f"ours_{part}.json").write_text(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "")
