"""Messages between the gateway and a child: a kind, a length, and that many bytes. Standard library only: also runs in the child."""

import os
import struct

HEADER = struct.Struct("<BI")
"""Kind and length of what follows."""
SHAPE = struct.Struct("<II")
"""Rows and score columns, in front of that many little-endian float64."""
READY, SCORE, SCORES, FAULT, UNLOCKED = range(1, 6)
"""From the child: ready, scores, a fault of the model, a lock not to be had. To the child: score these columns (an Arrow stream)."""
MESSAGE_BYTES_MAX = 64 * 1024**2
"""A longer message is refused by whoever would send it, and ends the child when it would receive or announce it."""
FAULT_BYTES_MAX = 2_000
"""A longer account of what went wrong is cut."""


def read_exactly(fd: int, size: int) -> bytes:
    """``size`` bytes from ``fd``, waiting for them.

    Raises
    ------
    EOFError: the other side is gone.
    """
    parts, missing = [], size
    while missing:
        part = os.read(fd, min(missing, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def read_frame(fd: int) -> tuple[int, bytes]:
    """The next message: kind and content.

    Raises
    ------
    EOFError: the other side is gone.    ValueError: it announces more than ``MESSAGE_BYTES_MAX``.
    """
    kind, size = HEADER.unpack(read_exactly(fd, HEADER.size))
    if size > MESSAGE_BYTES_MAX:
        raise ValueError(f"a message of {size} bytes")
    return kind, read_exactly(fd, size)


def write_frame(fd: int, kind: int, content: bytes) -> None:
    """Send one message, waiting until all of it is on its way."""
    waiting = memoryview(HEADER.pack(kind, len(content)) + content)
    while waiting:
        waiting = waiting[os.write(fd, waiting) :]
