"""Feast's stores read in place: cell by cell what a real Feast answered, from its SQLite file and from its Redis hashes."""

import math
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from leverframe.core.errors import InvalidInput, NotFound, SchemaMismatch, Unavailable
from leverframe.core.schema import ViewBinding
from leverframe.features.declared.bindings import binding
from leverframe.features.feast.feast_import import FeastRepository, carry
from leverframe.features.online.feast_wire import feast_field, feast_number, murmur3
from leverframe.features.online.online import NEVER_US, entity_keys
from leverframe.features.online.online_address import open_for_reading, open_for_writing
from leverframe.features.online.online_feast import FeastOnlineStore, FeastRedisRows, FeastSqliteRows
from leverframe.features.online.online_lmdb import LmdbOnlineStore
from leverframe.features.online.online_redis import RedisOnlineStore

RECORDED = Path(__file__).parent / "feast" / "recorded"
CARRIED = carry(msgspec.json.decode((RECORDED / "repository.json").read_bytes(), type=FeastRepository), "mobility")
VIEWS = {view.name: view for view in CARRIED.views}
THERE = {"driver_hourly_stats": "driver_hourly_stats", "driver_city": "DriverCity"}
T0_US = 1_709_287_200_000_000
HOUR_US = 3_600_000_000
assert CARRIED.store is not None
BOUND = CARRIED.store.views


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode((RECORDED / name).read_bytes())
    return found


def sqlite_store() -> FeastOnlineStore:
    return FeastOnlineStore(FeastSqliteRows(RECORDED / "online.db", "rides"), BOUND)


@pytest.fixture
def redis_store(redis_url: str) -> FeastOnlineStore:
    store = RedisOnlineStore.at(redis_url, 5.0)
    for key, fields in recorded("redis.json")["hashes"].items():
        store._client.hset(bytes.fromhex(key), mapping={bytes.fromhex(name): bytes.fromhex(value) for name, value in fields.items()})
    return FeastOnlineStore(FeastRedisRows(store, "rides"), BOUND)


def differing(store: FeastOnlineStore, answers: dict[str, Any]) -> list[tuple[str, str, int, object, float]]:
    """Every cell that is not what Feast answered, to the bit."""
    found = []
    for name, there in THERE.items():
        view, answer = VIEWS[name], answers[there]
        keys = entity_keys([answer[key] for key in view.entity])
        read = store.read(binding(view), keys, T0_US + 400 * 24 * HOUR_US)
        for at, feature in enumerate(view.features):
            for row, expected in enumerate(answer[feature]):
                got = float(read.stored[row, at])
                same = math.isnan(got) if expected is None else np.float64(expected).tobytes() == np.float64(got).tobytes()
                if not same:
                    found.append((name, feature, row, expected, got))
    return found


def test_every_cell_of_the_sqlite_store_is_what_feast_answered() -> None:
    answers = recorded("sqlite.json")["answers"]
    assert sum(len(answers[there][f]) for name, there in THERE.items() for f in VIEWS[name].features) == 84
    assert differing(sqlite_store(), answers) == []


def test_every_cell_of_the_redis_store_is_what_feast_answered(redis_store: FeastOnlineStore) -> None:
    assert differing(redis_store, recorded("redis.json")["answers"]) == []


def test_the_comparison_sees_a_cell_that_differs() -> None:
    answers = recorded("sqlite.json")["answers"]
    answers["DriverCity"]["visits"][0] += 1
    assert [(view, feature, row) for view, feature, row, _, _ in differing(sqlite_store(), answers)] == [("driver_city", "visits", 0)]


def test_values_expire_here_though_feast_goes_on_serving_them(redis_store: FeastOnlineStore) -> None:
    bound = binding(VIEWS["driver_hourly_stats"])
    assert bound.ttl_us == 24 * HOUR_US
    for store in (sqlite_store(), redis_store):
        fresh, old = (store.read(bound, entity_keys([[1001, 1002, 77]]), T0_US + hours * HOUR_US) for hours in (25, 26))
        trips = bound.features.index("trips")
        assert fresh.event_us.tolist() == [T0_US + 2 * HOUR_US, T0_US + HOUR_US, NEVER_US]
        assert np.isnan(fresh.values[:, trips]).tolist() == [False, True, True], "1002 is as old as the TTL"
        assert np.isnan(old.values[:, trips]).tolist() == [True, True, True]
        assert old.stored[0, trips] == 2**53


def test_the_short_way_of_one_entity_gives_the_same_row() -> None:
    store, views = sqlite_store(), [binding(VIEWS["driver_hourly_stats"]), binding(VIEWS["driver_city"])]
    rows = store.reader(views)([entity_keys([[1001]])[0], entity_keys([[1001], ["Rōma"]])[0]])
    assert rows[0][0] == T0_US + 2 * HOUR_US
    assert dict(zip(views[1].features, rows[1][2:], strict=True)) == {"conv_rate": 0.25, "visits": 0.0}


def test_a_key_with_a_missing_part_or_of_another_type_has_no_row() -> None:
    read = sqlite_store().read(binding(VIEWS["driver_hourly_stats"]), [b"", b"seven", b"1001"], T0_US)
    assert (read.event_us != NEVER_US).tolist() == [False, False, True]


def test_a_view_that_feast_does_not_hold_is_named() -> None:
    other = ViewBinding(view="weather", view_version="v", entity_fields=("k",), features=("f",))
    with pytest.raises(NotFound, match="weather: this view is not in Feast's store"):
        sqlite_store().read(other, [b"k"], 0)


def test_a_store_that_is_gone_is_unavailable_and_one_that_comes_back_is_read_again(tmp_path: Path) -> None:
    rows = FeastSqliteRows(tmp_path / "online.db", "rides")
    store = FeastOnlineStore(rows, BOUND)
    with pytest.raises(Unavailable, match="cannot be read"):
        store.read(binding(VIEWS["driver_city"]), [b"1001\x1fOslo"], 0)
    shutil.copy(RECORDED / "online.db", tmp_path / "online.db")
    store.ping()
    assert store.read(binding(VIEWS["driver_city"]), [b"1001\x1fOslo"], 0).stored.tolist() == [[0.5, 3.0]]
    store.close()


def test_the_file_is_opened_by_its_address_and_never_written(tmp_path: Path) -> None:
    shutil.copy(RECORDED / "online.db", tmp_path / "online.db")
    before = (tmp_path / "online.db").read_bytes()
    (tmp_path / "feast-online.json").write_bytes(msgspec.json.encode(CARRIED.store))
    store = open_for_reading(f"feast:{tmp_path / 'feast-online.json'}", tmp_path / "lmdb")
    assert store.read(binding(VIEWS["driver_city"]), [b"1003\x1f"], 0).stored.tolist() == [[1 / 3, float(2**31 - 1)]]
    store.close()
    assert (tmp_path / "online.db").read_bytes() == before
    writing = open_for_writing(f"feast:{tmp_path / 'feast-online.json'}", tmp_path / "lmdb")
    assert isinstance(writing, LmdbOnlineStore)
    writing.close()
    with pytest.raises(NotFound, match="no such file"):
        open_for_reading(f"feast:{tmp_path / 'nothing.json'}", tmp_path)
    (tmp_path / "feast-online.json").write_text("{}")
    with pytest.raises(InvalidInput, match="not the description"):
        open_for_reading(f"feast:{tmp_path / 'feast-online.json'}", tmp_path)


def test_text_is_no_number_and_says_where() -> None:
    with pytest.raises(SchemaMismatch, match=r"w\.grade: Feast holds something that is no number"):
        feast_number(b"\x12\x01x", "w.grade")
    assert math.isnan(feast_number(b"\x98\x01\x00", "w.v"))
    assert feast_number(b"\x18\xf9\xff\xff\xff\xff\xff\xff\xff\xff\x01", "w.v") == -7


def test_the_hash_is_murmur3() -> None:
    """Against mmh3 5.1 (MurmurHash3_x86_32, seed 0), tails of 0, 1 and 3 bytes among them."""
    assert [murmur3(text) for text in (b"", b"a", b"aaaa", b"Hello, world!")] == [0, 0x3C2569B2, 0x7EEED987, 0xC0363E43]
    names = {name for fields in recorded("redis.json")["hashes"].values() for name in fields}
    assert {feast_field("driver_hourly_stats", f).hex() for f in VIEWS["driver_hourly_stats"].features} <= names
