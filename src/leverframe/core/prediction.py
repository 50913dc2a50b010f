"""What was answered, and what turned out to be true: the records of the prediction log and their byte form.

One log carries both kinds. A frame is ``length:u32 crc32:u32 payload`` (little endian); a zero length ends the written part of a
segment. The payload is MessagePack of a tagged union. A torn or damaged frame is found by its checksum.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Literal

import msgspec

from leverframe.core.errors import Integrity

FRAME = struct.Struct("<II")
Status = Literal["ok", "fallback", "error", "refused"]


class Exposure(msgspec.Struct, frozen=True, array_like=True):
    """Somebody met an arm of an experiment: its id, and the caller's sticky value hashed under the experiment's own salt (64 bits)."""

    experiment: str
    key: int


class PredictionRecord(msgspec.Struct, frozen=True, kw_only=True, tag="p", array_like=True):
    """One answer to one request (all rows of it), by one arm.

    ``id`` is the prediction id (the request's own id, or one made by the gateway). ``role`` tells served answers (``live``, ``canary``)
    from unseen ones (``shadow``, also a mirroring canary). ``outputs`` has one score a row. ``features`` is the model's input matrix,
    little-endian float64, ``rows * columns`` values in signature order. ``missing`` counts values that were absent or expired,
    ``disabled`` those switched off by an operator. ``asked_at_us`` is the gateway's clock when the request came in; ``latency_us`` runs
    from the last byte in to the first byte out. ``more_outputs`` are the other columns of a model with several, little-endian float64,
    row by row. ``routed`` is false when the caller named the version: such answers say nothing of an arm's share of the traffic.
    ``exposure`` is there when the caller took part in an experiment; readers older than that field pass over it.
    """

    id: str
    endpoint: str
    tenant: str
    version: str
    role: Literal["live", "canary", "shadow"]
    generation: int
    asked_at_us: int
    latency_us: int
    status: Status
    outputs: tuple[float, ...]
    features: bytes = b""
    entities: dict[str, str] = {}
    missing: int = 0
    disabled: int = 0
    code: str = ""
    more_outputs: bytes = b""
    routed: bool = True
    exposure: Exposure | None = None


class LabelRecord(msgspec.Struct, frozen=True, kw_only=True, tag="l", array_like=True):
    """What turned out to be true for prediction ``id`` row ``row``; ``known_at_us`` is when the world knew it.

    Without an id, ``entities`` name what was asked about, and ``asked_at_us`` a moment: the label is of the newest prediction for that
    entity asked at or before it.
    """

    id: str
    endpoint: str
    label: float
    known_at_us: int
    row: int = 0
    entities: dict[str, str] = {}
    asked_at_us: int = 0


LogRecord = PredictionRecord | LabelRecord

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(LogRecord)


def encode_frame(record: LogRecord) -> bytes:
    """The frame of ``record``, ready to append."""
    payload = _ENCODER.encode(record)
    return FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def decode_frames(data: bytes | memoryview, offset: int = 0) -> Iterator[tuple[LogRecord, int]]:
    """Yield each record with the offset just after it, stopping at the first unwritten or incomplete frame.

    Raises
    ------
    Integrity: a complete frame whose checksum does not match.
    """
    view = memoryview(data)
    end = len(view)
    while offset + FRAME.size <= end:
        length, crc = FRAME.unpack_from(view, offset)
        start = offset + FRAME.size
        if length == 0 or start + length > end:
            return
        payload = view[start : start + length]
        if zlib.crc32(payload) != crc:
            raise Integrity("prediction log frame is damaged", where=f"offset {offset}")
        offset = start + length
        yield _DECODER.decode(payload), offset
