"""Feast's side; run by the Python of its own environment: ``python feast_peer.py <folder>``. Imports nothing of ours."""

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
}
KEYS = {"weather": "origin", "delays": "origin", "planes": "tailnum", "wide": "entity"}


def make_store(folder: Path) -> tuple[FeatureStore, dict[str, list[str]]]:
    """A store on DuckDB (offline) and SQLite (online) with every source as a view."""
    home = folder / "feast"
    home.mkdir(exist_ok=True)
    config = RepoConfig(
        project="bench",
        provider="local",
        registry=str(home / "registry.db"),
        offline_store={"type": "duckdb"},
        online_store={"type": "sqlite", "path": str(home / "online.db")},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    entities = {key: Entity(name=key, join_keys=[key], value_type=ValueType.STRING) for key in set(KEYS.values())}
    features: dict[str, list[str]] = {}
    views = []
    for name, key in KEYS.items():
        path = folder / f"{name}.parquet"
        names = [c for c in pd.read_parquet(path).columns if c not in (key, "event_us", "arrival_us")]
        features[name] = [f"{name}:{c}" for c in names]
        views.append(
            FeatureView(
                name=name,
                entities=[entities[key]],
                ttl=TTL[name],
                schema=[Field(name=c, dtype=Float64) for c in names],
                source=FileSource(name=f"{name}_source", path=str(path), timestamp_field="arrival_us"),
                online=name == "wide",
            )
        )
    store.apply([*entities.values(), *views])
    return store, features


def training_set(store: FeatureStore, folder: Path, features: dict[str, list[str]]) -> dict[str, float]:
    """Build once (it takes long) and keep the frame for the comparison."""
    begin = time.perf_counter()
    questions = pd.read_parquet(folder / "questions.parquet").rename(columns={"asked_at": "event_timestamp"})
    wanted = [*features["weather"], *features["delays"], *features["planes"]]
    frame = store.get_historical_features(entity_df=questions, features=wanted, full_feature_names=True).to_df()
    seconds = time.perf_counter() - begin
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    frame.to_parquet(folder / "feast.parquet")
    return {"build_s": seconds, "rss_mb": rss_mb, "rows": len(frame)}


def online(store: FeatureStore, folder: Path, features: dict[str, list[str]]) -> dict[str, float]:
    """Materialise and read 1 and 100 entities, each read with its own keys."""
    names = pd.read_parquet(folder / "wide.parquet", columns=["entity"])["entity"].tolist()
    begin = time.perf_counter()
    store.materialize(datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC), feature_views=["wide"])
    figures = {"materialize_rows_per_s": len(names) / (time.perf_counter() - begin)}
    rng = np.random.default_rng(3)
    for entities, reads in ((1, 1_000), (100, 100)):
        took = []
        for _ in range(reads):
            rows = [{"entity": names[i]} for i in rng.integers(0, len(names), entities)]
            begin = time.perf_counter()
            store.get_online_features(features=features["wide"], entity_rows=rows).to_dict()
            took.append(time.perf_counter() - begin)
        figures[f"read_{entities}_us"] = statistics.median(took) * 1e6
    answer = store.get_online_features(features=features["wide"], entity_rows=[{"entity": n} for n in names[:200]]).to_dict()
    pd.DataFrame(answer).to_parquet(folder / "feast_online.parquet")
    return figures


def main(folder: Path) -> None:
    """Measure and write ``feast.json`` and ``feast.parquet``."""
    store, features = make_store(folder)
    figures = training_set(store, folder, features) | online(store, folder, features)
    (folder / "feast.json").write_text(json.dumps(figures | {"version": feast.__version__}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
