"""A model's own lane: a costly model is scored a batch at a time beside the event loop, each batch being what came meanwhile.

No request waits for others to come: an idle lane starts at once, a busy one gathers. How many rows a batch takes follows from what batches
were measured to cost and the latency budget. A job whose deadline has passed is dropped before the model is asked, and one that by
measurement would be late is refused when it comes. Everything here runs on the event loop's thread but the scoring itself.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter_ns

import numpy as np
import numpy.typing as npt

from leverframe.core.errors import DeadlineExceeded, LeverframeError, Overloaded, Unavailable
from leverframe.serving.engine.pace import Pace
from leverframe.serving.telemetry.trace import MODEL, QUEUE, Trace

Float = npt.NDArray[np.float64]
ScoreLater = Callable[[Float], Awaitable[Float]]

ROWS_MAX = 1024
"""Rows a batch, unless a single request has more."""
BUDGET_S = 0.02
"""A batch is made no larger than what was scored in this time, or in twice the time of a single row."""
WAITING_ROWS_MAX = 65_536
"""Rows waiting in one lane; more are refused, those of low priority first."""
MARGIN = 0.7
"""A request is taken when by measurement it waits at most this share of its time: in a rush every request waits as long as is taken."""
PATIENCE_S = 1.0
"""A request without a deadline is refused when it would wait longer than this."""
STUCK_S = 10.0
"""A batch that takes longer is given up: its requests are answered by fallback or refused, and so is all that comes until it ends."""
HIGH, NORMAL, LOW, UNSEEN = range(4)
"""Priorities, most urgent first; ``UNSEEN`` is shadow work."""
PRIORITIES = {"high": HIGH, "normal": NORMAL, "low": LOW}


@dataclass(slots=True, eq=False)
class _Job:
    matrix: Float
    deadline_ns: int
    future: asyncio.Future[Float]
    trace: Trace | None
    came_ns: int


@dataclass(slots=True)
class LaneCounts:
    """What became of a lane's jobs. ``expired`` were dropped before the model was asked, ``shed`` refused when they came."""

    batches: int = 0
    rows: int = 0
    expired: int = 0
    shed: int = 0
    failed: int = 0
    waited_us: int = 0
    largest: int = 0
    sizes: list[int] = field(default_factory=lambda: [0] * 12)
    """Batches by size: position ``i`` counts those of less than ``2**i`` rows."""


class Lane:
    """Scores for one loaded model.

    Parameters
    ----------
    name: for errors and the health page.
    score: matrix float64 ``[rows, columns]`` to scores ``[rows]`` or ``[rows, k]``; called in a thread of the lane's own.
    later: the same as an awaitable, for a model in another process (then ``score`` is not used).
    """

    def __init__(
        self,
        name: str,
        score: Callable[[Float], Float] | None = None,
        later: ScoreLater | None = None,
        *,
        budget_s: float = BUDGET_S,
        rows_max: int = ROWS_MAX,
        waiting_rows_max: int = WAITING_ROWS_MAX,
        patience_s: float = PATIENCE_S,
        stuck_s: float = STUCK_S,
    ) -> None:
        assert score is not None or later is not None
        self.name = name
        self.counts = LaneCounts()
        self.pace = Pace(budget_s=budget_s, rows_max=rows_max)
        self.stuck = False
        self._score = score
        self._later = later
        self._waiting_rows_max = waiting_rows_max
        self._patience_ns = int(patience_s * 1e9)
        self._stuck_s = stuck_s
        self._waiting: tuple[deque[_Job], ...] = tuple(deque() for _ in range(4))
        self._rows_at = [0] * len(self._waiting)
        self._running_until_ns = 0
        self._pump: asyncio.Task[None] | None = None
        self._thread: ThreadPoolExecutor | None = None

    @property
    def waiting_rows(self) -> int:
        """Rows that wait for a batch."""
        return sum(self._rows_at)

    def facts(self) -> dict[str, object]:
        """For the health page: what became of the jobs, and what one row and a full batch are expected to cost."""
        rows = self.pace.batch_rows
        return {
            "waiting_rows": self.waiting_rows,
            "stuck": self.stuck,
            "row_ms": round(1000 * self.pace.of(1), 3),
            "batch_rows_max": rows,
            "batch_ms": round(1000 * self.pace.of(rows), 3),
            "batches": self.counts.batches,
            "rows": self.counts.rows,
            "largest": self.counts.largest,
            "sizes": {f"<{2**power}": count for power, count in enumerate(self.counts.sizes) if count},
            "expired": self.counts.expired,
            "shed": self.counts.shed,
            "failed": self.counts.failed,
        }

    def submit(self, matrix: Float, *, deadline_ns: int = 0, priority: int = NORMAL, trace: Trace | None = None) -> asyncio.Future[Float]:
        """The scores of ``matrix``, some time. ``deadline_ns`` is on the clock of ``time.perf_counter_ns``; 0: none.

        Raises
        ------
        DeadlineExceeded: its time is over already.    Overloaded: it would wait too long.    Unavailable: the model is stuck.
        """
        now_ns = perf_counter_ns()
        if deadline_ns and now_ns >= deadline_ns:
            self.counts.expired += 1
            raise self._expired()
        if self.stuck:
            self.counts.failed += 1
            raise self._stuck_error()
        rows = len(matrix)
        self._admit(rows, now_ns, deadline_ns, priority)
        job = _Job(matrix, deadline_ns, asyncio.get_running_loop().create_future(), trace, now_ns)
        self._waiting[priority].append(job)
        self._rows_at[priority] += rows
        if self._pump is None:
            self._pump = asyncio.ensure_future(self._work())
        return job.future

    def close(self) -> None:
        """Let go of the lane's thread once what it does is done."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    # ---- admission --------------------------------------------------------------------------------------------------------------------

    def admit(self, deadline_ns: int, priority: int) -> None:
        """Raise what :meth:`submit` would raise for one more row: asked before a request is even read, refusing costs next to nothing.

        Raises
        ------
        Overloaded: it would wait too long.
        """
        self._admit(1, perf_counter_ns(), deadline_ns, priority)

    def _admit(self, rows: int, now_ns: int, deadline_ns: int, priority: int) -> None:
        """Refuse what would be late by what batches were measured to cost, and what there is no room for."""
        ahead = sum(self._rows_at[: priority + 1])
        if self._pump is None or not ahead:
            return
        wait_ns = max(0, self._running_until_ns - now_ns) + int(1e9 * self.pace.of_all(ahead + rows))
        allowed_ns = MARGIN * (deadline_ns - now_ns) if deadline_ns else self._patience_ns
        if wait_ns > allowed_ns:
            self._shed(f"an answer within {allowed_ns / 1e9:.3g} s", f"{wait_ns / 1e9:.2g} s of work waiting")
        if self.waiting_rows + rows > self._waiting_rows_max and not self._make_room(rows, priority):
            self._shed(f"at most {self._waiting_rows_max} rows waiting", f"{self.waiting_rows + rows}")

    def _shed(self, expected: str, got: str) -> None:
        self.counts.shed += 1
        raise Overloaded(
            "the model has more work than time",
            where=self.name,
            expected=expected,
            got=got,
            next_step="ask again after a second; operators: add a worker",
        )

    def _make_room(self, rows: int, priority: int) -> bool:
        """Drop the newest jobs of lower priority until ``rows`` more fit; False when that is not enough."""
        for lower in range(UNSEEN, priority, -1):
            while self._waiting[lower] and self.waiting_rows + rows > self._waiting_rows_max:
                job = self._waiting[lower].pop()
                self._rows_at[lower] -= len(job.matrix)
                self.counts.shed += 1
                if not job.future.done():
                    job.future.set_exception(Overloaded("a more urgent request took its place", where=self.name))
        return self.waiting_rows + rows <= self._waiting_rows_max

    # ---- batches ----------------------------------------------------------------------------------------------------------------------

    def _take(self) -> list[_Job]:
        """The next batch, most urgent first; what has expired or was given up is left out."""
        taken: list[_Job] = []
        rows, rows_max, now_ns = 0, self.pace.batch_rows, perf_counter_ns()
        width = -1
        for priority, jobs in enumerate(self._waiting):
            while jobs:
                job = jobs[0]
                size = len(job.matrix)
                if taken and (rows + size > rows_max or job.matrix.shape[1] != width):
                    return taken
                jobs.popleft()
                self._rows_at[priority] -= size
                if job.future.done():
                    continue
                if job.deadline_ns and now_ns >= job.deadline_ns:
                    self.counts.expired += 1
                    job.future.set_exception(self._expired())
                    continue
                taken.append(job)
                rows, width = rows + size, job.matrix.shape[1]
        return taken

    async def _work(self) -> None:
        try:
            # The other requests that arrived with this one are read before the first batch is made.
            await asyncio.sleep(0)
            while self.waiting_rows:
                jobs = self._take()
                if jobs:
                    await self._run(jobs)
        finally:
            self._pump = None

    async def _run(self, jobs: list[_Job]) -> None:
        matrix = jobs[0].matrix if len(jobs) == 1 else np.concatenate([job.matrix for job in jobs])
        started_ns = perf_counter_ns()
        self._running_until_ns = started_ns + int(1e9 * self.pace.of(len(matrix)))
        self._count(len(matrix))
        try:
            scores = await self._scores(matrix)
            if len(scores) != len(matrix):
                raise Unavailable("the model gave another number of rows", where=self.name, expected=f"{len(matrix)}", got=f"{len(scores)}")
        except Exception as error:  # whatever the model did, its callers get an answer
            self.counts.failed += 1
            self._fail(jobs, error if isinstance(error, LeverframeError) else Unavailable("the model failed", where=self.name))
            return
        finally:
            self._running_until_ns = 0
        ended_ns = perf_counter_ns()
        self.pace.observe(len(matrix), (ended_ns - started_ns) / 1e9)
        at = 0
        for job in jobs:
            if job.trace is not None:
                job.trace.stage(QUEUE, job.came_ns, started_ns)
                job.trace.stage(MODEL, started_ns, ended_ns)
            end = at + len(job.matrix)
            if not job.future.done():
                job.future.set_result(scores[at:end])
            at = end

    async def _scores(self, matrix: Float) -> Float:
        if self._later is not None:
            return await self._later(matrix)
        assert self._score is not None
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="lane")
        work = asyncio.get_running_loop().run_in_executor(self._thread, self._score, matrix)
        done, _ = await asyncio.wait({work}, timeout=self._stuck_s)
        if not done:
            # A thread cannot be ended; until it ends by itself the model answers nobody, and its neighbours go on.
            self.stuck = True
            work.add_done_callback(self._unstick)
            raise self._stuck_error()
        return work.result()

    def _unstick(self, work: asyncio.Future[Float]) -> None:
        with suppress(Exception):
            work.result()
        self.stuck = False

    def _count(self, rows: int) -> None:
        counts = self.counts
        counts.batches += 1
        counts.rows += rows
        counts.largest = max(counts.largest, rows)
        counts.sizes[min(rows.bit_length(), len(counts.sizes) - 1)] += 1

    def _fail(self, jobs: list[_Job], error: LeverframeError) -> None:
        for job in jobs:
            if not job.future.done():
                job.future.set_exception(error)
        if self.stuck:
            waiting = [job for queue in self._waiting for job in queue]
            for queue in self._waiting:
                queue.clear()
            self._rows_at = [0] * len(self._waiting)
            for job in waiting:
                if not job.future.done():
                    job.future.set_exception(error)

    def _expired(self) -> DeadlineExceeded:
        return DeadlineExceeded("the request's time was over before the model was asked", where=self.name, next_step="allow more time")

    def _stuck_error(self) -> Unavailable:
        return Unavailable(
            "the model does not return",
            where=self.name,
            expected=f"scores within {self._stuck_s:g} s",
            next_step="operators: lever rollback",
        )
