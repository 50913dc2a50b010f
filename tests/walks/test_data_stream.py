"""A stream into data with real processes: ``lever data stream`` beside a control plane that is killed under it, over a real broker."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.apps.data_streams import ids, opened, stream, trip, until
from tests.conftest import free_port
from tests.serving.brokers import Redis

MESSAGES = 40_000
MEMORY_KB_MAX = 64 * 1024
"""What a reader may grow by while it reads: one batch, its encoded form and what the broker's client holds."""


class Installation:
    """A control plane's process on a port of its own, and ``lever`` beside it."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("LEVER_")} | {
            "LEVER_HOME": str(home),
            "LEVER_PORT": str(self.port),
            "LEVER_URL": f"http://127.0.0.1:{self.port}",
            "LEVER_TOKEN": (home / "token").read_text(),
        }

    @contextmanager
    def control_plane(self) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen([sys.executable, "-m", "leverframe.apps.control_plane"], env=self.environment)
        try:
            until(self._answers)
            yield process
        finally:
            process.kill()
            process.wait()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/api/v1/health", timeout=1.0).status_code == 200
        except httpx.TransportError:
            return False

    def lever(self, *arguments: str) -> subprocess.Popen[str]:
        about = [sys.executable, "-m", "leverframe.apps.cli.main", *arguments]
        return subprocess.Popen(about, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _resident_kb(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])


@pytest.mark.slow
def test_a_stream_into_data_from_the_command_line(tmp_path: Path, redis_tcp_url: str) -> None:
    platform = opened(tmp_path)
    broker, made = Redis(redis_tcp_url), Installation(tmp_path)
    broker.send("rows", [trip(n, filler="x" * 200) for n in range(MESSAGES)])
    with made.control_plane() as first:
        reader = made.lever("data", "stream", "trips", "--source", f"{redis_tcp_url}/rows", "--rows", "2000", "--every", "0.5")
        started = time.monotonic()
        until(lambda: stream(platform).messages >= 4_000)
        before_kb = _resident_kb(reader.pid)
        first.kill()
    time.sleep(1.0)
    with made.control_plane():
        until(lambda: stream(platform).messages == MESSAGES, 120.0)
        seconds = time.monotonic() - started
        grown_kb = _resident_kb(reader.pid) - before_kb
        listed = json.loads(made.lever("data", "streams", "list", "--json").communicate(timeout=60)[0])
        reader.send_signal(signal.SIGTERM)
        out, err = reader.communicate(timeout=60)
        assert reader.returncode == 0, err
    said: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    print(f"{MESSAGES:,} messages in {seconds:.1f} s, a control plane killed in between; the reader grew by {grown_kb / 1024:.1f} MiB")
    assert (said[-1]["event"], said[-1]["messages"]) == ("stopped", MESSAGES)
    assert any(each["event"] == "control plane away" for each in said), "it was not noticed to be killed"
    assert next(each for each in said if each["event"] == "taken")["not_in_contract"] == ["filler"]
    assert listed[0]["stream"]["rows"] == MESSAGES
    assert ids(platform) == sorted(f"t{n}" for n in range(MESSAGES))
    assert stream(platform).repeated == 0
    assert grown_kb < MEMORY_KB_MAX
    platform.close()
    broker.close()
