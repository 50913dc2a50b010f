"""The prediction log as the release controller reads it: each record once, in order, and from the start again when it asks for that."""

from collections.abc import Iterator
from pathlib import Path

from leverframe.core.prediction import LogRecord
from leverframe.monitoring.log_reader import LogReader

POLLS_PER_LOOK_MAX = 64
"""Bounds one look; what is left is read by the next."""


class LogTape:
    """Numbers the log's records from 1; those that were folded are let go of, and read from the files again if the reader starts over.

    Parameters
    ----------
    folder: where the gateway's segments are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reader = LogReader(folder)
        self._first = 0
        self._records: list[LogRecord] = []

    def since(self, since: int) -> Iterator[tuple[int, LogRecord]]:
        """Records after position ``since`` (0: from the start), each with its own position."""
        if since < self._first:
            self._reader, self._first, self._records = LogReader(self._folder), 0, []
        del self._records[: since - self._first]
        self._first = since
        for _ in range(POLLS_PER_LOOK_MAX):
            batch = self._reader.poll()
            if not batch:
                break
            self._records.extend(batch)
        yield from enumerate(self._records, self._first + 1)
