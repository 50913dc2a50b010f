"""Run by a Python with Feast, in a copy of ``repository``: ``python fill.py OUT.json [redis host:port]``.

Writes the sources, applies the repository, fills its online store and leaves in OUT.json what Feast's own ``get_online_features`` answers
(and with Redis every hash it holds).
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

T0 = pd.Timestamp("2024-03-01T10:00:00Z")
DRIVERS = [1001, 1002, 1003, -5, 2**40, 0, 77]
CITIES = ["Oslo", "Rōma", "", "Nowhere"]
VIEWS = {"driver_hourly_stats": ["acc_rate", "active", "conv_rate", "trips"], "DriverCity": ["conv_rate", "visits"]}


def sources() -> None:
    """Rows with missing values, extremes, a second row of one driver, text keys beyond ASCII and an empty one."""
    hours = [0, 1, 0, 0, 2, 0, 3]
    stats = pd.DataFrame(
        {
            "driver_id": [1001, 1002, 1003, -5, 1001, 2**40, 0],
            "event_timestamp": [T0 + pd.Timedelta(hours=h) for h in hours],
            "created": [T0 + pd.Timedelta(minutes=7)] * 7,
            "conv_rate": pd.Series([0.1, 0.25, None, 0.5, 0.75, 1.5, 0.3], dtype="float32"),
            "acc_rate": [1.0, -2.5, 3.25, 1e300, 0.0, None, -0.0],
            "trips": [1, 2, 3, -4, 2**53, 0, -(2**60)],
            "active": pd.Series([True, False, True, False, True, None, True], dtype="boolean"),
            "grade": ["a", "b", "ü", "", "x", None, "z"],
        }
    )
    stats.to_parquet("driver_stats.parquet")
    pairs = pd.DataFrame(
        {
            "driver_id": [1001, 1001, 1002, 1003],
            "city": ["Oslo", "Rōma", "Oslo", ""],
            "event_timestamp": [T0] * 4,
            "visits": pd.Series([3, 0, -7, 2**31 - 1], dtype="int32"),
            "conv_rate": [0.5, 0.25, 0.125, 1 / 3],
        }
    )
    pairs.to_parquet("pairs.parquet")


def main(out: str, redis: str = "") -> None:
    """Fill the store and write what is answered."""
    if redis:
        config = (
            Path("feature_store.yaml")
            .read_text()
            .replace("type: sqlite", "type: redis")
            .replace("path: online.db", f"connection_string: {redis}")
        )
        Path("feature_store.yaml").write_text(config)
    sources()
    sys.path.insert(0, str(Path.cwd()))  # as the feast command does: a repository imports its own files
    from feast import FeatureStore
    from feast.repo_operations import parse_repo

    found, store = parse_repo(Path.cwd()), FeatureStore(repo_path=".")
    store.apply([*found.entities, *found.data_sources, *found.feature_views, *found.on_demand_feature_views, *found.feature_services])
    store.materialize(datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC))
    asked = {
        "driver_hourly_stats": [{"driver_id": driver} for driver in DRIVERS],
        "DriverCity": [{"driver_id": driver, "city": city} for driver in DRIVERS for city in CITIES],
    }
    answers = {
        view: store.get_online_features(features=[f"{view}:{feature}" for feature in features], entity_rows=asked[view]).to_dict()
        for view, features in VIEWS.items()
    }
    document = {"answers": answers, "hashes": _hashes(redis) if redis else {}}
    Path(out).write_text(json.dumps(document, ensure_ascii=False, indent=1))


def _hashes(address: str) -> dict[str, dict[str, str]]:
    """Every hash of the server, in hexadecimal digits."""
    import redis

    host, _, port = address.partition(":")
    client = redis.Redis(host=host, port=int(port))
    held = {key: client.hgetall(key) for key in client.keys("*") if client.type(key) == b"hash"}
    return {key.hex(): {name.hex(): value.hex() for name, value in fields.items()} for key, fields in sorted(held.items())}


if __name__ == "__main__":
    main(*sys.argv[1:])
