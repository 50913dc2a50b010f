"""What a gateway says about itself: routes and their age, versions loaded, counts, and anything that is wrong."""

import time

import msgspec

from leverframe.core.clock import Clock
from leverframe.serving.limits import LoadGate
from leverframe.serving.listener import Listener
from leverframe.serving.log_segments import SegmentLog
from leverframe.serving.routing import CompiledEndpoint
from leverframe.serving.tables import TableFollower
from leverframe.serving.telemetry import Telemetry


class Health:
    """Reads the parts of one worker; changes nothing."""

    def __init__(
        self, *, worker: str, clock: Clock, tables: TableFollower, log: SegmentLog, telemetry: Telemetry, gate: LoadGate, listener: Listener
    ) -> None:
        self._worker = worker
        self._clock = clock
        self._tables = tables
        self._log = log
        self._telemetry = telemetry
        self._gate = gate
        self._listener = listener
        self._started = time.monotonic()

    @property
    def ready(self) -> bool:
        """Whether requests are answered: there are routes, and the worker is not stopping."""
        return self._tables.routes is not None and not self._listener.stopping

    def page(self) -> dict[str, object]:
        """The health page."""
        routes, tables = self._tables.routes, self._tables
        now_us = self._clock.now_us()
        counts = self._log.counts
        return {
            "ready": self.ready,
            "worker": self._worker,
            "environment": routes.table.environment if routes else "",
            "generation": routes.generation if routes else None,
            "table": {
                "issued_at_us": routes.table.issued_at_us if routes else None,
                "age_s": (now_us - routes.table.issued_at_us) / 1e6 if routes else None,
                "source": tables.source,
                "seen_s_ago": round(time.monotonic() - tables.looked_at, 3) if tables.looked_at else None,
                "problem": tables.problem,
            },
            "endpoints": [_endpoint(endpoint) for endpoint in routes.endpoints.values()] if routes else [],
            "log": {**msgspec.to_builtins(counts), "adds_up": counts.adds_up, "problem": self._log.problem},
            "answers": {
                f"{endpoint}/{version}/{role}": {"ok": s.ok, "fallback": s.fallbacks, "error": s.errors, "refused": s.refused}
                for (endpoint, version, role), s in self._telemetry.arms().items()
            },
            "refusals": self._telemetry.refusals,
            "table_swaps": self._telemetry.swaps,
            "table_refusals": self._telemetry.swap_failures,
            "connections": len(self._listener.connections),
            "loop_lag_s": round(self._gate.lag_s, 4),
            "shed": self._telemetry.shed,
            "uptime_s": round(time.monotonic() - self._started, 3),
            "now_us": now_us,
        }

    def metrics(self) -> bytes:
        """The same as Prometheus text."""
        routes = self._tables.routes
        gauges = {
            "ready": float(self.ready),
            "generation": float(routes.generation if routes else 0),
            "table_age_seconds": (self._clock.now_us() - routes.table.issued_at_us) / 1e6 if routes else 0.0,
            "table_problem": float(bool(self._tables.problem)),
            "log_problem": float(bool(self._log.problem)),
            "connections": float(len(self._listener.connections)),
            "loop_lag_seconds": self._gate.lag_s,
        }
        return self._telemetry.prometheus(self._log.counts, gauges)


def _endpoint(endpoint: CompiledEndpoint) -> dict[str, object]:
    record = endpoint.record
    return {
        "name": record.name,
        "release": record.release,
        "killed": record.killed,
        "pinned": record.pinned,
        "disabled_features": record.disabled_features,
        "fallback": record.fallback.value,
        "arms": [
            {
                "version": arm.version,
                "role": arm.arm.role,
                "weight": arm.arm.weight,
                "mirror": arm.arm.mirror,
                "bundle": arm.arm.bundle,
                "runtimes": arm.model.runtimes,
            }
            for arm in endpoint.arms
        ],
    }
