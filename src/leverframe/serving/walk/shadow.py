"""Unseen scoring: requests that another arm answered, scored when the worker has nothing else to do, dropped first when there is too much.

Each turn of the event loop does one job, if no request came since the last turn, or if unseen work had less than its share lately. So a
request waits for one job at most, and a busy worker's callers do not notice a slow shadow.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter

from leverframe.serving.protocol.tensors import Column
from leverframe.serving.routes.routing import CompiledArm, CompiledEndpoint

QUEUE_MAX = 2048
"""Jobs waiting; one more is dropped and counted."""
QUEUE_ROWS_MAX = 65_536
"""Rows waiting over all jobs."""
SHARE_MAX = 0.25
"""Of a busy worker's time at most this much goes to unseen work; what that leaves behind waits, and is dropped when there is no room."""


@dataclass(frozen=True, slots=True)
class ShadowJob:
    """One request to be scored by ``arm``, as it stood when it was answered."""

    endpoint: CompiledEndpoint
    arm: CompiledArm
    id: str
    asked_at_us: int
    columns: Mapping[str, Column]
    rows: int
    entities: dict[str, str]


class ShadowQueue:
    """A bounded queue worked off between requests."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._answered: Callable[[], int] = lambda: 0
        self._answered_before = -1
        self._jobs: deque[ShadowJob] = deque()
        self._rows = 0
        self._scheduled = False
        self._rest_until = 0.0
        self.score: Callable[[ShadowJob], None] | None = None

    def attach(self, score: Callable[[ShadowJob], None], answered: Callable[[], int]) -> None:
        """Say how a job is done, and how many requests were answered so far: while that grows the worker is busy."""
        self.score, self._answered = score, answered

    def __len__(self) -> int:
        return len(self._jobs)

    def offer(self, job: ShadowJob) -> bool:
        """Queue ``job``; False when there is no room."""
        if len(self._jobs) >= QUEUE_MAX or self._rows + job.rows > QUEUE_ROWS_MAX:
            return False
        self._jobs.append(job)
        self._rows += job.rows
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._work)
        return True

    def _work(self) -> None:
        if not self._jobs:
            self._scheduled = False
            return
        answered = self._answered()
        idle = answered == self._answered_before
        self._answered_before = answered
        started = perf_counter()
        if idle or started >= self._rest_until:
            self._do_one()
            ended = perf_counter()
            self._rest_until = ended + (ended - started) * (1.0 / SHARE_MAX - 1.0)
        self._scheduled = bool(self._jobs)
        if self._scheduled:
            self._loop.call_soon(self._work)

    def _do_one(self) -> None:
        job = self._jobs.popleft()
        self._rows -= job.rows
        assert self.score is not None
        self.score(job)

    def drain(self) -> None:
        """Work off everything (at a stop)."""
        while self._jobs:
            self._do_one()
