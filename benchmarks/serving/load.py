"""The load generator: one thread on its own core, plain sockets and epoll, requests prepared beforehand.

Closed loop: every connection asks, waits for its answer, asks again. Open loop: requests fall due on a fixed schedule whatever the server
does, and latency counts from the moment a request was due, so a stall is felt by all that it delays (no coordinated omission).
"""

import select
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

STALL_S_MAX = 30.0
"""A server that answers nothing this long has failed."""
HEADS_MAX = 4096
"""Answer heads remembered with the length they announce; all are forgotten beyond."""
READ_BYTES = 1 << 18


@dataclass(frozen=True)
class Measured:
    """What one run gave: answers a second and latency percentiles in milliseconds; ``failures`` are answers that were not 200."""

    answers_per_s: float
    latency_ms_p50: float
    latency_ms_p99: float
    failures: int


class Answers:
    """Finds the end of an answer; most heads were seen before."""

    def __init__(self) -> None:
        self._lengths: dict[bytes, int] = {}

    def missing(self, data: bytes) -> int:
        """Bytes still to come: 0 when ``data`` is one whole answer, 1 when it is not known how many."""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            return 1
        length = self._length(data[:end])
        if length < 0:
            return 0 if data.endswith(b"\r\n0\r\n\r\n") else 1
        return max(0, end + length - len(data))

    def good(self, data: bytes) -> bool:
        """Whether the status is 200."""
        return data.startswith(b"HTTP/1.1 200 ")

    def _length(self, head: bytes) -> int:
        """The body's bytes as announced; -1 when it comes in chunks."""
        known = self._lengths.get(head)
        if known is None:
            if len(self._lengths) >= HEADS_MAX:
                self._lengths.clear()
            low = head.lower()
            at = low.find(b"\r\ncontent-length:")
            known = self._lengths[head] = int(low[at + 17 : low.index(b"\r\n", at + 17)]) if at >= 0 else -1
        return known


@contextmanager
def _connected(port: int, count: int) -> Iterator[dict[int, socket.socket]]:
    sockets = [socket.create_connection(("127.0.0.1", port), timeout=STALL_S_MAX) for _ in range(count)]
    for each in sockets:
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        each.settimeout(None)
    try:
        yield {each.fileno(): each for each in sockets}
    finally:
        for each in sockets:
            each.close()


def _measured(latencies: list[float], seconds: float, failures: int) -> Measured:
    latencies.sort()
    if not latencies:
        return Measured(0.0, float("inf"), float("inf"), failures + 1)
    at = [latencies[int(len(latencies) * share)] * 1000 for share in (0.5, 0.99)]
    return Measured(len(latencies) / seconds, at[0], at[1], failures)


def measure(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Measured:
    """Closed loop: ask ``requests`` (whole HTTP requests) over ``connections`` keep-alive connections for ``seconds``."""
    clock, count, answers = time.perf_counter, len(requests), Answers()
    latencies: list[float] = []
    failures = 0
    with _connected(port, connections) as sockets, select.epoll() as ready:
        pieces: dict[int, bytes] = {}
        following = {fd: number * count // connections for number, fd in enumerate(sockets)}
        sent = {}
        started = now = clock()
        for fd, each in sockets.items():
            ready.register(fd, select.EPOLLIN)
            sent[fd] = clock()
            each.sendall(requests[following[fd]])
        until, open_fds = started + seconds, connections
        while now < until and open_fds:
            events = ready.poll(STALL_S_MAX)
            if not events:
                failures += open_fds
                break
            for fd, _ in events:
                read = sockets[fd].recv(READ_BYTES)
                data = pieces.pop(fd) + read if fd in pieces else read
                if not read:
                    failures += 1
                    open_fds -= 1
                    ready.unregister(fd)
                    continue
                if answers.missing(data):
                    pieces[fd] = data
                    continue
                now = clock()
                latencies.append(now - sent[fd])
                failures += not answers.good(data)
                at = following[fd] = (following[fd] + 1) % count
                sent[fd] = now
                sockets[fd].sendall(requests[at])
        return _measured(latencies, clock() - started, failures)


def measure_open(port: int, requests: Sequence[bytes], rate_per_s: float, connections: int, seconds: float) -> Measured:
    """Open loop: one request every ``1 / rate_per_s`` seconds for ``seconds``, over at most ``connections`` at once."""
    clock, count, answers = time.perf_counter, len(requests), Answers()
    latencies: list[float] = []
    failures = asked = 0
    with _connected(port, connections) as sockets, select.epoll() as ready:
        for fd in sockets:
            ready.register(fd, select.EPOLLIN)
        free, pieces, since = deque(sockets), dict[int, bytes](), dict[int, float]()
        started = clock()
        period, total = 1 / rate_per_s, int(rate_per_s * seconds)
        heard = started
        while asked < total or since:
            now = clock()
            while asked < total and free and (due := started + asked * period) <= now:
                fd = free.popleft()
                since[fd] = due
                sockets[fd].sendall(requests[asked % count])
                asked += 1
            for fd, _ in ready.poll(0):
                read = sockets[fd].recv(READ_BYTES)
                data = pieces.pop(fd, b"") + read
                if read and answers.missing(data):
                    pieces[fd] = data
                    continue
                heard = clock()
                failures += not read or not answers.good(data)
                latencies.append(heard - since.pop(fd, heard))
                if read:
                    free.append(fd)
                else:
                    ready.unregister(fd)
            if now - heard > STALL_S_MAX or not (free or since):
                failures += total - asked + len(since)
                break
        return _measured(latencies, clock() - started, failures)
