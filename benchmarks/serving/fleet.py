"""Two workers against one: the same load on a gateway of either kind, in interleaved rounds.

On a machine of two cores the load generator competes with the second worker for its core. So nobody is pinned, for one worker as for two,
and besides small requests 32-row ones are measured, for which the generator has little to do. ``python -m benchmarks.serving.fleet``.
"""

import os
import signal
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.report import Report
from benchmarks.serving.figures import Effort
from benchmarks.serving.load import measure
from benchmarks.serving.products import OURSELVES
from benchmarks.serving.servers import free_port
from benchmarks.serving.setup import Scene, set_up

CONNECTIONS = 16
WORKERS = (1, 2)
BAR = 1.6
STOP_S_MAX = 20.0


@contextmanager
def _gateway(scene: Scene, workers: int) -> Iterator[int]:
    """A gateway of ``workers`` processes on any core; gives its port once every worker serves."""
    port = free_port()
    command = [*OURSELVES.command(None, scene.home, port), "--workers", str(workers), "--worker", f"bench-{workers}"]
    with (scene.home / f"fleet-{workers}.log").open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        assert process.stdout is not None
        assert process.stdout.readline(), f"did not start, see {errors.name}"
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_S_MAX)


def two_workers(scene: Scene, effort: Effort, report: Report) -> None:
    """Requests a second of two workers and of one, and their ratio, for 1-row and 32-row requests."""
    for rows, requests in ((rows, OURSELVES.protocol.requests(scene.rows[rows])) for rows in (1, 32)):
        rates = _rates(scene, effort, requests)
        figure = f"{rows}-row requests at {CONNECTIONS} connections, nobody pinned"
        for workers in WORKERS:
            report.add(figure, round(statistics.median(rates[workers])), "requests/s", peer=f"{workers} worker{'s' if workers > 1 else ''}")
        ratio = statistics.median(two / one for one, two in zip(rates[1], rates[2], strict=True))
        report.add(f"two workers against one, {rows}-row requests", round(ratio, 2), "x", peer="1 worker", bar=BAR, better="higher")


def _rates(scene: Scene, effort: Effort, requests: Sequence[bytes]) -> dict[int, list[float]]:
    rates: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    with _gateway(scene, 1) as one, _gateway(scene, 2) as two:
        ports = {1: one, 2: two}
        for port in ports.values():
            measure(port, requests, CONNECTIONS, effort.seconds)
        for _ in range(effort.rounds):
            for workers, port in ports.items():
                measured = measure(port, requests, CONNECTIONS, effort.seconds)
                assert measured.failures == 0, f"{workers} workers failed {measured.failures} requests"
                rates[workers].append(measured.answers_per_s)
    return rates


def main() -> None:
    """Measure this alone."""
    report = Report("serving-fleet", packages=("uvloop", "httptools", "msgspec"))
    with tempfile.TemporaryDirectory(prefix="lever-bench-") as folder:
        two_workers(set_up(Path(folder)), Effort(), report)
    report.write()


if __name__ == "__main__":
    main()
