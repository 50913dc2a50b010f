"""The clocks an installation can live by: the machine's, or one that a replay moves (decision 0003)."""

import mmap
import os
import struct
import time
from pathlib import Path

from leverframe.core.clock import Clock
from leverframe.core.errors import InvalidInput, Unavailable

_TIME = struct.Struct("<q")


class SystemClock:
    """The machine's clock."""

    def now_us(self) -> int:
        """Microseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1000


class ReplayClock:
    """A moment kept in a memory-mapped file of 8 bytes, shared by every process of an installation.

    Parameters
    ----------
    path: the file; made with the moment 0 when it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if os.fstat(descriptor).st_size < _TIME.size:
                    os.ftruncate(descriptor, _TIME.size)
                self._memory = mmap.mmap(descriptor, _TIME.size)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise Unavailable("the replay clock cannot be opened", where=str(path), got=type(error).__name__) from error

    def now_us(self) -> int:
        """Microseconds since 1970-01-01 UTC, as last set by any process."""
        moment: int = _TIME.unpack_from(self._memory)[0]
        return moment

    def set(self, now_us: int) -> None:
        """Jump to ``now_us`` in every process."""
        _TIME.pack_into(self._memory, 0, now_us)

    def close(self) -> None:
        """Let go of the file."""
        self._memory.close()


def open_clock(spec: str) -> Clock:
    """The clock that ``spec`` names: ``system``, or ``replay:<file>``.

    Raises
    ------
    InvalidInput: anything else.
    """
    kind, _, path = spec.partition(":")
    if kind == "system" and not path:
        return SystemClock()
    if kind == "replay" and path:
        return ReplayClock(Path(path))
    raise InvalidInput("unknown clock", where="clock", expected="system or replay:<file>", got=spec[:80], next_step="set LEVER_CLOCK")
