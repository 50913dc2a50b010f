"""Feast's side; run by the Python of its own environment: ``python feast_peer.py PART FOLDER [REDIS]``. Imports nothing of ours."""

import json
import resource
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import feast
import numpy as np
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float64
from feast.value_type import ValueType

HOUR = timedelta(hours=1)
# Rows are keyed by the moment they were known, for Feast's own join looks at one time only; for the weather that is one hour after
# the event, so a TTL of 6 h on the event is one of 5 h on arrival. Feast keeps a value of exactly that age, we do not: 1 µs less.
TTL = {
    "weather": 5 * HOUR - timedelta(microseconds=1),
    "delays": 6 * HOUR - timedelta(microseconds=1),
    "planes": timedelta(0),
    "wide": timedelta(0),
    "expired": HOUR,
    "corrected": 6 * HOUR - timedelta(microseconds=1),
}
KEYS = {"weather": "origin", "delays": "origin", "planes": "tailnum", "wide": "entity", "expired": "entity", "corrected": "origin"}
FILES = {name: name for name in KEYS} | {"expired": "wide"}
# As Feast's documentation has it: event time, and the time of creation to choose among rows of one event.
DOCUMENTED = ("corrected",)
READS = {1: 1_000, 100: 100}
TTL_ENTITIES = 200


def make_store(folder: Path, views: tuple[str, ...], offline: str, online: dict[str, str]) -> tuple[FeatureStore, dict[str, list[str]]]:
    """A store with these sources as views."""
    home = folder / f"feast-{offline}-{online['type']}"
    home.mkdir(exist_ok=True)
    config = RepoConfig(
        project="bench",
        provider="local",
        registry=str(home / "registry.db"),
        offline_store={"type": offline},
        online_store=online if online["type"] != "sqlite" else online | {"path": str(home / "online.db")},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    entities = {key: Entity(name=key, join_keys=[key], value_type=ValueType.STRING) for key in {KEYS[name] for name in views}}
    features: dict[str, list[str]] = {}
    declared = []
    for name in views:
        path = folder / f"{FILES[name]}.parquet"
        names = [c for c in pd.read_parquet(path).columns if c not in (KEYS[name], "event_us", "arrival_us")]
        features[name] = [f"{name}:{c}" for c in names]
        times = {"timestamp_field": "arrival_us"}
        if name in DOCUMENTED:
            times = {"timestamp_field": "event_us", "created_timestamp_column": "arrival_us"}
        declared.append(
            FeatureView(
                name=name,
                entities=[entities[KEYS[name]]],
                ttl=TTL[name],
                schema=[Field(name=c, dtype=Float64) for c in names],
                source=FileSource(name=f"{name}_source", path=str(path), **times),
                online=KEYS[name] == "entity",
            )
        )
    store.apply([*entities.values(), *declared])
    return store, features


def training_set(folder: Path, views: tuple[str, ...], offline: str, output: str) -> dict[str, float]:
    """Build once (it takes long) and keep the frame for the comparison."""
    store, features = make_store(folder, views, offline, {"type": "sqlite"})
    begin = time.perf_counter()
    questions = pd.read_parquet(folder / "questions.parquet").rename(columns={"asked_at": "event_timestamp"})
    wanted = [feature for view in views for feature in features[view]]
    frame = store.get_historical_features(entity_df=questions, features=wanted, full_feature_names=True).to_df()
    seconds = time.perf_counter() - begin
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    frame.to_parquet(folder / f"{output}.parquet")
    return {"build_s": seconds, "rss_mb": rss_mb, "rows": len(frame)}


def online(folder: Path, kind: dict[str, str]) -> dict[str, float]:
    """Materialise and read 1 and 100 entities, each read with its own keys; then what is past its TTL."""
    store, features = make_store(folder, ("wide", "expired"), "duckdb", kind)
    names = pd.read_parquet(folder / "wide.parquet", columns=["entity"])["entity"].tolist()
    window = (datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC))
    begin = time.perf_counter()
    store.materialize(*window, feature_views=["wide"])
    figures = {"materialize_rows_per_s": len(names) / (time.perf_counter() - begin)}
    rng = np.random.default_rng(3)
    for entities, reads in READS.items():
        took = []
        for _ in range(reads):
            rows = [{"entity": names[i]} for i in rng.integers(0, len(names), entities)]
            begin = time.perf_counter()
            store.get_online_features(features=features["wide"], entity_rows=rows).to_dict()
            took.append(time.perf_counter() - begin)
        figures[f"read_{entities}_us"] = statistics.median(took) * 1e6
    asked = [{"entity": n} for n in names[:TTL_ENTITIES]]
    answer = store.get_online_features(features=features["wide"], entity_rows=asked).to_dict()
    pd.DataFrame(answer).to_parquet(folder / f"feast_{kind['type']}.parquet")
    if kind["type"] == "sqlite":
        store.materialize(*window, feature_views=["expired"])
        late = pd.DataFrame(store.get_online_features(features=features["expired"], entity_rows=asked).to_dict())
        figures["past_ttl_cells"] = int(late.drop(columns="entity").notna().to_numpy().sum())
    return figures


def main(part: str, folder: Path, redis: str) -> None:
    """Measure a part and write ``feast_<part>.json``."""
    if part == "training":
        figures = training_set(folder, ("weather", "delays", "planes"), "duckdb", "feast_training")
    elif part == "corrections":
        figures = training_set(folder, ("corrected",), "duckdb", "feast_corrections")
    elif part == "dask":
        figures = training_set(folder, ("planes",), "dask", "feast_dask")
    elif part == "sqlite":
        figures = online(folder, {"type": "sqlite"})
    else:
        figures = online(folder, {"type": "redis", "connection_string": redis})
    (folder / f"feast_{part}.json").write_text(json.dumps(figures | {"version": feast.__version__}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "")
