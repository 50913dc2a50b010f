"""P39: processes that write one SQLite ledger take turns in the order of coming; a holder that dies or hangs holds nobody up for ever.

Negative control: without the queue SQLite lets the one that is writing go on, and who came later starves.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from tests.faults.dying import start
from tests.governance.levers import ALICE, HANDLERS, KIND_LEVER, AddToLever, Lever

from leverframe.core.clock import ManualClock
from leverframe.core.errors import Unavailable
from leverframe.governance.ledger import engines
from leverframe.governance.ledger.engines import Sessions
from leverframe.governance.ledger.memory import AllowEverything
from leverframe.governance.ledger.store import Ledger
from leverframe.governance.ledger.turns import Turns
from leverframe.governance.signing import TrustStore

PROCESSES = 8
WRITING_S = 3.0
BOUND_MS = 400
"""How long a writer waits in the tests of a holder that hangs; in production five seconds."""


def opened(url: str) -> Ledger:
    return Ledger(url, ManualClock(0), AllowEverything(), HANDLERS)


def write_for_a_while(pipe: Connection, url: str, seconds: float) -> None:
    """Once told to, add one to the lever again and again; say how often, the longest wait (s), and what failed."""
    ledger, waits, failed = opened(url), [0.0], []
    pipe.send("ready")
    pipe.recv()
    ends = time.monotonic() + seconds
    while (began := time.monotonic()) < ends:
        try:
            ledger.write(ALICE, AddToLever(name="a"), key=f"{os.getpid()}/{len(waits)}")
        except Exception as error:
            failed.append(f"{type(error).__name__}: {error}")
        waits.append(time.monotonic() - began)
    pipe.send((len(waits) - 1, max(waits), failed))


def hold(pipe: Connection, url: str) -> None:
    """Hold the ledger until told to let go."""
    with Sessions(url).writing():
        pipe.send("held")
        pipe.recv()
    pipe.send("let go")


def test_processes_that_write_all_the_time_all_get_their_turn(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    opened(url).close()
    writers = [start(write_for_a_while, url, WRITING_S) for _ in range(PROCESSES)]
    for _, pipe in writers:
        assert pipe.poll(60)
        assert pipe.recv() == "ready"
    for _, pipe in writers:
        pipe.send("go")
    told = []
    for process, pipe in writers:
        assert pipe.poll(60), "a writer hangs"
        told.append(pipe.recv())
        process.join(10)
    counts, waits, failed = zip(*told, strict=True)
    assert not any(failed), next(filter(None, failed))
    assert min(counts) > 0.3 * max(counts), f"somebody starves: {sorted(counts)}"
    assert max(waits) < WRITING_S, f"somebody waited {max(waits):.2f} s"
    ledger = opened(url)
    assert ledger.find(KIND_LEVER, Lever) == [Lever(name="a", position=sum(counts))], "a write was lost or done twice"
    assert ledger.verify(TrustStore([])).entries == sum(counts)
    ledger.close()


def in_the_kernels_queue(file: Path) -> int:
    """How many wait for the lock of ``file``, as the kernel lists them."""
    inode = f":{file.stat().st_ino} "
    return sum(" -> " in line and inode in line for line in Path("/proc/locks").read_text().splitlines())


def until(true: Any) -> None:
    ends = time.monotonic() + 10
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.002)


def test_turns_come_in_the_order_of_asking_and_who_had_one_stands_at_the_end(tmp_path: Path) -> None:
    # The kernel wakes the next one, which takes the lock itself: on a busy machine somebody may slip in between, now and then.
    orders = [order_of_turns(tmp_path / f"{attempt}.db") for attempt in range(3)]
    assert ["head", "b", "c", "again"] in orders, orders


def order_of_turns(file: Path) -> list[str]:
    """Who came when, if three wait for a turn and the one that has it asks again as soon as it let go."""
    order = list[str]()
    first, others = Turns(file), {name: Turns(file) for name in ("head", "b", "c")}
    far = time.monotonic() + 30

    def wait(turns: Turns, name: str) -> None:
        with turns.taken(far):
            order.append(name)

    threads = []
    with first.taken(far):
        for place, (name, turns) in enumerate(others.items()):
            threads.append(threading.Thread(target=wait, args=(turns, name)))
            threads[-1].start()
            # The head waits for the writer's lock by asking; the others lie in the kernel's queue.
            until(lambda place=place: in_the_kernels_queue(Path(f"{file}-turn")) == place and not is_free(Path(f"{file}-turn")))
    wait(first, "again")
    for thread in threads:
        thread.join(10)
    return order


def is_free(file: Path) -> bool:
    return f":{file.stat().st_ino} " not in Path("/proc/locks").read_text()


@contextmanager
def held_by_another_process(url: str) -> Iterator[tuple[Any, Connection]]:
    process, pipe = start(hold, url)
    assert pipe.recv() == "held"
    try:
        yield process, pipe
    finally:
        process.kill()
        process.join(10)


def told(ledger: Ledger) -> None:
    with pytest.raises(Unavailable):
        ledger.write(ALICE, AddToLever(name="a"), key="x")


def test_a_holder_that_is_killed_makes_room_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    ledger = opened(url)
    with held_by_another_process(url) as (process, _):
        killing = threading.Timer(0.2, process.kill)
        killing.start()
        began = time.monotonic()
        assert ledger.write(ALICE, AddToLever(name="a"), key="0").result == 1
        assert time.monotonic() - began < 2.0
    ledger.close()


def test_behind_a_holder_that_hangs_writers_are_told_in_time_and_keep_their_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    monkeypatch.setattr(engines, "BUSY_MS_MAX", BOUND_MS)
    ledger, other = opened(url), opened(url)
    with held_by_another_process(url) as (process, pipe):
        os.kill(process.pid, signal.SIGSTOP)
        standing = threading.Thread(target=told, args=(other,))
        standing.start()
        for attempt in range(4):
            began = time.monotonic()
            with pytest.raises(Unavailable, match=r"nothing was changed.*same key.*ledger\.db-writer"):
                ledger.write(ALICE, AddToLever(name="a"), key="0")
            assert time.monotonic() - began < BOUND_MS / 1000 + 0.5, f"attempt {attempt} was held up"
            assert sum(thread.name == "ledger-turn" for thread in threading.enumerate()) <= 2, "each attempt leaves a thread behind"
        standing.join(10)
        assert ledger.entries_total() == 0, "readers do not wait for writers"
        os.kill(process.pid, signal.SIGCONT)
        pipe.send("let go")
        assert pipe.recv() == "let go"
        assert ledger.write(ALICE, AddToLever(name="a"), key="0").result == 1
        assert other.write(ALICE, AddToLever(name="a"), key="1").result == 2
    for each in (ledger, other):
        each.close()


def turns_of(url: str, *, queue: bool) -> list[int]:
    """How often each of four writers that never pause wrote within a second and a half, the fewest first."""
    counts, ends = [0] * 4, time.monotonic() + 1.5

    def go_on(place: int) -> None:
        sessions = Sessions(url)
        if not queue:
            sessions._turns = None
        while time.monotonic() < ends:
            with sessions.writing() as connection:
                connection.exec_driver_sql("UPDATE mark SET n = n + 1")
                time.sleep(0.002)
            counts[place] += 1
        sessions.close()

    threads = [threading.Thread(target=go_on, args=(place,)) for place in range(len(counts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return sorted(counts)


def test_negative_control_without_the_queue_some_starve(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    with Sessions(url).writing() as connection:
        connection.exec_driver_sql("CREATE TABLE mark AS SELECT 0 AS n")
    with_it, without = turns_of(url, queue=True), turns_of(url, queue=False)
    shares = [counts[0] / counts[-1] for counts in (with_it, without)]
    assert shares[0] > shares[1] + 0.1, f"{with_it}, {without}: the queue is not what makes them even"
