"""One gateway worker's inference in the test's own process, over a real log: for what has to be looked at from inside."""

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tests.serving.installation import read_log

from leverframe.apps.clocks import SystemClock
from leverframe.core.errors import LeverframeError
from leverframe.core.prediction import LogRecord
from leverframe.core.route import Arm, Endpoint, RouteTable
from leverframe.core.segment import Counts
from leverframe.features.online.online import entity_keys
from leverframe.serving.doors.rest import RestInference
from leverframe.serving.engine.lane import NORMAL
from leverframe.serving.engine.models import LoadedVersion, load_version
from leverframe.serving.features.lookup import Lookup
from leverframe.serving.log_segments import SegmentLog
from leverframe.serving.protocol.message import Request, Response
from leverframe.serving.routes.routing import compile_routes
from leverframe.serving.telemetry.counts import Telemetry
from leverframe.serving.walk.inference import Inference
from leverframe.serving.walk.shadow import ShadowQueue

Change = Callable[[LoadedVersion], LoadedVersion]


def arm_of(version: str, **more: Any) -> Arm:
    """An arm for files that are given directly."""
    return Arm(version=version, bundle=f"sha256:{version}", envelope="", role=more.pop("role", "live"), **{"weight": 100.0, **more})


class Worker:
    """Serves ``endpoint`` from ``files`` by version, on the running event loop.

    ``change`` may replace parts of a loaded version, for instance put a spy around its runtime.
    """

    def __init__(self, folder: Path, loop: Any, endpoint: Endpoint, files: Mapping[str, Mapping[str, bytes]], change: Change | None = None):
        self.folder = folder
        self.log = SegmentLog(folder, "w", SystemClock())
        self.shadows = ShadowQueue(loop)
        self.inference = Inference(
            clock=SystemClock(), log=self.log, lookup=Lookup(None, entity_keys), shadows=self.shadows, id_prefix="w-"
        )
        self.rest = RestInference(self.inference, 1 << 20)
        self._files, self._change = files, change
        self.telemetry = Telemetry()
        routes = compile_routes(
            RouteTable(environment="prod", generation=1, issued_at_us=1, endpoints=(endpoint,)), self._load, self.telemetry
        )
        assert not routes.problems, routes.problems
        self.endpoint = routes.endpoints[endpoint.name]

    def _load(self, endpoint: str, arm: Arm) -> LoadedVersion:
        loaded = load_version(endpoint, arm, self._files[arm.version])
        return loaded if self._change is None else self._change(loaded)

    async def ask(
        self, values: list[float], *, timeout_ms: int = 0, priority: int = NORMAL, id: str = "", rows: int = 1
    ) -> tuple[int, Any]:
        """(0, the answer's document) or (1, the refusal's)."""
        document = {"inputs": [{"name": "rows", "shape": [rows, len(values)], "datatype": "FP64", "data": values * rows}]}
        headers = {b"x-request-timeout-ms": str(timeout_ms).encode()} if timeout_ms else {}
        body = json.dumps(document | ({"id": id} if id else {})).encode()
        request = Request(b"POST", b"/v2/models/m/infer", headers, body, time.perf_counter_ns())
        try:
            answer = self.rest.answer(self.endpoint, request, priority=priority)
            response = await answer if isinstance(answer, Awaitable) else answer
        except LeverframeError as error:
            return 1, error.to_dict()
        assert isinstance(response, Response)
        return 0, json.loads(response.body)

    async def finish(self, grace_s: float = 10.0) -> None:
        """Work off unseen jobs."""
        await self.inference.unseen.finish(grace_s)

    def close(self) -> tuple[list[LogRecord], Counts]:
        """Stop; what the log holds."""
        assert not len(self.shadows), "there are unseen jobs left: await finish() first"
        self.log.close()
        for arm in self.endpoint.arms:
            arm.model.close()
        return read_log(self.folder)


def spy_on(score: Callable[[Any], Any], calls: list[tuple[int, int, int]]) -> Callable[[Any], Any]:
    """``score``, noting (start, end, rows) of each call on the clock of ``time.perf_counter_ns``."""

    def spied(matrix: Any) -> Any:
        started = time.perf_counter_ns()
        try:
            return score(matrix)
        finally:
            calls.append((started, time.perf_counter_ns(), len(np.atleast_2d(matrix))))

    return spied
