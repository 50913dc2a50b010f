"""The blobs a snapshot needs, and the marks on blobs that are to be deleted."""

import msgspec

from leverframe.core.command import Transaction
from leverframe.core.dataset import Snapshot
from leverframe.core.digest import Digest
from leverframe.core.errors import Conflict

KIND_DOOMED = "doomed-blob"


class Doomed(msgspec.Struct, frozen=True, kw_only=True):
    """A blob without a name since ``since_us``; its bytes are gone when ``collected_at_us`` is set."""

    digest: Digest
    since_us: int
    why: str
    collected_at_us: int | None = None


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
        held = tx.get(KIND_DOOMED, digest, Doomed)
        if held is None:
            continue
        if held.collected_at_us is None or held.collected_at_us >= snapshot.created_at_us:
            raise Conflict(
                "the same bytes are being deleted just now",
                where=f"dataset {snapshot.dataset}, blob {digest[:19]}",
                got=held.why,
                next_step="offer the rows again in a moment",
            )
        tx.delete(KIND_DOOMED, digest)
