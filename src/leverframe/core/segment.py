"""Segments of the prediction log: how the file of one gateway worker is named and laid out. Pure packing, no I/O.

A worker appends to ``<worker>-<number>.open``; when the segment is full or old it is cut to size and renamed ``.sealed``, after which it
never changes. ``<worker>.totals`` is a header alone: it keeps the counts while a full disk leaves no room for a segment.

::

    0     fixed part    magic, data offset, worker, number, opened_at_us, counts when the segment was opened
    192   moving part   sealed_at_us (0: open), used, counts now
    512   frames        see core.prediction; the bytes in [512, used) are committed, anything after them is not

A record's bytes are written before ``used`` moves past them, and ``used`` moves before the answer is sent. So a reader that takes ``used``
first sees whole frames only, and an answer that reached its caller is in the log although the process was killed right after. Counts are
totals of the worker since it first started: they only grow, and those of its newest header are the worker's. Readers use ``read``, not a
mapping: sealing cuts the file.
"""

import struct
from typing import Any

import msgspec

from leverframe.core.errors import Integrity, InvalidInput

MAGIC = b"LVRSEG\x00\x01"
DATA_OFFSET = 512
MOVING_OFFSET = 192
OPEN = ".open"
SEALED = ".sealed"
TOTALS = ".totals"
WORKER_CHARS_MAX = 48

_FIXED = struct.Struct("<8sI4x48sQq7Q")
MOVING = struct.Struct("<qQ7Q")
LOGGED = struct.Struct("<QQQ")
"""Of the moving part, what an answer that was logged moves: ``used``, served and logged."""
LOGGED_OFFSET = MOVING_OFFSET + 8


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a worker's answers, in records.

    Every answer that an arm gave (whatever its status) is served, and it is either logged or dropped. Unseen answers (role ``shadow``) and
    labels are counted beside them.
    """

    served: int = 0
    logged: int = 0
    dropped: int = 0
    shadows_logged: int = 0
    shadows_dropped: int = 0
    labels_logged: int = 0
    labels_dropped: int = 0

    @property
    def adds_up(self) -> bool:
        """Whether served = logged + dropped."""
        return self.served == self.logged + self.dropped

    def highest(self, other: "Counts") -> "Counts":
        """The larger of each count: totals only grow, so of two headers of a worker this is the truth."""
        return Counts(**{name: max(getattr(self, name), getattr(other, name)) for name in self.__struct_fields__})

    def plus(self, other: "Counts") -> "Counts":
        """The sum of each count, for totals over workers."""
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


class SegmentHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The first 512 bytes of a segment. ``used`` is the offset just after the last committed frame."""

    worker: str
    number: int
    opened_at_us: int
    sealed_at_us: int = 0
    used: int = DATA_OFFSET
    before: Counts = Counts()
    counts: Counts = Counts()


class SegmentName(msgspec.Struct, frozen=True, kw_only=True):
    """Who wrote a segment, which one it is, and whether it can still grow."""

    worker: str
    number: int
    sealed: bool


def check_worker(worker: str) -> str:
    """Return ``worker`` if it can name files.

    Raises
    ------
    InvalidInput: other than 1 to 48 ASCII letters, digits, ``_`` and ``-``.
    """
    if not worker.isascii() or not worker.replace("-", "").replace("_", "").isalnum() or len(worker) > WORKER_CHARS_MAX:
        raise InvalidInput("a worker's name cannot name a file", where="worker", expected="letters, digits, _ and -", got=worker[:60])
    return worker


def segment_name(worker: str, number: int, *, sealed: bool) -> str:
    """The file name of a segment.

    >>> segment_name("gw-0", 3, sealed=False)
    'gw-0-00000003.open'
    """
    return f"{worker}-{number:08d}{SEALED if sealed else OPEN}"


def parse_segment_name(name: str) -> SegmentName | None:
    """What a file name says, or None when it is not a segment's.

    >>> parse_segment_name("gw-0-00000003.sealed")
    SegmentName(worker='gw-0', number=3, sealed=True)
    >>> parse_segment_name("gw-0.totals") is None
    True
    """
    stem, dot, suffix = name.rpartition(".")
    worker, dash, number = stem.rpartition("-")
    if not (dot and dash and worker) or f".{suffix}" not in (OPEN, SEALED) or not (number.isascii() and number.isdigit()):
        return None
    return SegmentName(worker=worker, number=int(number), sealed=f".{suffix}" == SEALED)


def pack_header(header: SegmentHeader) -> bytes:
    """The 512 bytes that ``header`` is on disk."""
    worker = check_worker(header.worker).encode()
    fixed = _FIXED.pack(MAGIC, DATA_OFFSET, worker, header.number, header.opened_at_us, *msgspec.structs.astuple(header.before))
    moving = MOVING.pack(header.sealed_at_us, header.used, *msgspec.structs.astuple(header.counts))
    return (fixed.ljust(MOVING_OFFSET, b"\0") + moving).ljust(DATA_OFFSET, b"\0")


def unpack_header(data: "bytes | memoryview[Any]") -> SegmentHeader:
    """The header that starts ``data``.

    Raises
    ------
    Integrity: not a segment, or cut short.

    >>> header = SegmentHeader(worker="gw-0", number=1, opened_at_us=5, counts=Counts(served=2, logged=2))
    >>> unpack_header(pack_header(header)) == header
    True
    """
    if len(data) < DATA_OFFSET:
        raise Integrity("a segment's header is cut short", expected=f"{DATA_OFFSET} bytes", got=f"{len(data)} bytes")
    magic, offset, worker, number, opened_at_us, *before = _FIXED.unpack_from(data)
    if magic != MAGIC or offset != DATA_OFFSET:
        raise Integrity("not a prediction-log segment", expected=MAGIC.hex(), got=bytes(magic).hex())
    sealed_at_us, used, *counts = MOVING.unpack_from(data, MOVING_OFFSET)
    names = Counts.__struct_fields__
    return SegmentHeader(
        worker=worker.rstrip(b"\0").decode("ascii", "replace"),
        number=number,
        opened_at_us=opened_at_us,
        sealed_at_us=sealed_at_us,
        used=used,
        before=Counts(**dict(zip(names, before, strict=True))),
        counts=Counts(**dict(zip(names, counts, strict=True))),
    )
