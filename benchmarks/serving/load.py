"""A closed-loop load generator: every connection asks, waits for its answer, asks again; rows are distinct and prepared beforehand."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import uvloop


@dataclass(frozen=True)
class Measured:
    """What one run gave: answers a second and latency percentiles in milliseconds."""

    answers_per_s: float
    latency_ms_p50: float
    latency_ms_p99: float
    failures: int


class _Caller(asyncio.Protocol):
    def __init__(self, requests: Sequence[bytes], start: int, until: float, latencies: list[float], done: asyncio.Future[None]) -> None:
        self._requests = requests
        self._next = start
        self._until = until
        self._latencies = latencies
        self._done = done
        self._buffer = b""
        self.failures = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._next = (self._next + 1) % len(self._requests)
        self._sent = time.perf_counter()
        self._transport.write(self._requests[self._next])

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        head = data.find(b"\r\n\r\n")
        at = data.lower().find(b"content-length: ", 0, head) if head >= 0 else -1
        if at < 0 or len(data) < head + 4 + int(data[at + 16 : data.index(b"\r", at)]):
            self._buffer = data
            return
        self._buffer = b""
        now = time.perf_counter()
        self._latencies.append(now - self._sent)
        self.failures += not data.startswith(b"HTTP/1.1 200")
        if now < self._until:
            self._ask()
        elif not self._done.done():
            self._transport.close()
            self._done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self.failures += 1
            self._done.set_result(None)


async def _measure(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Measured:
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    started = time.perf_counter()
    callers, waiting = [], []
    for number in range(connections):
        done = loop.create_future()
        start = number * len(requests) // connections
        _, caller = await loop.create_connection(
            lambda start=start, done=done: _Caller(requests, start, started + seconds, latencies, done), "127.0.0.1", port
        )
        callers.append(caller)
        waiting.append(done)
    await asyncio.wait_for(asyncio.gather(*waiting), seconds + 30)
    elapsed = time.perf_counter() - started
    latencies.sort()
    return Measured(
        answers_per_s=len(latencies) / elapsed,
        latency_ms_p50=latencies[len(latencies) // 2] * 1000,
        latency_ms_p99=latencies[int(len(latencies) * 0.99)] * 1000,
        failures=sum(caller.failures for caller in callers),
    )


def measure(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Measured:
    """Ask ``requests`` (whole HTTP requests) over ``connections`` keep-alive connections for ``seconds``."""
    return uvloop.run(_measure(port, requests, connections, seconds))
