"""The hash chain: every audit entry carries the hash of the one before it, and the digests of the rows it changed."""

import hashlib

import msgspec

from leverframe.core.digest import Digest

GENESIS = "0" * 64
"""What the first entry names as its predecessor."""

_FORMAT = "leverframe.audit/1"
_ENCODER = msgspec.json.Encoder()


class Change(msgspec.Struct, frozen=True, array_like=True):
    """Revision ``revision`` of record (``kind``, ``id``) has this digest (None: the record ended)."""

    kind: str
    id: str
    revision: int
    digest: Digest | None


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One committed command.

    ``at_us`` is the installation's clock (replayed, in a replay) and dates the rows; ``recorded_at_us`` is the machine's clock. ``body``
    and ``result`` are canonical JSON. ``changes`` are ordered by kind and id. ``hash`` covers every other field, ``prev`` included.
    """

    seq: int
    at_us: int
    recorded_at_us: int
    actor: str
    roles: tuple[str, ...]
    action: str
    resource: str
    team: str
    key: str
    command: str
    body: str
    result: str
    changes: tuple[Change, ...]
    policy_ids: tuple[str, ...]
    prev: str
    hash: str = ""


def entry_hash(entry: AuditEntry) -> str:
    """SHA-256 (hex) over the entry's fields in their declared order, as a JSON array; ``hash`` itself is left out.

    An array, because it has one byte form: no key order, no optional white space.
    """
    fields = (
        _FORMAT,
        entry.seq,
        entry.at_us,
        entry.recorded_at_us,
        entry.actor,
        entry.roles,
        entry.action,
        entry.resource,
        entry.team,
        entry.key,
        entry.command,
        entry.body,
        entry.result,
        entry.changes,
        entry.policy_ids,
        entry.prev,
    )
    return hashlib.sha256(_ENCODER.encode(fields)).hexdigest()


def seal(entry: AuditEntry) -> AuditEntry:
    """``entry`` with its hash filled in."""
    return msgspec.structs.replace(entry, hash=entry_hash(entry))


def link_fault(entry: AuditEntry, seq: int, prev: str) -> str:
    """What is wrong with ``entry`` as number ``seq`` after hash ``prev``; empty when nothing is."""
    if entry.seq != seq:
        return f"entry {seq} is missing: {entry.seq} follows {seq - 1}" if entry.seq > seq else f"entry {entry.seq} is out of order"
    if entry.prev != prev:
        return f"entry {seq} does not follow the entry before it"
    if entry_hash(entry) != entry.hash:
        return f"entry {seq} was changed after it was written"
    return ""
