"""Stream workers and what a test says to brokers: real servers from wheels, real processes."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from leverframe.apps.streaming.worker import StreamSettings


class Worker:
    """A running stream worker."""

    def __init__(self, settings: StreamSettings, prelude: str = "") -> None:
        start = f"import os, signal, sys\n{prelude}\nfrom leverframe.apps.streaming.worker import main\nsys.exit(main(sys.argv[1:]))"
        self.errors = settings.home / f"{settings.worker}.err"
        self.process = subprocess.Popen(
            [sys.executable, "-c", start, msgspec.json.encode(settings, enc_hook=str).decode()],
            stdout=subprocess.PIPE,
            stderr=self.errors.open("ab"),
            env={name: value for name, value in os.environ.items() if not name.startswith("LEVER_")},
        )
        self.started = self._line()

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"event": "", "stderr": self.errors.read_text()}

    def stop(self) -> dict[str, Any]:
        """SIGTERM, and the counts it says goodbye with."""
        self.process.terminate()
        said = self._line()
        assert self.process.wait(30) == 0, self.errors.read_text()
        return said

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()


@contextmanager
def worker(settings: StreamSettings, prelude: str = "") -> Iterator[Worker]:
    """A stream worker that scores, and is gone afterwards; ``prelude`` is code it runs first: a fault, or a protection taken off."""
    running = Worker(settings, prelude)
    try:
        assert running.started["event"] == "scoring", running.started
        yield running
    finally:
        running.kill()


class Nats:
    """The test's own connection to a NATS server, with a loop of its own."""

    def __init__(self, url: str) -> None:
        import nats

        self.url = url
        self._loop = asyncio.new_event_loop()
        self._client = self._do(nats.connect(url))
        self._stream = self._client.jetstream()

    def _do(self, coroutine: Any) -> Any:
        return self._loop.run_until_complete(coroutine)

    def make(self, *names: str, window_s: float = 120.0) -> None:
        """A stream of its own for each subject."""
        for name in names:
            self._do(self._stream.add_stream(name=name.replace(".", "-"), subjects=[name], duplicate_window=window_s))

    def send(self, name: str, messages: list[bytes], **headers: str) -> None:
        """Publish, acknowledged."""

        async def all_of_them() -> None:
            for start in range(0, len(messages), 500):
                part = messages[start : start + 500]
                await asyncio.gather(*(self._stream.publish(name, body, headers=headers or None) for body in part))

        self._do(all_of_them())

    def count(self, name: str) -> int:
        """Messages kept under ``name``."""
        return int(self._do(self._stream.stream_info(name.replace(".", "-"))).state.messages)

    def read(self, name: str) -> list[Any]:
        """Every message kept under ``name``, decoded."""

        async def all_of_them() -> list[Any]:
            expected = (await self._stream.stream_info(name.replace(".", "-"))).state.messages
            subscription = await self._stream.subscribe(name, ordered_consumer=True)
            found = [json.loads((await subscription.next_msg(timeout=5)).data) for _ in range(expected)]
            await subscription.unsubscribe()
            return found

        return list(self._do(all_of_them()))

    def waiting(self, name: str, group: str) -> int:
        """Messages that are not acknowledged yet."""
        info = self._do(self._stream.consumer_info(name.replace(".", "-"), group))
        return int(info.num_pending + info.num_ack_pending)

    def close(self) -> None:
        """Disconnect."""
        self._do(self._client.close())
        self._loop.close()


class Redis:
    """The test's own connection to a Redis server."""

    def __init__(self, url: str) -> None:
        import redis

        self.url = url
        self._client = redis.Redis.from_url(url)

    def make(self, *names: str) -> None:
        """Nothing to do: streams are there when they are written."""

    def send(self, name: str, messages: list[bytes], **fields: str) -> None:
        """Append."""
        pipe = self._client.pipeline(transaction=False)
        for body in messages:
            pipe.xadd(name, {"data": body, **fields})
        pipe.execute()

    def count(self, name: str) -> int:
        """Entries in ``name``."""
        return int(self._client.xlen(name))

    def read(self, name: str) -> list[Any]:
        """Every entry, decoded."""
        return [json.loads(fields[b"data"]) for _, fields in self._client.xrange(name)]

    def waiting(self, name: str, group: str) -> int:
        """Entries that are not acknowledged yet."""
        (about,) = [one for one in self._client.xinfo_groups(name) if one["name"] == group.encode()]
        last = self._client.xrevrange(name, count=1)
        behind = len(self._client.xrange(name, min=b"(" + about["last-delivered-id"])) if last else 0
        return int(about["pending"]) + behind

    def close(self) -> None:
        """Disconnect."""
        self._client.close()


NO_WINDOW = """
from leverframe.serving.stream.window import StreamWindow
StreamWindow.known = StreamWindow.waiting = lambda self, prediction_id: None
"""
NO_BROKER_IDS = """
import leverframe.apps.streaming.nats as on_nats, leverframe.apps.streaming.redis as on_redis
on_nats.MESSAGE_ID = "Not-An-Id"
on_redis._ONCE = "return redis.call('XADD', KEYS[1], '*', 'data', ARGV[1], 'id', ARGV[2])"
"""
DIES_BEFORE_SETTLING = """
from leverframe.serving.stream.scorer import StreamScorer
StreamScorer.settle = lambda self, published: os.kill(os.getpid(), signal.SIGKILL)
"""
"""What is published is on the broker, and nothing of that is known here: the worst moment to die."""


def wait_until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Look until ``condition`` holds."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s, "it never came"
        time.sleep(0.02)


def settings_for(home: Path, url: str, **more: Any) -> StreamSettings:
    """From ``rows`` to ``scores``, for endpoint ``m``; what a dead worker held is delivered again after a second."""
    base = {"source": f"{url}/rows", "answers": f"{url}/scores", "redeliver_s": 1.0}
    return StreamSettings(home=home, endpoint="m", **(base | more))


def row(number: int, request_id: str = "") -> bytes:
    """A plain row for the plain model."""
    values: dict[str, Any] = {f"x{i}": float((number * (i + 3)) % 17) for i in range(4)}
    return json.dumps(values | ({"id": request_id} if request_id else {})).encode()
