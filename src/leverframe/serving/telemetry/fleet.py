"""A worker among its fleet: it leaves its numbers where the others find them, and speaks for all of them when it is asked."""

import os
from pathlib import Path

import msgspec

from leverframe.core.errors import LeverframeError
from leverframe.core.segment import Counts
from leverframe.serving.telemetry.counts import TelemetryRecord
from leverframe.serving.telemetry.fleet_page import FleetPage, State, Turns, page_path
from leverframe.serving.telemetry.processes import ProcessTally


class WorkerReport(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's numbers at one moment. ``issued_at_us`` is of its route table; ``generation`` is None without one."""

    worker: str
    ready: bool = False
    generation: int | None = None
    issued_at_us: int = 0
    table_problem: str = ""
    log: Counts = Counts()
    log_problem: str = ""
    telemetry: TelemetryRecord = TelemetryRecord()
    connections: int = 0
    lag_s: float = 0.0
    processes: tuple[ProcessTally, ...] = ()


class Colleague(msgspec.Struct, frozen=True, kw_only=True):
    """A worker as the fleet sees it: its report, and what the parent knows of its process."""

    report: WorkerReport
    state: State
    deaths: int
    reason: str
    pid: int
    connections: int

    @property
    def line(self) -> str:
        """What is wrong with the worker, in words; empty when nothing is."""
        if self.state == "quarantined":
            return f"{self.report.worker} is down after {self.deaths} deaths, the last: {self.reason}"
        return f"{self.report.worker} is being replaced: {self.reason}" if self.state != "serving" and self.deaths else ""


class Fleet:
    """The fleet, seen by one of its workers.

    Parameters
    ----------
    folder: the gateway's, where the parent made a page for each of ``workers``.
    worker: this one's name.
    """

    def __init__(self, folder: Path, workers: tuple[str, ...], worker: str) -> None:
        self._pages = {name: FleetPage.open(page_path(folder, name)) for name in workers}
        self._own = self._pages[worker]
        self._worker = worker
        self._pid = os.getpid()
        self.turn = Turns(self._own, tuple(page for name, page in self._pages.items() if name != worker)).mine
        self.problem = ""

    def carry(self, connections: int) -> None:
        """Say how many clients this worker carries."""
        if self._own.pid == self._pid:
            self._own.carry(connections)

    def predecessor(self) -> WorkerReport:
        """The last report of the process that was this worker before; without numbers when there was none."""
        return _report(self._worker, self._own)

    def publish(self, report: WorkerReport) -> None:
        """Beat, and leave ``report`` for the others and for a successor; a worker that was given up leaves its successor's page alone."""
        if self._own.pid != self._pid:
            return
        self._own.beat()
        try:
            self._own.write(msgspec.json.encode(report))
            self.problem = ""
        except LeverframeError as error:
            self.problem = error.sentence()

    def colleagues(self, own: WorkerReport) -> tuple[Colleague, ...]:
        """All workers, this one as in ``own``: published first, so that no later answer, by whomever, knows less."""
        self.publish(own)
        return tuple(
            Colleague(
                report=own if name == self._worker else _report(name, page),
                state="serving" if name == self._worker else page.state,
                deaths=page.deaths,
                reason=page.reason,
                pid=page.pid,
                connections=own.connections if name == self._worker else page.connections,
            )
            for name, page in self._pages.items()
        )


def _report(worker: str, page: FleetPage) -> WorkerReport:
    document = page.read()
    try:
        return msgspec.json.decode(document, type=WorkerReport) if document else WorkerReport(worker=worker)
    except msgspec.MsgspecError:
        return WorkerReport(worker=worker)
