"""A server's whole process tree on one core: started, asked until it answers rightly, weighed, and ended."""

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import REASON_CHARS_MAX, PeerUnavailable
from benchmarks.serving.load import Answers
from benchmarks.serving.products import Protocol

START_S_MAX, END_S_MAX = 120.0, 10.0
ASK_S_MAX = 5.0
LOOK_S = 0.005
"""Between two looks whether a server that starts answers: as exact as its cold start is told."""
SERVER_CORE, LOAD_CORE = 0, 1
SCORE_TOLERANCE = 1e-6
MARK = "BENCHMARK_SERVER_MARK"
"""An environment variable all processes of a server inherit, by which they are found whoever their parent is."""


@dataclass(frozen=True)
class Running:
    """A server that answers. ``cold_start_s``: from starting its process to its first right answer."""

    port: int
    mark: str
    cold_start_s: float

    def memory_mib(self) -> float:
        """The tree's proportional set size: what it holds alone, and its share of what it holds with others."""
        return sum(_pss_kib(pid) for pid in _processes(self.mark)) / 1024

    def processor_s(self) -> float:
        """Processor time the tree has taken so far, its own and the kernel's for it."""
        return sum(_processor_ticks(pid) for pid in _processes(self.mark)) / os.sysconf("SC_CLK_TCK")


def pin_load() -> None:
    """This process and what it starts without a core of its own go to the load generator's core."""
    if _two_cores():
        os.sched_setaffinity(0, {LOAD_CORE})


def unpin() -> None:
    """This process and what it starts may use every core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], port: int, log: Path, *, ask: bytes, protocol: Protocol, expected: list[float]) -> Iterator[Running]:
    """The server of ``command``, once ``ask`` was answered with ``expected``; its whole tree is killed in the end.

    Raises
    ------
    PeerUnavailable: it does not start, or answers something else; the message says what.
    """
    mark = secrets.token_hex(8)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", MARK: mark}
    pin = (lambda: os.sched_setaffinity(0, {SERVER_CORE})) if _two_cores() else None
    started = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, preexec_fn=pin, start_new_session=True)
    try:
        while not (answer := _answer(port, ask)).startswith(b"HTTP/1.1 200 "):
            if process.poll() is not None or time.perf_counter() - started > START_S_MAX:
                said = f"answers with {answer[:REASON_CHARS_MAX].decode(errors='replace')!r}" if answer else _last_words(log)
                raise PeerUnavailable(f"did not start: {said}")
            time.sleep(LOOK_S)
        cold_start_s = time.perf_counter() - started
        _check(answer, protocol, expected)
        yield Running(port, mark, cold_start_s)
    finally:
        _end(mark)
        process.wait()


def _end(mark: str) -> None:
    """Kill all processes of a server, those too that it starts meanwhile."""
    until = time.monotonic() + END_S_MAX
    while (pids := _processes(mark)) and time.monotonic() < until:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(LOOK_S)


def _answer(port: int, ask: bytes) -> bytes:
    """One whole answer; empty while nobody gives one. A server that starts refuses, closes, or says so in its own words."""
    answers, data = Answers(), b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=ASK_S_MAX) as connection:
            connection.sendall(ask)
            while answers.missing(data):
                piece = connection.recv(1 << 18)
                if not piece:
                    return b""
                data += piece
    except OSError:
        return b""
    return data


def _check(answer: bytes, protocol: Protocol, expected: list[float]) -> None:
    try:
        scores = protocol.read(answer)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise PeerUnavailable(f"gives an answer without scores: {type(error).__name__} {error}"[:REASON_CHARS_MAX]) from error
    if len(scores) != len(expected) or any(abs(a - b) > SCORE_TOLERANCE for a, b in zip(scores, expected, strict=True)):
        raise PeerUnavailable(f"answers wrongly: {scores[:3]} instead of {expected[:3]}")


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:REASON_CHARS_MAX] if lines else "it said nothing"


def _two_cores() -> bool:
    return (os.cpu_count() or 1) > 1 and hasattr(os, "sched_setaffinity")


def _processes(mark: str) -> list[int]:
    """Every process that inherited ``mark``."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def _processor_ticks(pid: int) -> int:
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    return 0


def _pss_kib(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
