"""Blobs that no record names any more: marked with the last record's end, deleted afterwards, and recorded as gone (decision 0026)."""

from collections.abc import Iterable

from leverframe.core.command import Transaction
from leverframe.core.dataset import Snapshot
from leverframe.core.digest import Digest
from leverframe.core.errors import Conflict
from leverframe.data.commands import KIND_DELIVERY, KIND_QUARANTINE, KIND_SNAPSHOT, Delivery, Quarantine
from leverframe.data.snapshots.snapshot_names import KIND_COLLECTED, KIND_DOOMED, TAKING_IN_US_MAX, Collected, Doomed, names_of

NOTES_ENDED_MAX = 10_000
"""At most so many notes of what went are ended by one command; the next ends more."""


def doom(digests: Iterable[Digest], why: str, tx: Transaction) -> tuple[Digest, ...]:
    """Mark those of ``digests`` that nothing names as this transaction leaves it; returns them."""
    named = _named(tx)
    marked = tuple(sorted({digest for digest in digests if digest and digest not in named}))
    for digest in marked:
        tx.put(KIND_DOOMED, digest, Doomed(digest=digest, since_us=tx.now_us, why=why))
    return marked


def _named(tx: Transaction) -> set[Digest]:
    """Every blob that a snapshot or a quarantine record needs. Parts that an erasure took are needed by nobody."""
    named: set[Digest] = set()
    for snapshot in tx.find(KIND_SNAPSHOT, Snapshot):
        named |= names_of(snapshot)
    for held in tx.find(KIND_QUARANTINE, Quarantine):
        named |= {held.digest, held.report_digest}
    for became in tx.find(KIND_DELIVERY, Delivery):
        named.add(became.report_digest)
    return named


def collected(digests: Iterable[Digest], tx: Transaction) -> int:
    """Note that the bytes of marked ``digests`` are gone; how many were marked. Notes older than any taking-in of rows end here.

    Raises
    ------
    Conflict: one of them is named again, so its bytes had to stay.
    """
    named, noted = _named(tx), 0
    for digest in digests:
        held = tx.get(KIND_DOOMED, digest, Doomed)
        if held is None:
            continue
        if digest in named:
            raise Conflict("a blob that is being deleted is named again", where=digest, next_step="restore the artifact store")
        tx.delete(KIND_DOOMED, digest)
        tx.put(KIND_COLLECTED, digest, Collected(digest=digest, at_us=tx.now_us, why=held.why))
        noted += 1
    old = [each for each in tx.find(KIND_COLLECTED, Collected) if tx.now_us - each.at_us > TAKING_IN_US_MAX]
    for each in old[:NOTES_ENDED_MAX]:
        tx.delete(KIND_COLLECTED, each.digest)
    return noted
