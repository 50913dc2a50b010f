"""What a gateway says about itself: routes and their age, versions loaded, counts, and anything that is wrong.

Whichever worker of a fleet is asked answers for all of them: counts are sums, the generation is the lowest that any of them runs.
"""

import os
import time
from collections.abc import Iterable, Mapping

import msgspec

from leverframe.core.clock import Clock
from leverframe.core.segment import Counts
from leverframe.serving.log_segments import SegmentLog
from leverframe.serving.routes.routing import CompiledEndpoint
from leverframe.serving.routes.tables import TableFollower
from leverframe.serving.telemetry.counts import ArmKey, ArmStats, Telemetry, together
from leverframe.serving.telemetry.exposition import Family, prometheus
from leverframe.serving.telemetry.fleet import Colleague, Fleet, WorkerReport
from leverframe.serving.telemetry.load import LoadGate
from leverframe.serving.telemetry.processes import PROCESSES_MAX, ProcessTally, process_families
from leverframe.serving.wire.listener import Listener


class Health:
    """Reads the parts of one worker; changes nothing.

    Parameters
    ----------
    fleet: the fleet that the worker belongs to, if it does.
    started_ns: when the gateway was started (monotonic clock); 0: now.
    newest_event_us: the newest event time that look-ups have seen in each view, kept current by who does them.
    """

    def __init__(
        self,
        *,
        worker: str,
        clock: Clock,
        tables: TableFollower,
        log: SegmentLog,
        telemetry: Telemetry,
        gate: LoadGate,
        listener: Listener,
        fleet: Fleet | None = None,
        started_ns: int = 0,
        newest_event_us: Mapping[str, int] | None = None,
    ) -> None:
        self._worker = worker
        self._clock = clock
        self._tables = tables
        self._log = log
        self._telemetry = telemetry
        self._gate = gate
        self._listener = listener
        self._fleet = fleet
        self._started_ns = started_ns or time.monotonic_ns()
        self._newest_event_us = {} if newest_event_us is None else newest_event_us

    @property
    def ready(self) -> bool:
        """Whether requests are answered: there are routes, and the worker is not stopping."""
        return self._tables.routes is not None and not self._listener.stopping

    def report(self) -> WorkerReport:
        """This worker's own numbers."""
        routes = self._tables.routes
        return WorkerReport(
            worker=self._worker,
            ready=self.ready,
            generation=routes.generation if routes else None,
            issued_at_us=routes.table.issued_at_us if routes else 0,
            table_problem=self._tables.problem,
            log=self._log.counts,
            log_problem=self._log.problem,
            telemetry=self._telemetry.record(),
            connections=len(self._listener.connections),
            lag_s=self._gate.lag_s,
            processes=_processes(routes.endpoints.values()) if routes else (),
        )

    def publish(self) -> None:
        """Beat and leave the numbers for the fleet; call a few times a second."""
        if self._fleet is not None:
            self._fleet.publish(self.report())

    def _all(self) -> tuple[Colleague, ...]:
        own = self.report()
        if self._fleet is None:
            return (Colleague(report=own, state="serving", deaths=0, reason="", pid=os.getpid(), connections=own.connections),)
        return self._fleet.colleagues(own)

    def arms(self) -> Mapping[ArmKey, ArmStats]:
        """Endpoint, version and role to the counts of every worker together."""
        return together(each.report.telemetry for each in self._all()).arms()

    def page(self) -> dict[str, object]:
        """The health page."""
        routes, tables, everyone = self._tables.routes, self._tables, self._all()
        reports = [each.report for each in everyone]
        serving = [each.report for each in everyone if each.state == "serving"]
        telemetry, counts = together(report.telemetry for report in reports), _sum(reports)
        now_us = self._clock.now_us()
        problem = "; ".join([*_each(serving, "table_problem"), *filter(None, (each.line for each in everyone))])
        return {
            "ready": self.ready,
            "worker": self._worker,
            "environment": routes.table.environment if routes else "",
            "generation": _lowest(serving),
            "table": {
                "issued_at_us": routes.table.issued_at_us if routes else None,
                "age_s": (now_us - routes.table.issued_at_us) / 1e6 if routes else None,
                "source": tables.source,
                "seen_s_ago": round(time.monotonic() - tables.looked_at, 3) if tables.looked_at else None,
                "problem": problem,
            },
            "endpoints": [_endpoint(endpoint, routes.problems) for endpoint in routes.endpoints.values()] if routes else [],
            "log": {**msgspec.to_builtins(counts), "adds_up": counts.adds_up, "problem": "; ".join(_each(serving, "log_problem"))},
            "answers": {
                f"{endpoint}/{version}/{role}": {"ok": s.ok, "fallback": s.fallbacks, "error": s.errors, "refused": s.refused}
                for (endpoint, version, role), s in telemetry.arms().items()
            },
            "views": {
                view: {"newest_event_us": event_us, "age_s": (now_us - event_us) / 1e6} for view, event_us in self._newest_event_us.items()
            },
            "refusals": telemetry.refusals,
            "table_swaps": telemetry.swaps,
            "table_refusals": telemetry.swap_failures,
            "connections": sum(each.connections for each in everyone),
            "loop_lag_s": round(max((report.lag_s for report in serving), default=0.0), 4),
            "shed": telemetry.shed,
            "uptime_s": round((time.monotonic_ns() - self._started_ns) / 1e9, 3),
            "now_us": now_us,
            "workers": [_worker(each) for each in everyone],
        }

    def metrics(self) -> bytes:
        """The same as Prometheus text."""
        routes, everyone = self._tables.routes, self._all()
        reports = [each.report for each in everyone]
        serving = [each.report for each in everyone if each.state == "serving"]
        gauges = {
            "ready": float(self.ready),
            "generation": float(_lowest(serving) or 0),
            "table_age_seconds": (self._clock.now_us() - routes.table.issued_at_us) / 1e6 if routes else 0.0,
            "table_problem": float(any(report.table_problem for report in serving)),
            "log_problem": float(any(report.log_problem for report in serving)),
            "connections": float(sum(each.connections for each in everyone)),
            "loop_lag_seconds": max((report.lag_s for report in serving), default=0.0),
            "workers": float(len(everyone)),
            "workers_serving": float(len(serving)),
            "workers_quarantined": float(sum(each.state == "quarantined" for each in everyone)),
        }
        families = (
            Family(name="worker_up", kind="gauge", labels=("worker",), values={(e.report.worker,): e.state == "serving" for e in everyone}),
            Family(name="worker_deaths_total", kind="counter", labels=("worker",), values={(e.report.worker,): e.deaths for e in everyone}),
            *process_families(tally for report in reports for tally in report.processes),
        )
        return prometheus(together(report.telemetry for report in reports), _sum(reports), gauges, families)


def _processes(endpoints: Iterable[CompiledEndpoint]) -> tuple[ProcessTally, ...]:
    found: list[ProcessTally] = []
    for endpoint in endpoints:
        for arm in endpoint.arms:
            if arm.model.remote is not None and len(found) < PROCESSES_MAX:
                starts, deaths, stuck = arm.model.remote.tally()
                name = endpoint.record.name
                found.append(ProcessTally(endpoint=name, version=arm.version, starts=starts, deaths=deaths, quarantined=stuck))
    return tuple(found)


def _sum(reports: list[WorkerReport]) -> Counts:
    counts = Counts()
    for report in reports:
        counts = counts.plus(report.log)
    return counts


def _lowest(reports: list[WorkerReport]) -> int | None:
    """The generation that every worker has at least; None while one of them has none."""
    generations = [report.generation for report in reports]
    known = [generation for generation in generations if generation is not None]
    return min(known) if known and len(known) == len(generations) else None


def _each(reports: list[WorkerReport], field: str) -> list[str]:
    """What is wrong, once however many workers say it."""
    return sorted({problem for report in reports if (problem := getattr(report, field))})


def _worker(each: Colleague) -> dict[str, object]:
    report, up = each.report, each.state == "serving"
    return {
        "worker": report.worker,
        "state": each.state,
        "pid": each.pid,
        "deaths": each.deaths,
        "last_death": each.reason,
        "generation": report.generation,
        "connections": each.connections,
        "loop_lag_s": round(report.lag_s, 4) if up else 0.0,
        "log": msgspec.to_builtins(report.log),
    }


def _endpoint(endpoint: CompiledEndpoint, problems: Mapping[str, str]) -> dict[str, object]:
    """One endpoint as this worker serves it; lanes and kept answers are the worker's own."""
    record = endpoint.record
    return {
        "name": record.name,
        "release": record.release,
        "killed": record.killed,
        "pinned": record.pinned,
        "disabled_features": record.disabled_features,
        "fallback": record.fallback.value,
        "last_good": endpoint.last_good.version if endpoint.last_good else None,
        "deadline_ms": record.deadline_ms,
        "problem": problems.get(record.name, ""),
        "arms": [
            {
                "version": arm.version,
                "role": arm.arm.role,
                "weight": arm.arm.weight,
                "mirror": arm.arm.mirror,
                "bundle": arm.arm.bundle,
                "runtimes": arm.model.runtimes,
                "process": arm.model.remote.state() if arm.model.remote else None,
                "lane": arm.model.lane.facts() if arm.model.lane else None,
                "cache": arm.model.cache.facts() if arm.model.cache else None,
            }
            for arm in endpoint.arms
        ],
    }
