"""P11: ten thousand idle connections beside live traffic. P12: two thousand slow, half-open and deaf clients starve nobody."""

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
from tests.serving.fleets import installed
from tests.serving.installation import Gateway, gateway, start_gateway
from tests.serving.load import Load, p99

from leverframe.apps.gateway.settings import GatewaySettings, to_argument
from leverframe.serving.protocol.message import HttpLimits

pytestmark = pytest.mark.slow
IDLE = 10_000
IDLE_BYTES_MAX = 16_384
"""Memory of the gateway for each idle connection."""
SLOW = {"drip": 990, "half": 990, "deaf": 20}
DEADLINE_S = HttpLimits().request_s_max
OFF = HttpLimits(request_s_max=1e6, idle_s_max=1e6, unread_s_max=1e6)


class Crowd:
    """Clients in a process of their own."""

    def __init__(self, port: int, kind: str, count: int) -> None:
        root = Path(__file__).parents[2]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.crowd", str(port), kind, str(count)],
            cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout.readline() == "ready\n"

    def closed(self) -> int:
        """How many of them the server has closed."""
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@contextmanager
def crowds(port: int, **kinds: int) -> Iterator[dict[str, Crowd]]:
    """All connected; gone afterwards."""
    with ExitStack() as stack:
        started = {}
        for kind, count in kinds.items():
            started[kind] = crowd = Crowd(port, kind.partition("_")[0], count)
            stack.callback(crowd.process.wait)
            stack.callback(crowd.process.kill)
        yield started


@contextmanager
def without_deadlines(home: Path) -> Iterator[Gateway]:
    """The same gateway with its deadlines off."""
    settings = GatewaySettings(home=home, port=0, limits=OFF)
    command = [sys.executable, "-m", "leverframe.apps.gateway.worker", to_argument(settings)]
    running = start_gateway(home, command=command)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < IDLE + 500, reason="this machine permits too few open files")
def test_p11_ten_thousand_idle_connections_beside_live_traffic(tmp_path):
    installed(tmp_path)
    with gateway(tmp_path) as running:
        process = psutil.Process(running.process.pid)
        before = process.memory_info().rss
        with crowds(running.port, idle_a=IDLE // 2, idle_b=IDLE // 2) as idle:
            running.wait(lambda page: page["connections"] >= IDLE, 30)
            with Load(running.port, threads=2) as load:
                time.sleep(8)
            each = (process.memory_info().rss - before) / IDLE
            assert sum(crowd.closed() for crowd in idle.values()) == 0
        assert load.failures == []
        assert len(load.answered) > 500
        tail_ms = 1000 * p99([seconds for _, seconds in load.latency_s])
        print(f"\nP11: {each:.0f} bytes a connection, {len(load.answered)} answers, 0 errors, p99 {tail_ms:.1f} ms")
        assert each < IDLE_BYTES_MAX
        running.wait(lambda page: page["connections"] <= 10, 20)


def test_p11_negative_control_with_few_files_others_are_shut_out(tmp_path):
    """The same crowd before a gateway that may open as few files as a shell usually gives."""
    installed(tmp_path)
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))  # noqa: E731
    with gateway(tmp_path, preexec=few) as running, crowds(running.port, idle=1_000), Load(running.port, threads=2) as load:
        time.sleep(3)
    assert load.failures


def test_p12_two_thousand_slow_clients_starve_nobody(tmp_path):
    installed(tmp_path)
    with gateway(tmp_path) as running:
        process = psutil.Process(running.process.pid)
        before = process.memory_info().rss
        with crowds(running.port, **SLOW) as slow, Load(running.port, threads=2) as load:
            time.sleep(2 * DEADLINE_S + 4)
            closed = {kind: crowd.closed() for kind, crowd in slow.items()}
        grown = process.memory_info().rss - before
    asked = len(load.answered) + len(load.failures)
    print(
        f"\nP12: closed {closed}, {len(load.answered)} of {asked} answered, memory +{grown / 2**20:.0f} MiB, failures {load.failures[:3]}"
    )
    assert len(load.answered) >= 0.999 * asked
    assert asked > 500
    assert (closed["drip"], closed["half"]) == (SLOW["drip"], SLOW["half"])
    assert closed["deaf"] >= 0.99 * SLOW["deaf"]


def test_p12_negative_control_without_deadlines_they_stay(tmp_path):
    installed(tmp_path)
    with without_deadlines(tmp_path) as running, crowds(running.port, drip=50, half=50) as slow:
        time.sleep(DEADLINE_S + 4)
        assert {kind: crowd.closed() for kind, crowd in slow.items()} == {"drip": 0, "half": 0}
