"""Names of bytes are digests, and records have exactly one byte form."""

import hashlib
from typing import Any

import msgspec

from leverframe.core.errors import InvalidInput

Digest = str
"""``sha256:`` followed by 64 lower-case hex digits."""

_ENCODER = msgspec.json.Encoder(order="sorted")


def digest_bytes(data: bytes) -> Digest:
    """The SHA-256 name of ``data``.

    >>> digest_bytes(b"")[:14]
    'sha256:e3b0c44'
    """
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def canonical_json(value: Any) -> bytes:
    """The one byte form of a record: JSON, keys sorted, no white space, UTF-8.

    >>> canonical_json({"b": 1, "a": 2})
    b'{"a":2,"b":1}'
    """
    return _ENCODER.encode(value)


def digest_record(value: Any) -> Digest:
    """The digest of a record's canonical JSON."""
    return digest_bytes(canonical_json(value))


def short(digest: Digest) -> str:
    """The first 12 hex digits of a digest, which is what people compare.

    >>> short("sha256:4f2a0c9d8b7e6f5a")
    '4f2a0c9d8b7e'
    """
    return digest.removeprefix("sha256:")[:12]


def check_digest(text: str) -> Digest:
    """Return ``text`` if it is a well-formed digest.

    Raises
    ------
    InvalidInput: anything else, so that a path or a URL can never pass as a name of bytes.
    """
    head, _, tail = text.partition(":")
    if head != "sha256" or len(tail) != 64 or any(c not in "0123456789abcdef" for c in tail):
        raise InvalidInput("not a content digest", where="digest", expected="sha256:<64 hex digits>", got=text[:80])
    return text
