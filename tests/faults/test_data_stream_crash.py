"""A stream that is read into a dataset, over crashes at every step and ``kill -9`` at any moment: each message counts once."""

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.apps.data_streams import ANA, UNKEYED, ids, opened, reading, stream, trip, until
from tests.serving.brokers import Nats, Redis

from leverframe.apps.platform.platform import Platform
from leverframe.apps.platform.views.streams import OpenStreamRequest, StreamBatch
from leverframe.core.errors import LeverframeError
from leverframe.data.commands import RecordSnapshot
from leverframe.data.streams.commands_streams import TakeBatch
from leverframe.data.streams.messages import StreamMessage

MESSAGES, ROWS_MAX = 10, 5
GOOD = sorted(f"t{n}" for n in range(MESSAGES) if n % 7)
"""Every seventh message breaks its contract. The contract has no key: a row that is taken twice stands there twice."""


class Died(BaseException):
    """The process is gone."""


def read_all(platform: Platform) -> None:
    """Offer every message, from where the stream stands, as the reader does."""
    platform.streams.open(ANA, "trips", "rows", OpenStreamRequest(source="nats://h/rows"), key="open")
    while (start := int(stream(platform).position.get("0", "0"))) < MESSAGES:
        last = min(start + ROWS_MAX, MESSAGES)
        messages = tuple(StreamMessage(f"0:{n + 1}", "", trip(n, **({} if n % 7 else {"miles": -1})).decode()) for n in range(start, last))
        batch = StreamBatch(after={"0": str(start)} if start else {}, upto={"0": str(last)}, messages=messages)
        platform.streams.take(ANA, "trips", "rows", batch, key=f"{start}-{time.monotonic_ns()}")


def dying_at(platform: Platform, step: int) -> None:
    """Die before or after the ``step``-th thing that lasts: bytes kept, commands written."""
    count = 0

    def act() -> None:
        nonlocal count
        count += 1
        if count == step + 1:
            raise Died

    def stepped(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def doing(*args: Any, **options: Any) -> Any:
            act()
            done = real(*args, **options)
            act()
            return done

        setattr(owner, name, doing)

    stepped(platform.parts.artifacts, "put")
    stepped(platform.parts.ledger, "write")


def deaths(made: Path, tmp_path: Path, weaken: Callable[[Platform], None]) -> Iterator[tuple[int, list[str]]]:
    """Die at each step in turn, start again, read on to the end: how many were set aside, and the rows in the dataset."""
    step = 0
    while True:
        home = tmp_path / f"h{step}"
        shutil.copytree(made, home)
        platform = opened(home, UNKEYED)
        weaken(platform)
        dying_at(platform, step)
        try:
            read_all(platform)
            finished = True
        except Died:
            finished = False
        platform.close()
        again = opened(home, UNKEYED)
        weaken(again)
        read_all(again)
        yield stream(again).quarantined, ids(again)
        again.close()
        shutil.rmtree(home)
        if finished:
            return
        step += 1


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("made") / "home"
    opened(home, UNKEYED).close()
    return home


def test_dying_at_every_step_loses_nothing_and_doubles_nothing(made: Path, tmp_path: Path) -> None:
    steps = 0
    for aside, rows in deaths(made, tmp_path, lambda platform: None):
        assert rows == GOOD, f"after a death at step {steps}"
        assert aside == MESSAGES - len(GOOD)
        steps += 1
    assert steps > 20, "it died at few steps: the test would prove little"


def apart(platform: Platform, *, rows_first: bool) -> None:
    """The protection off: rows and position in two transactions."""
    write = platform.parts.ledger.write

    def two(actor: Any, command: Any, *, key: str) -> Any:
        if not isinstance(command, TakeBatch) or command.snapshot is None:
            return write(actor, command, key=key)

        rows = RecordSnapshot(snapshot=command.snapshot, owner_team=command.owner_team)
        position = msgspec.structs.replace(command, snapshot=None)
        done = None
        for number, each in enumerate((rows, position) if rows_first else (position, rows)):
            done = platform.parts.ledger.write(actor, each, key=f"{key}/{number}") if each is rows else write(actor, each, key=f"{key}/p")
        return done

    platform.parts.ledger.write = two  # type: ignore[method-assign]


@pytest.mark.parametrize("rows_first", [True, False])
def test_negative_control_rows_and_position_in_two_transactions_double_or_lose(made: Path, tmp_path: Path, rows_first: bool) -> None:
    totals = set()
    for _, rows in deaths(made, tmp_path, lambda platform: apart(platform, rows_first=rows_first)):
        totals.add(len(rows) - len(GOOD))
        if any(total > 0 if rows_first else total < 0 for total in totals):
            break
    assert any(total > 0 if rows_first else total < 0 for total in totals), totals


# kill -9 ------------------------------------------------------------------------------------------------------------

_READ = "import sys; from tests.apps.data_streams import read_in_this_process; read_in_this_process(*sys.argv[1:])"
KILLS, STREAMED = 10, 6_000


@pytest.fixture(params=["nats", "redis"])
def broker(request: pytest.FixtureRequest) -> Iterator[Any]:
    kind, fixture = (Nats, "nats_url") if request.param == "nats" else (Redis, "redis_tcp_url")
    client = kind(request.getfixturevalue(fixture))
    client.make("rows")
    yield client
    client.close()


@pytest.mark.slow
def test_kill_9_at_random_moments_loses_nothing_and_doubles_nothing(broker: Any, tmp_path: Path) -> None:
    """Reader and control plane are one process here, so that both die at once."""
    chance, home = random.Random(20261125), tmp_path / "home"
    opened(home, UNKEYED).close()
    broker.send("rows", [trip(n) for n in range(STREAMED)])
    inside = 0
    for _ in range(KILLS):
        process = subprocess.Popen([sys.executable, "-c", _READ, str(home), f"{broker.url}/rows", "25"], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0.05, 0.6))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        platform = opened(home, UNKEYED)
        held = stream(platform)
        inside += 0 < held.messages < STREAMED
        assert held.rows == held.messages, "rows without their position, or a position without its rows"
        if held.messages:
            assert ids(platform) == sorted(f"t{n}" for n in range(held.messages))
        platform.close()
    assert inside > KILLS // 2, "hardly a kill fell into the reading"
    platform = opened(home, UNKEYED)
    with reading(platform, home, f"{broker.url}/rows", rows_max=1_000):
        until(lambda: stream(platform).messages == STREAMED)
    assert ids(platform) == sorted(f"t{n}" for n in range(STREAMED))
    platform.close()


@pytest.mark.slow
def test_a_reader_waits_for_a_control_plane_that_is_away(tmp_path: Path, nats_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from leverframe.apps.platform.streams import Streams
    from leverframe.core.errors import Unavailable

    broker = Nats(nats_url)
    broker.make("rows")
    broker.send("rows", [trip(n) for n in range(20)])
    platform, real, away = opened(tmp_path, UNKEYED), Streams.take, time.monotonic() + 3.0

    def take(self: Streams, *args: Any, **options: Any) -> Any:
        if time.monotonic() < away:
            raise Unavailable("the ledger cannot be written", where="ledger")
        return real(self, *args, **options)

    monkeypatch.setattr(Streams, "take", take)
    with reading(platform, tmp_path, f"{nats_url}/rows") as said:
        until(lambda: stream(platform).messages == 20)
    assert any(each["event"] == "control plane away" for each in said)
    assert ids(platform) == sorted(f"t{n}" for n in range(20))
    platform.close()
    broker.close()


def test_errors_of_the_dataset_end_a_reader(tmp_path: Path, redis_tcp_url: str) -> None:
    """A refusal is not waited out for ever."""
    platform = opened(tmp_path, UNKEYED)
    platform.access.issue(ANA, "bo", ("viewer",), (), days=1, key="bo")
    (tmp_path / "token").write_text("lf_nobody")
    with pytest.raises(LeverframeError, match="token"), reading(platform, tmp_path, f"{redis_tcp_url}/rows") as said:
        until(lambda: any(each["event"] == "failed" for each in said))
    platform.close()
