"""A model in a process of its own: asked over a socket pair, replaced when it dies, put into quarantine when it keeps dying.

Whatever the child does, its callers get scores or an error within their time, and nobody else notices.
"""

import asyncio
import shutil
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leverframe.core.errors import InvalidInput, LeverframeError, Overloaded, Unavailable
from leverframe.core.model import IsolatedColumn, IsolatedRuntime
from leverframe.serving.runtimes.isolated import frames
from leverframe.serving.runtimes.isolated.arrow import NUMBER, TEXT, ArrowWriter, Column
from leverframe.serving.runtimes.isolated.keeper import keep
from leverframe.serving.runtimes.isolated.limits import (
    DEATHS_MAX,
    DEATHS_WINDOW_S,
    LOOK_S,
    PAUSE_S,
    ROWS_MAX,
    SCORES_MAX,
    WAITING_MAX,
    Bounds,
)
from leverframe.serving.runtimes.isolated.process import Child, start_process

Float = npt.NDArray[np.float64]


@dataclass
class IsolatedCounts:
    """What became of the requests to one model, and of its processes."""

    requests: int = 0
    rows: int = 0
    failed: int = 0
    starts: int = 0
    deaths: int = 0


class IsolatedModel:
    """One model behind a locked-down child process.

    Parameters
    ----------
    name: for errors and the health page.
    python: the interpreter of the model's environment.    model: the folder with its files.
    folder: belongs to this object alone; the child's scratch folder and log are in it.
    """

    name = "isolated"

    def __init__(
        self, name: str, runtime: IsolatedRuntime, *, python: Path, model: Path, folder: Path, bounds: Bounds | None = None
    ) -> None:
        self.title = name
        self.phase = "stopped"
        """``starting``, ``ready``, ``failed`` (could not be started at first), ``quarantined`` or ``stopped``."""
        self.reason = ""
        """Why the last process ended, or could not be started."""
        self.locks: tuple[str, ...] = ()
        self.counts = IsolatedCounts()
        self._columns = runtime.columns
        self._column = runtime.column
        self._config = {
            "model": str(model),
            "loader": runtime.loader,
            "module": runtime.module,
            "data": runtime.data,
            "code": runtime.code,
            "frame": runtime.frame,
            "types": {column.name: column.kind for column in runtime.columns},
        }
        self._writer = ArrowWriter({column.name: TEXT if column.kind == "text" else NUMBER for column in runtime.columns})
        self._python, self._folder, self._bounds = python, folder, bounds or Bounds()
        self._child: Child | None = None
        self._deaths: deque[float] = deque(maxlen=DEATHS_MAX)
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._life: Future[None] | None = None

    # ---- for any thread and any event loop ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the child and wait until it is ready; not to be called on an event loop.

        Raises
        ------
        Unavailable: a lock cannot be had, the model cannot be loaded, or not in time.
        """
        keep(self._start()).result(self._bounds.start_s + 10.0)
        self._life = keep(self._keep_alive())

    def stop(self) -> None:
        """End the child and remove its folder; returns at once."""
        self.phase = "stopped"
        keep(self._stop())

    def release(self) -> None:
        """Try again after a quarantine."""
        if self.phase == "quarantined":
            self._deaths.clear()
            self._child = None  # its death is counted
            self.phase = "starting"
            self._life = keep(self._keep_alive())

    async def score(self, matrix: Float, *, timeout_s: float | None = None) -> Float:
        """Scores ``[rows]``, or ``[rows, k]`` when the model gives several, of a float64 matrix ``[rows, columns]``.

        Raises
        ------
        InvalidInput: not a matrix of this model.    Overloaded: too many wait.    Unavailable: the model failed, hangs, or is away.
        """
        return await self._asked(self._of_matrix(matrix), len(matrix), timeout_s)

    async def score_columns(self, columns: Mapping[str, Sequence[Any] | Float], *, timeout_s: float | None = None) -> Float:
        """The same for columns by name, text as text."""
        missing = [column.name for column in self._columns if column.name not in columns]
        if missing:
            raise InvalidInput("columns are missing", where=self.title, expected=", ".join(missing)[:200], got=", ".join(columns)[:200])
        given = [_named(column, columns[column.name]) for column in self._columns]
        lengths = {len(values) for values in given}
        if len(lengths) != 1:
            raise InvalidInput(
                "columns of different length", where=self.title, expected="one number of rows", got=str(sorted(lengths))[:100]
            )
        return await self._asked(given, lengths.pop(), timeout_s)

    def score_now(self, matrix: Float, *, timeout_s: float | None = None) -> Float:
        """:meth:`score`, waiting in the caller's thread."""
        columns = self._of_matrix(matrix)
        return keep(self._score(columns, len(matrix), self._time(timeout_s))).result()

    def state(self) -> str:
        """The phase, and why the last process ended."""
        return f"{self.phase}: {self.reason}" if self.reason else self.phase

    def tally(self) -> tuple[int, int, bool]:
        """Starts and deaths of its processes so far, and whether it is quarantined."""
        return self.counts.starts, self.counts.deaths, self.phase == "quarantined"

    def snapshot(self) -> dict[str, object]:
        """For the health page."""
        return {"name": self.title, "state": self.phase, "reason": self.reason, "locks": list(self.locks), **asdict(self.counts)}

    @property
    def pid(self) -> int:
        """The child's process id; 0 when there is none."""
        return self._child.pid if self._child is not None and not self._child.ended.is_set() else 0

    # ---- columns ------------------------------------------------------------------------------------------------------------------------

    def _of_matrix(self, matrix: Float) -> list[Column]:
        if matrix.ndim != 2 or matrix.shape[1] != len(self._columns):
            raise InvalidInput(
                "not a matrix of this model", where=self.title, expected=f"[rows, {len(self._columns)}]", got=str(list(matrix.shape))
            )
        return [_decoded(column, matrix[:, place]) for place, column in enumerate(self._columns)]

    async def _asked(self, columns: Sequence[Column], rows: int, timeout_s: float | None) -> Float:
        # A caller who goes away does not end an exchange half way: the next one would read this one's answer.
        return await asyncio.shield(asyncio.wrap_future(keep(self._score(columns, rows, self._time(timeout_s)))))

    def _time(self, timeout_s: float | None) -> float:
        return self._bounds.score_s if timeout_s is None else min(timeout_s, self._bounds.score_s)

    # ---- on the keeper's loop -----------------------------------------------------------------------------------------------------------

    async def _score(self, columns: Sequence[Column], rows: int, timeout_s: float) -> Float:
        self.counts.requests += 1
        self.counts.rows += rows
        try:
            if not 0 < rows <= ROWS_MAX:
                raise InvalidInput("number of rows out of range", where=self.title, expected=f"1 to {ROWS_MAX}", got=str(rows))
            if self._waiting >= WAITING_MAX:
                raise Overloaded("the model has more work than time", where=self.title, expected=f"at most {WAITING_MAX} waiting")
            self._waiting += 1
            try:
                async with self._turn:
                    return await self._exchange(columns, rows, timeout_s)
            finally:
                self._waiting -= 1
        except LeverframeError:
            self.counts.failed += 1
            raise

    async def _exchange(self, columns: Sequence[Column], rows: int, timeout_s: float) -> Float:
        child = self._child
        if self.phase != "ready" or child is None:
            raise Unavailable(
                f"the model's process is {self.phase}", where=self.title, got=self.reason, next_step="operators: lever rollback"
            )
        content = self._writer.write(columns, rows)
        if len(content) > frames.MESSAGE_BYTES_MAX:
            raise InvalidInput(
                "request too large", where=self.title, expected=f"{frames.MESSAGE_BYTES_MAX} bytes", got=f"{len(content)} bytes"
            )
        size_max = frames.SHAPE.size + 8 * rows * SCORES_MAX
        kind, answer = await child.answer(content, timeout_s, min(size_max, frames.MESSAGE_BYTES_MAX))
        if kind == frames.FAULT:
            self.reason = f"the model failed: {_text(answer)}"
            raise Unavailable("the model failed", where=self.title, got=_text(answer).partition(":")[0])
        scores = _scores(kind, answer, rows)
        if scores is None:
            child.kill("it answered with something else than scores")
            raise Unavailable(
                "the model's process gave no scores", where=self.title, expected=f"float64 [{rows}, k]", got=f"{len(answer)} bytes"
            )
        return self._chosen(scores)

    def _chosen(self, scores: Float) -> Float:
        """The column of the answer that the bundle's record names; all of them when it names none."""
        if self._column < 0:
            return scores
        table = scores.reshape(len(scores), -1)
        if self._column >= table.shape[1]:
            raise Unavailable(
                "the model's answer has no such column",
                where=self.title,
                expected=f"column {self._column}",
                got=f"{table.shape[1]} columns",
            )
        return table[:, self._column]

    async def _start(self) -> None:
        """One start.

        Raises
        ------
        Unavailable: with the reason.
        """
        self.phase = "starting"
        self.counts.starts += 1
        try:
            process, ours = start_process(self._python, self._config, self._folder, self._bounds)
        except OSError as error:
            self.phase, self.reason = "failed", f"cannot be started: {type(error).__name__}"
            raise Unavailable("the model's process cannot be started", where=self.title, got=type(error).__name__) from error
        child = Child(process, self._folder)
        await child.open(ours)
        self._child = child
        try:
            kind, content = await child.answer(None, self._bounds.start_s, frames.FAULT_BYTES_MAX)
        except Unavailable as error:
            self.phase, self.reason = "failed", error.got
            raise Unavailable(
                "the model's process does not start", where=self.title, got=error.got, next_step=f"read {self._folder / 'model.log'}"
            ) from error
        if kind != frames.READY:
            what = "cannot be locked down" if kind == frames.UNLOCKED else "cannot load its model"
            self.phase, self.reason = "failed", f"{what}: {_text(content)}"
            child.kill(self.reason)
            raise Unavailable(
                f"the model's process {what}", where=self.title, got=_text(content)[:300], next_step="nothing weaker is tried"
            )
        self.locks = tuple(_text(content).removeprefix('{"locks": ["').removesuffix('"]}').split('", "'))
        self.phase = "ready"

    async def _keep_alive(self) -> None:
        """Replace the child whenever it dies, until it dies too often."""
        while self.phase != "stopped":
            child = self._child
            if child is not None:
                await self._watch(child)
                if self._stopped():
                    return
                self._note_death(child.reason)
            recent = sum(time.monotonic() - death < DEATHS_WINDOW_S for death in self._deaths)
            if recent >= DEATHS_MAX:
                self.phase = "quarantined"
                self.reason = f"{DEATHS_MAX} deaths within {DEATHS_WINDOW_S:g} s; the last: {self.reason}"
                return
            self.phase = "starting"
            if recent > 1:
                await asyncio.sleep(PAUSE_S * 2 ** (recent - 2))
            if self._stopped():
                return
            with suppress(Unavailable):
                await self._start()
            if self._stopped() and self._child is not None:
                self._child.kill("stopped")

    def _stopped(self) -> bool:
        """Asked after every wait: another thread may have stopped the model meanwhile."""
        return self.phase == "stopped"

    async def _watch(self, child: Child) -> None:
        while not child.ended.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(child.ended.wait(), LOOK_S)
            if not child.ended.is_set():
                child.look(self._bounds)

    def _note_death(self, reason: str) -> None:
        self.counts.deaths += 1
        self.reason = reason
        self._deaths.append(time.monotonic())

    async def _stop(self) -> None:
        if self._child is not None:
            self._child.kill("stopped")
            await self._child.ended.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _decoded(column: IsolatedColumn, values: Float) -> Column:
    """A column of the matrix; of text, the categories at its positions."""
    if column.kind != "text":
        return values
    names: tuple[str | None, ...] = (*column.categories, None)
    known = np.isfinite(values) & (values >= 0) & (values < len(column.categories))
    return [names[place] for place in np.where(known, values, len(column.categories)).astype(np.int64)]


def _named(column: IsolatedColumn, values: Sequence[Any] | Float) -> Column:
    if column.kind == "text":
        return [None if value is None else str(value) for value in values]
    try:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput("not numbers", where=column.name, expected=column.kind, got="other values") from error


def _scores(kind: int, answer: bytes, rows: int) -> Float | None:
    """Scores of an answer, or None: its size must be exactly what its own shape says, and its rows those asked for."""
    if kind != frames.SCORES or len(answer) < frames.SHAPE.size:
        return None
    got, width = frames.SHAPE.unpack_from(answer)
    if got != rows or not 1 <= width <= SCORES_MAX or len(answer) != frames.SHAPE.size + 8 * got * width:
        return None
    scores = np.frombuffer(answer, dtype="<f8", offset=frames.SHAPE.size).astype(np.float64)
    return scores if width == 1 else scores.reshape(rows, width)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
