"""The prediction log as the release controller reads it: each record once, in order, and again from a safe mark when it starts over.

A stage is judged by answers of its own route generations only. So the tape keeps *marks*: how far the log was read when the ledger's route
generation was G. Everything before that mark was answered under a generation of at most G, and whoever needs answers of generations above G
may start there. Without marks a restarted worker would read the whole log before it judges a release: minutes, on a log of months.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from leverframe.core.prediction import LogRecord
from leverframe.monitoring.log_reader import LogReader, Position

POLLS_PER_LOOK_MAX = 64
"""Bounds one look; what is left is read by the next."""
MARKS_MAX = 64
"""Marks kept, newest generations first; a release older than all of them reads the log from its start."""
MARK_EVERY_S = 1.0


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Where the reader stood when the ledger's route generation was ``generation``."""

    generation: int
    position: Position


class LogTape:
    """Numbers the log's records from 1; those that were folded are let go of, and read from the files again if the reader starts over.

    Parameters
    ----------
    folder: where the gateway's segments are.
    marks: file the marks are kept in; losing it costs time, nothing else.
    needed: the lowest route generation whose answers are still judged; None when no release is under way.
    """

    def __init__(self, folder: Path, marks: Path, needed: Callable[[], int | None]) -> None:
        self._folder = folder
        self._file = marks
        self._needed = needed
        self._marks = _read(marks)
        self._marked_s = 0.0
        self._reader: LogReader | None = None
        self._first = 0
        self._records: list[LogRecord] = []

    def since(self, since: int) -> Iterator[tuple[int, LogRecord]]:
        """Records after position ``since`` (0: from the start), each with its own position."""
        if self._reader is None or since < self._first:
            self._reader, self._first, self._records = LogReader(self._folder, self.start()), 0, []
        del self._records[: since - self._first]
        self._first = since
        for _ in range(POLLS_PER_LOOK_MAX):
            batch = self._reader.poll()
            if not batch:
                break
            self._records.extend(batch)
        yield from enumerate(self._records, self._first + 1)

    def mark(self, generation: int) -> None:
        """What was read so far was answered under route generations of at most ``generation``: read it from the ledger *after* the log."""
        now_s = time.monotonic()
        if self._reader is None or (generation in self._marks and now_s - self._marked_s < MARK_EVERY_S):
            return
        self._marked_s = now_s
        if generation in self._marks and self._marks[generation] == self._reader.position:
            return
        self._marks[generation] = self._reader.position
        self._marks = dict(sorted(self._marks.items())[-MARKS_MAX:])
        fresh = self._file.with_suffix(".fresh")
        fresh.write_bytes(msgspec.json.encode([Mark(generation=g, position=p) for g, p in self._marks.items()]))
        fresh.replace(self._file)

    def start(self) -> Position | None:
        """Where a reader that starts over begins, and before which nothing is needed any more; None: at the beginning of the log."""
        needed, marks = self._needed(), dict(self._marks)
        safe = [generation for generation in marks if needed is None or generation < needed]
        return marks[max(safe)] if safe else None


def _read(file: Path) -> dict[int, Position]:
    """The marks kept in ``file``; none when there is no such file or it is damaged."""
    try:
        return {mark.generation: mark.position for mark in msgspec.json.decode(file.read_bytes(), type=list[Mark])}
    except (OSError, msgspec.DecodeError):
        return {}
