"""What the monitor has counted, kept in a file: a restarted worker goes on from there, however long the prediction log is.

Position and counts are of one moment, so that no record is counted twice or not at all. Losing the file costs the time to read the log
again.
"""

import zlib
from pathlib import Path

import msgspec

from leverframe.governance.durable_files import write_durably
from leverframe.monitoring.label_match import KeptMatcher
from leverframe.monitoring.log_reader import Position
from leverframe.monitoring.monitor import KeptMonitor
from leverframe.release.evidence.traffic import Meter

FORMAT = 1
"""Raised when what is kept changes: a file of another format is not read."""

KEPT_BYTES_MAX = 1 << 30


class Memory(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Everything that was made of the log up to ``position``."""

    format: int = FORMAT
    position: Position
    matcher: KeptMatcher
    monitor: KeptMonitor
    meters: dict[str, Meter]


def keep(file: Path, memory: Memory) -> None:
    """Write ``memory`` in place of what ``file`` held.

    Raises
    ------
    Unavailable: the disk refuses; the old file is still there.
    """
    write_durably(file, zlib.compress(msgspec.msgpack.encode(memory), level=1), mode=0o600)


def recall(file: Path) -> Memory | None:
    """What ``file`` holds; None when there is none, or it is damaged or of another format."""
    try:
        packed = zlib.decompressobj()
        data = packed.decompress(file.read_bytes(), KEPT_BYTES_MAX)
        memory = msgspec.msgpack.decode(data, type=Memory)
    except (OSError, zlib.error, msgspec.DecodeError):
        return None
    return memory if packed.eof and memory.format == FORMAT else None
