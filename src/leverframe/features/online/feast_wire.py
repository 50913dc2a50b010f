"""Feast's bytes: entity keys (serialization version 3), protobuf values and times, and the hash that names a feature in Redis.

Sources: feast ``infra/key_encoding_utils.py`` and ``protos/feast/types/Value.proto`` (0.67); protobuf encoding,
https://protobuf.dev/programming-guides/encoding/; MurmurHash3 x86 32 (Austin Appleby).
"""

import struct
from collections.abc import Sequence
from typing import Literal

from leverframe.core.errors import SchemaMismatch

KeyKind = Literal["text", "int32", "int64"]

STRING = 2
_KEY_TYPES: dict[str, int] = {"text": STRING, "int32": 3, "int64": 4}
_NAN = float("nan")

# Tags of ``feast.types.Value`` that hold one number: field number and wire type.
_INT32, _INT64, _DOUBLE, _FLOAT, _BOOL = 0x18, 0x20, 0x29, 0x35, 0x38
_NULL = b"\x98\x01"


def feast_key(names: Sequence[str], kinds: Sequence[KeyKind], values: Sequence[str]) -> bytes | None:
    """The key of one entity, in the order of its join keys' names as Feast sorts them; None when a value is no such number.

    >>> feast_key(["k"], ["text"], ["A"]).hex()
    '0100000002000000010000006b020000000100000041'
    """
    parts = sorted(zip(names, kinds, values, strict=True))
    head, tail = [struct.pack("<I", len(parts))], []
    for name, kind, value in parts:
        encoded = name.encode()
        head.append(struct.pack("<II", STRING, len(encoded)) + encoded)
        try:
            data = value.encode() if kind == "text" else struct.pack("<i" if kind == "int32" else "<q", int(value))
        except (ValueError, struct.error):
            return None
        tail.append(struct.pack("<II", _KEY_TYPES[kind], len(data)) + data)
    return b"".join((*head, *tail))


def feast_number(data: bytes | None, where: str) -> float:
    """A stored value as float64, NaN when there is none.

    Raises
    ------
    SchemaMismatch: it is not a number (text, bytes or a list).

    >>> feast_number(bytes.fromhex("350000403f"), "w.v"), feast_number(b"", "w.v")
    (0.75, nan)
    """
    if not data or data.startswith(_NULL):
        return _NAN
    tag, rest = data[0], data[1:]
    try:
        if tag == _DOUBLE:
            return float(struct.unpack("<d", rest)[0])
        if tag == _FLOAT:
            return float(struct.unpack("<f", rest)[0])
        if tag in (_INT32, _INT64, _BOOL):
            return float(_signed(_varint(rest, 0)[0]))
    except (struct.error, IndexError):
        pass
    raise SchemaMismatch(
        "Feast holds something that is no number", where=where, expected="a double, float, integer or bool", got=f"tag {data[:2].hex()}"
    )


def feast_time_us(data: bytes | None) -> int | None:
    """A stored protobuf ``Timestamp`` as microseconds, None when there is none.

    >>> feast_time_us(bytes.fromhex("0801108094ebdc03"))
    2000000
    """
    if not data:
        return None
    seconds = nanos = at = 0
    while at < len(data):
        tag = data[at]
        number, at = _varint(data, at + 1)
        if tag == 0x08:
            seconds = _signed(number)
        elif tag == 0x10:
            nanos = _signed(number)
    return seconds * 1_000_000 + nanos // 1_000


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned number of seven bits a byte, lowest first, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
        shift += 7


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def feast_field(view: str, feature: str) -> bytes:
    """What Feast calls a feature in a Redis hash: the MurmurHash3 of ``view:feature``, little endian.

    >>> feast_field("driver_hourly_stats", "trips") == struct.pack("<I", murmur3(b"driver_hourly_stats:trips"))
    True
    """
    return struct.pack("<I", murmur3(f"{view}:{feature}".encode()))


def murmur3(data: bytes, seed: int = 0) -> int:
    """MurmurHash3, x86, 32 bits.

    >>> murmur3(b""), murmur3(b"hello"), murmur3(b"hello, world")
    (0, 613153351, 345750399)
    """
    value = seed
    blocks = len(data) // 4
    for at in range(blocks):
        value ^= _mixed(int.from_bytes(data[4 * at : 4 * at + 4], "little"))
        value = _rotated(value, 13) * 5 + 0xE6546B64 & 0xFFFFFFFF
    if tail := data[4 * blocks :]:
        value ^= _mixed(int.from_bytes(tail, "little"))
    value ^= len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        value = (value ^ value >> shift) * factor & 0xFFFFFFFF
    return value ^ value >> 16


def _mixed(block: int) -> int:
    return _rotated(block * 0xCC9E2D51 & 0xFFFFFFFF, 15) * 0x1B873593 & 0xFFFFFFFF


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> 32 - bits) & 0xFFFFFFFF
