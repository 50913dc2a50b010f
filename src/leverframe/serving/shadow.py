"""Unseen scoring: requests that another arm answered, scored after the answer is on its way, dropped first when there is too much."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from leverframe.serving.routing import CompiledArm, CompiledEndpoint
from leverframe.serving.tensors import Column

QUEUE_MAX = 2048
"""Jobs waiting; one more is dropped and counted."""
QUEUE_ROWS_MAX = 65_536
"""Rows waiting over all jobs."""
JOBS_A_TURN = 4
"""Jobs done before the event loop gets to look for requests again."""


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
        self._jobs: deque[ShadowJob] = deque()
        self._rows = 0
        self._scheduled = False
        self.score: Callable[[ShadowJob], None] | None = None

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
        for _ in range(min(JOBS_A_TURN, len(self._jobs))):
            self._do_one()
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
