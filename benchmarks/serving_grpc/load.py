"""A closed-loop gRPC load generator: every connection calls, waits for its answer, calls again; messages are prepared beforehand.

It speaks just enough HTTP/2 (RFC 9113) and HPACK (RFC 7541) for unary calls, because a client library in Python is slower than the servers
measured. Headers are sent in full by the first call of a connection and by their index ever after, as client libraries do.
"""

import asyncio
import struct
import time
from collections.abc import Sequence

import uvloop
from benchmarks.serving.load import Measured

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
WINDOW_BYTES = 2**31 - 1
"""So wide that no answer of a run fills it: no window is ever updated."""
FIRST_DYNAMIC = 62
METHOD = b"/inference.GRPCInferenceService/ModelInfer"


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def message(data: bytes) -> bytes:
    """A gRPC message: uncompressed, its length, its bytes."""
    return b"\0" + struct.pack(">I", len(data)) + data


def header_blocks(metadata: Sequence[tuple[bytes, bytes]], method: bytes = METHOD) -> tuple[bytes, bytes]:
    """The HPACK block of a connection's first call, which fills the table, and of every later one, which points into it."""
    fields = [
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", method), (b":authority", b"localhost"),
        (b"te", b"trailers"), (b"content-type", b"application/grpc"), (b"user-agent", b"benchmark"), *metadata,
    ]  # fmt: skip
    first = b"".join(b"\x40" + bytes((len(name),)) + name + bytes((len(value),)) + value for name, value in fields)
    later = bytes(0x80 | (FIRST_DYNAMIC + len(fields) - 1 - index) for index in range(len(fields)))
    return first, later


class _Caller(asyncio.Protocol):
    def __init__(
        self,
        messages: Sequence[bytes],
        blocks: tuple[bytes, bytes],
        start: int,
        until: float,
        latencies: list[float],
        done: asyncio.Future[None],
    ) -> None:
        self._messages = messages
        self._block, self._later = blocks
        self._next = start
        self._until = until
        self._latencies = latencies
        self._done = done
        self._buffer = b""
        self._stream = -1
        self._answered = False
        self.failures = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        settings = struct.pack(">HI", 4, WINDOW_BYTES)
        widen = frame(8, 0, 0, struct.pack(">I", WINDOW_BYTES - 65_535))
        transport.write(PREFACE + frame(SETTINGS, 0, 0, settings) + widen)
        self._ask()

    def _ask(self) -> None:
        self._next = (self._next + 1) % len(self._messages)
        self._stream += 2
        self._answered = False
        stream = self._stream
        self._sent = time.perf_counter()
        self._transport.write(
            frame(HEADERS, END_HEADERS, stream, self._block) + frame(DATA, END_STREAM, stream, self._messages[self._next])
        )
        self._block = self._later

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        at, size = 0, len(data)
        while size - at >= 9:
            length = int.from_bytes(data[at : at + 3], "big")
            if size - at < 9 + length:
                break
            self._take(data[at + 3], data[at + 4], data[at + 9 : at + 9 + length])
            at += 9 + length
        self._buffer = data[at:]

    def _take(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == DATA:
            self._answered = True
        elif kind == HEADERS and flags & END_STREAM:
            self._finished()
        elif kind in (SETTINGS, PING) and not flags & ACK:
            self._transport.write(frame(kind, ACK, 0, payload if kind == PING else b""))
        elif kind in (RESET, GOAWAY):
            self._answered = False
            self._finished()

    def _finished(self) -> None:
        now = time.perf_counter()
        self._latencies.append(now - self._sent)
        self.failures += not self._answered  # a call that fails has trailers and no message
        if now < self._until:
            self._ask()
        elif not self._done.done():
            self._transport.close()
            self._done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self.failures += 1
            self._done.set_result(None)


async def _measure(port: int, messages: Sequence[bytes], metadata: Sequence[tuple[bytes, bytes]], clients: int, seconds: float) -> Measured:
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    blocks = header_blocks(metadata)
    started = time.perf_counter()
    callers, waiting = [], []
    for number in range(clients):
        done = loop.create_future()
        start = number * len(messages) // clients
        _, caller = await loop.create_connection(
            lambda start=start, done=done: _Caller(messages, blocks, start, started + seconds, latencies, done), "127.0.0.1", port
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


def measure(port: int, messages: Sequence[bytes], metadata: Sequence[tuple[bytes, bytes]], clients: int, seconds: float) -> Measured:
    """Call ``ModelInfer`` with ``messages`` (see :func:`message`) from ``clients`` connections for ``seconds``."""
    return uvloop.run(_measure(port, messages, metadata, clients, seconds))
