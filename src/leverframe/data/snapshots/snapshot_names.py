"""The blobs a snapshot needs, and the marks on blobs that are to be deleted."""

import msgspec

from leverframe.core.clock import DAY_US
from leverframe.core.command import Transaction
from leverframe.core.dataset import Snapshot
from leverframe.core.digest import Digest, short
from leverframe.core.errors import Conflict

KIND_DOOMED = "doomed-blob"
KIND_COLLECTED = "collected-blob"
TAKING_IN_US_MAX = DAY_US
"""Rows are taken in within a day: so long it is remembered that bytes went."""


class Doomed(msgspec.Struct, frozen=True, kw_only=True):
    """A blob without a name since ``since_us``: its bytes are to be deleted."""

    digest: Digest
    since_us: int
    why: str


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """A marked blob whose bytes went at ``at_us``."""

    digest: Digest
    at_us: int
    why: str


def names_of(snapshot: Snapshot) -> set[Digest]:
    """Every blob that ``snapshot`` needs: parts that are not erased, manifest, report, description."""
    gone = set(snapshot.erased.parts) if snapshot.erased is not None else set()
    parts = {part.digest for part in snapshot.blobs} - gone
    manifest = {snapshot.digest} if snapshot.parts else set()
    return {name for name in parts | manifest | {snapshot.report_digest, snapshot.description_digest} if name}


def check_not_doomed(snapshot: Snapshot, tx: Transaction) -> None:
    """Raise Conflict when bytes that ``snapshot`` needs are being deleted, or were deleted while it was taken in.

    Whoever took it in may have found them there and not written them again; a mark that is older than the taking-in ends here.
    """
    for digest in sorted(names_of(snapshot)):
        doomed = tx.get(KIND_DOOMED, digest, Doomed)
        gone = tx.get(KIND_COLLECTED, digest, Collected)
        if doomed is not None or (gone is not None and gone.at_us >= snapshot.created_at_us):
            raise Conflict(
                "the same bytes are being deleted just now",
                where=f"dataset {snapshot.dataset}, blob {short(digest)}",
                got=doomed.why if doomed is not None else gone.why if gone is not None else "",
                next_step="offer the rows again in a moment",
            )
        if gone is not None:
            tx.delete(KIND_COLLECTED, digest)
