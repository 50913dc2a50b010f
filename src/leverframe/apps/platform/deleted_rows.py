"""Which of the rows that a version was trained on were deleted for good since, and what is left of each snapshot."""

from collections.abc import Mapping

from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views.training import DeletedRows
from leverframe.core.dataset import Snapshot
from leverframe.core.digest import Digest
from leverframe.data.commands import KIND_SNAPSHOT

DELETIONS_MAX = 10_000
"""Deletions that one snapshot is followed through; there is one link a deletion."""


def deleted_rows(parts: Parts, snapshots: Mapping[str, Digest]) -> tuple[DeletedRows, ...]:
    """Every deletion that took rows of these snapshots (by dataset), oldest first; a snapshot that is whole has none."""
    found = []
    parts = parts.whole  # Of what a model was made from, other teams' datasets may be a part, through their views.
    for dataset, digest in sorted(snapshots.items()):
        held = parts.ledger.get(KIND_SNAPSHOT, f"{dataset}/{digest}", Snapshot)
        for _ in range(DELETIONS_MAX):
            gone = held.erased if held is not None else None
            if held is None or gone is None:
                break
            lost = DeletedRows(
                dataset=dataset,
                snapshot=held.digest,
                erasure=gone.id,
                rows=gone.rows,
                rows_before=held.rows,
                parts=len(gone.parts),
                parts_before=len(held.blobs),
                at_us=gone.erased_at_us,
                remains=gone.replaced_by,
            )
            found.append(lost)
            held = parts.ledger.get(KIND_SNAPSHOT, f"{dataset}/{gone.replaced_by}", Snapshot) if gone.replaced_by else None
    return tuple(found)


def remaining(snapshots: Mapping[str, Digest], deleted: tuple[DeletedRows, ...]) -> dict[str, Digest]:
    """What is left of each snapshot: itself, its newest successor, or nothing (empty)."""
    return {**snapshots, **{lost.dataset: lost.remains for lost in deleted}}
