"""P35: a PostgreSQL that is stopped, killed, slow, full of connections or read-only is said in time, and used again when it is back.

Between the ledger and the real server stands a proxy of this process that swallows, delays or breaks what passes through.
"""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from sqlalchemy import make_url
from tests.governance.levers import ALICE, HANDLERS, KIND_LEVER, AddToLever, Lever

from leverframe.core.clock import ManualClock
from leverframe.core.errors import Unavailable
from leverframe.governance.ledger import answering, engines
from leverframe.governance.ledger.memory import AllowEverything
from leverframe.governance.ledger.store import Ledger

BOUND_S = 1.0
"""The bound of an answer in these tests; in production twelve seconds."""
SAID_S_MAX = 2 * BOUND_S + 3.0
"""A pinged connection and a new one, each with its bound."""
BACK_S_MAX = 5.0


class Proxy:
    """Forwards to a server's unix socket; can fall silent, be slow, or break every connection."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.silent = threading.Event()
        self.delay_s = 0.0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(str(self._target))
            except OSError:
                client.close()
                continue
            self._open += [client, server]
            for source, sink, back in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(source, sink, back), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, back: bool) -> None:
        try:
            while data := source.recv(65_536):
                if back and self.delay_s:
                    time.sleep(self.delay_s)
                while back and self.silent.is_set():
                    time.sleep(0.02)
                sink.sendall(data)
        except OSError:
            pass
        for each in (source, sink):
            each.close()

    def cut(self) -> None:
        """Break every connection there is."""
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def close(self) -> None:
        self._listening.close()
        self.cut()


@pytest.fixture
def proxy(postgresql_url: str) -> Iterator[Proxy]:
    (folder,) = parse_qs(urlsplit(postgresql_url).query)["host"]
    made = Proxy(next(Path(folder).glob(".s.PGSQL.*[0-9]")))
    yield made
    made.silent.clear()
    made.close()


@pytest.fixture
def ledger(proxy: Proxy, postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    bind = answering.bound_answers
    monkeypatch.setattr(engines, "bound_answers", lambda engine: bind(engine, BOUND_S))
    monkeypatch.setattr(engines, "CONNECT_S_MAX", 2)
    made = Ledger(through(proxy, postgresql_url), ManualClock(0), AllowEverything(), HANDLERS)
    assert made.write(ALICE, AddToLever(name="a"), key="0").seq == 1
    yield made
    made.close()


def through(proxy: Proxy, url: str) -> str:
    parsed = make_url(url)
    return parsed.set(host="127.0.0.1", port=proxy.port, query={}).render_as_string(hide_password=False)


def said_in_time(ledger: Ledger, key: str) -> Unavailable:
    """Neither a write nor a read hangs; both say what to do."""
    for act in (lambda: ledger.find(KIND_LEVER, Lever), lambda: ledger.write(ALICE, AddToLever(name="a"), key=key)):
        started = time.monotonic()
        with pytest.raises(Unavailable) as refused:
            act()
        assert time.monotonic() - started < SAID_S_MAX
        assert refused.value.next_step
    return refused.value


def back_in_time(ledger: Ledger, key: str) -> int:
    """The number of entries once the write under ``key`` went through."""
    started = time.monotonic()
    while True:
        try:
            ledger.write(ALICE, AddToLever(name="a"), key=key)
            break
        except Unavailable:
            assert time.monotonic() - started < BACK_S_MAX, "it is not used again"
    assert time.monotonic() - started < BACK_S_MAX
    return ledger.entries_total()


def adds_up(ledger: Ledger) -> bool:
    """Each entry added one, none was lost or carried out twice."""
    (lever,) = ledger.find(KIND_LEVER, Lever)
    return lever.position == ledger.entries_total()


def test_a_server_that_falls_silent_is_said_in_time_and_used_again(proxy: Proxy, ledger: Ledger) -> None:
    proxy.silent.set()
    said_in_time(ledger, "1")
    proxy.silent.clear()
    assert back_in_time(ledger, "1") == 2
    assert adds_up(ledger)


def test_silence_at_the_commit_leaves_an_unknown_outcome_that_the_key_settles(proxy: Proxy, ledger: Ledger) -> None:
    """The commit reaches the server and its answer does not come back."""
    from sqlalchemy import event

    event.listen(ledger._sessions.engine, "commit", lambda _: proxy.silent.set(), once=True)
    with pytest.raises(Unavailable, match="outcome of this write is unknown"):
        ledger.write(ALICE, AddToLever(name="a"), key="1")
    proxy.silent.clear()
    assert back_in_time(ledger, "1") == 2, "carried out twice, or never"
    assert adds_up(ledger)


def test_negative_control_without_the_bound_a_silent_server_is_waited_for(proxy: Proxy, postgresql_url: str, monkeypatch) -> None:
    monkeypatch.setattr(engines, "bound_answers", lambda engine: None)
    ledger = Ledger(through(proxy, postgresql_url), ManualClock(0), AllowEverything(), HANDLERS)
    proxy.silent.set()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ledger.find, KIND_LEVER, Lever)
        time.sleep(SAID_S_MAX)
        assert not asked.done(), "something else bounds the wait: the tests above prove nothing"
        proxy.silent.clear()
        assert asked.result(10) == []
    ledger.close()


def test_broken_connections_are_replaced(proxy: Proxy, ledger: Ledger) -> None:
    for number in range(5):
        proxy.cut()
        assert back_in_time(ledger, f"c{number}") == number + 2
    assert adds_up(ledger)


def test_a_slow_server_is_only_slow(proxy: Proxy, ledger: Ledger) -> None:
    proxy.delay_s = 0.05
    for number in range(3):
        ledger.write(ALICE, AddToLever(name="a"), key=f"s{number}")
    assert adds_up(ledger)


def test_more_readers_than_connections_wait_their_turn_or_are_told(proxy: Proxy, ledger: Ledger, monkeypatch) -> None:
    proxy.delay_s = 0.02
    with ThreadPoolExecutor(4 * engines.POOL_CONNECTIONS_MAX) as pool:
        found = list(pool.map(lambda _: ledger.find(KIND_LEVER, Lever)[0].position, range(8 * engines.POOL_CONNECTIONS_MAX)))
    assert set(found) == {1}
    held = [ledger._sessions.engine.connect() for _ in range(engines.POOL_CONNECTIONS_MAX)]
    monkeypatch.setattr(ledger._sessions.engine.pool, "_timeout", 0.2)
    started = time.monotonic()
    with pytest.raises(Unavailable):
        ledger.find(KIND_LEVER, Lever)
    assert time.monotonic() - started < 2.0
    for each in held:
        each.close()
    assert adds_up(ledger)


def test_a_writer_that_waits_for_a_lock_is_told_in_time(proxy: Proxy, ledger: Ledger, postgresql_url: str) -> None:
    """Somebody else's transaction holds the chain: a deadlock, to whoever waits."""
    with psycopg.connect(postgresql_url) as other:
        other.execute(f"SELECT pg_advisory_xact_lock({engines.CHAIN_LOCK})")
        with pytest.raises(Unavailable) as refused:
            ledger.write(ALICE, AddToLever(name="a"), key="1")
        assert "nothing was changed" in refused.value.what
        assert ledger.find(KIND_LEVER, Lever)[0].position == 1, "readers do not wait for writers"
    assert back_in_time(ledger, "1") == 2


def test_a_read_only_server_is_named_with_its_fix(proxy: Proxy, ledger: Ledger, postgresql_url: str) -> None:
    name = make_url(postgresql_url).database
    with psycopg.connect(postgresql_url, autocommit=True) as other:
        other.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    proxy.cut()
    deadline = time.monotonic() + BACK_S_MAX
    while True:
        try:
            assert ledger.find(KIND_LEVER, Lever)[0].position == 1
            break
        except Unavailable:
            assert time.monotonic() < deadline
    with pytest.raises(Unavailable) as refused:
        ledger.write(ALICE, AddToLever(name="a"), key="1")
    assert "writable" in refused.value.next_step
    with psycopg.connect(postgresql_url, autocommit=True) as other:
        other.execute("SET default_transaction_read_only = off")
        other.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    proxy.cut()
    assert back_in_time(ledger, "1") == 2


def test_backends_that_are_killed_are_replaced(proxy: Proxy, ledger: Ledger, postgresql_url: str) -> None:
    name = make_url(postgresql_url).database
    with psycopg.connect(postgresql_url, autocommit=True) as other:
        for number in range(3):
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()", (name,))
            assert back_in_time(ledger, f"k{number}") == number + 2
    assert adds_up(ledger)


def test_a_backend_that_is_stopped_is_given_up_and_another_one_used(proxy: Proxy, ledger: Ledger, postgresql_url: str) -> None:
    name = make_url(postgresql_url).database
    with psycopg.connect(postgresql_url, autocommit=True) as other:
        asked = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        stopped = [pid for (pid,) in other.execute(asked, (name,)).fetchall()]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        assert stopped
        assert back_in_time(ledger, "1") == 2, "the others' connections are not tried"
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert adds_up(ledger)
