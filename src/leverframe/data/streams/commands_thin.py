"""What can be asked of what a stream's batches left: let a window's last snapshot stand for the others, gather what was set aside."""

from typing import Any, ClassVar

import msgspec

from leverframe.core.command import Handles, Transaction
from leverframe.core.dataset import Snapshot
from leverframe.core.digest import Digest, check_digest
from leverframe.core.errors import Conflict, Refused
from leverframe.data.commands import KIND_DATASET, KIND_QUARANTINE, KIND_SNAPSHOT, Dataset, Quarantine
from leverframe.data.of_dataset import OfDataset, contract_of_team
from leverframe.data.retention.doomed import doom
from leverframe.data.retention.retention import SETTLE_US
from leverframe.data.snapshots.snapshot_names import names_of
from leverframe.data.streams.thin import Thinned


class ThinBatches(OfDataset, frozen=True, kw_only=True):
    """In each of ``windows`` one batch's snapshot stands for those before it."""

    action: ClassVar[str] = "Data.Retain"
    windows: tuple[Thinned, ...]


class GatherAside(OfDataset, frozen=True, kw_only=True):
    """What batches set aside as ``old`` is one blob from now on, ``digest``, with one report; all of it is there."""

    action: ClassVar[str] = "Data.Retain"
    old: tuple[Digest, ...]
    digest: Digest
    report_digest: Digest


def thin_batches(command: ThinBatches, tx: Transaction) -> dict[str, Any]:
    """End the records, give those that stay the report of all, and mark the blobs that nothing names any more.

    Raises
    ------
    Refused: rows of another team; a snapshot that no batch made, the newest, or one younger than an hour.
    Conflict: a snapshot went, or lost rows to a deletion, since the windows were looked at.
    """
    contract_of_team(command.dataset, command.owner_team, tx)
    pointer = tx.get(KIND_DATASET, command.dataset, Dataset)
    names: set[Digest] = set()
    for window in command.windows:
        kept = _of_batch(command.dataset, window.kept, tx)
        if kept.erased is not None:
            raise Conflict("rows were deleted meanwhile", where=f"{command.dataset}/{window.kept}", next_step="the worker looks again")
        for digest in window.going:
            going = _of_batch(command.dataset, digest, tx)
            since_us = going.erased.erased_at_us if going.erased is not None else going.created_at_us
            if digest == window.kept or (pointer is not None and pointer.snapshot == digest) or tx.now_us - since_us < SETTLE_US:
                where = f"{command.dataset}/{digest}"
                raise Refused("the newest snapshot, and one younger than an hour, is always kept", where=where)
            names |= names_of(going)
            tx.delete(KIND_SNAPSHOT, f"{command.dataset}/{digest}")
        names.add(kept.report_digest)
        tx.put(
            KIND_SNAPSHOT,
            f"{command.dataset}/{window.kept}",
            msgspec.structs.replace(kept, report_digest=check_digest(window.report_digest)),
        )
    blobs = doom(names, f"thinning of {command.dataset}", tx)
    return {"dataset": command.dataset, "snapshots": sum(len(window.going) for window in command.windows), "blobs": len(blobs)}


def gather_aside(command: GatherAside, tx: Transaction) -> dict[str, Any]:
    """Put one record in the place of several, and mark the blobs that nothing names any more.

    Raises
    ------
    Refused: rows of another team; what no stream set aside, or two of them.    Conflict: one of them went, or was cleaned of a person.
    """
    contract_of_team(command.dataset, command.owner_team, tx)
    held = [tx.get(KIND_QUARANTINE, f"{command.dataset}/{digest}", Quarantine) for digest in command.old]
    found = [each for each in held if each is not None]
    if len(found) != len(held) or not found:
        raise Conflict("what was set aside has changed", where=f"quarantine of {command.dataset}", next_step="the worker looks again")
    if len({(each.stream, each.contract_version, each.whole) for each in found}) != 1 or not found[0].stream:
        raise Refused("only what one stream set aside is gathered", where=f"quarantine of {command.dataset}")
    for each in found:
        tx.delete(KIND_QUARANTINE, f"{command.dataset}/{each.digest}")
    gathered = msgspec.structs.replace(
        found[-1],
        digest=check_digest(command.digest),
        report_digest=check_digest(command.report_digest),
        rows=sum(each.rows for each in found),
        reasons=tuple(sorted({reason for each in found for reason in each.reasons})),
    )
    tx.put(KIND_QUARANTINE, f"{command.dataset}/{gathered.digest}", gathered)
    blobs = doom({name for each in found for name in (each.digest, each.report_digest)}, f"thinning of {command.dataset}", tx)
    return {"dataset": command.dataset, "gathered": len(found), "rows": gathered.rows, "blobs": len(blobs)}


def _of_batch(dataset: str, digest: Digest, tx: Transaction) -> Snapshot:
    found = tx.get(KIND_SNAPSHOT, f"{dataset}/{digest}", Snapshot)
    if found is None:
        raise Conflict("a snapshot went meanwhile", where=f"{dataset}/{digest}", next_step="the worker looks again")
    if not found.stream:
        raise Refused("only what a stream's batches left is thinned", where=f"{dataset}/{digest}", next_step="lever data retention set")
    return found


HANDLERS: tuple[Handles, ...] = (
    Handles(command=ThinBatches, run=thin_batches),
    Handles(command=GatherAside, run=gather_aside),
)
