"""What can be asked about a person's rows: delete them, note what was replaced, note that it is done. No command holds the person's key."""

from typing import Any, ClassVar, Literal

import msgspec

from leverframe.core.command import Handles, Transaction
from leverframe.core.dataset import Erasure, Snapshot
from leverframe.core.digest import Digest
from leverframe.core.errors import Conflict, InvalidInput, NotFound, Refused
from leverframe.data.commands import KIND_DATASET, KIND_QUARANTINE, KIND_SNAPSHOT, Dataset, Quarantine
from leverframe.data.of_dataset import OfDataset, contract_of_team
from leverframe.data.retention.doomed import doom
from leverframe.data.snapshots.snapshot_names import check_not_doomed, names_of

KIND_ERASURE = "erasure"
KIND_ERASURE_DUE = "erasure-due"
REASON_CHARACTERS_MAX = 500


class Replaced(msgspec.Struct, frozen=True, kw_only=True):
    """``old`` lost ``rows`` rows and the parts ``gone``; ``new`` is what remains of it (None: nothing)."""

    old: Digest
    gone: tuple[Digest, ...]
    rows: int
    new: Snapshot | None = None


class ErasureRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The deletion of one person: asked by whom and why, and what it did so far. ``subject`` is a keyed hash, never the key.

    ``replaced`` maps the old snapshots (``dataset/digest``) to the new ones; ``unsearched`` are columns of which nothing is stored.
    ``online`` values of entities went from the store, of which ``recomputed`` have one again, of the remaining rows; ``predictions`` are
    records of the prediction log that name nobody any more, ``intermediates`` outputs of training steps that held the rows.
    """

    id: str
    dataset: str
    column: str
    subject: str
    reason: str
    asked_by: str
    asked_at_us: int
    status: Literal["asked", "done"] = "asked"
    rows: int = 0
    quarantined: int = 0
    online: int = 0
    recomputed: int = 0
    predictions: int = 0
    intermediates: int = 0
    replaced: dict[str, str] = {}
    unsearched: tuple[str, ...] = ()
    finished_at_us: int | None = None


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """An erasure that is not done yet."""

    id: str


class AskErasure(OfDataset, frozen=True, kw_only=True):
    """Delete every row of the person that ``subject`` stands for, found by ``column`` and all that reference it."""

    action: ClassVar[str] = "Data.Forget"
    id: str
    column: str
    subject: str
    reason: str


class RecordErased(OfDataset, frozen=True, kw_only=True):
    """The new snapshots of one dataset in place of the old; ``seen`` are all that were searched.

    ``aside`` maps blobs in quarantine that held the person to what remains of them (empty: nothing).
    """

    action: ClassVar[str] = "Data.Erase"
    id: str
    seen: tuple[Digest, ...]
    replaced: tuple[Replaced, ...]
    aside: dict[Digest, Digest] = {}


class DropIntermediates(OfDataset, frozen=True, kw_only=True):
    """Delete ``blobs`` that training steps made of the rows; so many at once as fit into a command."""

    action: ClassVar[str] = "Data.Erase"
    id: str
    blobs: tuple[Digest, ...]


class FinishErasure(OfDataset, frozen=True, kw_only=True):
    """Everything of it is done."""

    action: ClassVar[str] = "Data.Erase"
    id: str
    online: int
    recomputed: int = 0
    predictions: int = 0
    unsearched: tuple[str, ...] = ()


def ask_erasure(command: AskErasure, tx: Transaction) -> dict[str, Any]:
    """Put the deletion on record, for the worker to carry out.

    Raises
    ------
    NotFound: no such dataset or column.  Refused: the column is not personal, or nothing of it is stored.  InvalidInput: no reason.
    """
    contract = contract_of_team(command.dataset, command.owner_team, tx)
    column = next((each for each in contract.columns if each.name == command.column), None)
    if column is None:
        raise NotFound("no such column", where=f"{command.dataset}.{command.column[:80]}")
    if not column.personal:
        step = "mark the column as personal in the contract"
        raise Refused("not the key of a person", where=f"{command.dataset}.{column.name}", expected="a personal column", next_step=step)
    if column.treatment in ("mask", "drop"):
        raise Refused("nothing of this column is stored, so nobody is found by it", where=f"{command.dataset}.{column.name}")
    if not command.reason.strip() or len(command.reason) > REASON_CHARACTERS_MAX:
        raise InvalidInput("a deletion needs a reason", where="reason", expected=f"1 to {REASON_CHARACTERS_MAX} characters")
    record = ErasureRecord(
        id=command.id,
        dataset=command.dataset,
        column=command.column,
        subject=command.subject,
        reason=command.reason,
        asked_by=tx.actor.subject,
        asked_at_us=tx.now_us,
    )
    tx.put(KIND_ERASURE, command.id, record)
    tx.put(KIND_ERASURE_DUE, command.id, Due(id=command.id))
    return {"id": command.id}


def record_erased(command: RecordErased, tx: Transaction) -> dict[str, Any]:
    """Put the new snapshots in the place of the old, leave tombstones, move the pointer, mark the bytes: all of it or nothing.

    Raises
    ------
    Conflict: a snapshot came that was not searched, or one changed.
    """
    record = _erasure(command.id, tx)
    held = {each.digest: each for each in tx.find(KIND_SNAPSHOT, Snapshot, prefix=f"{command.dataset}/") if each.erased is None}
    if not held.keys() <= set(command.seen) or not {each.old for each in command.replaced} <= held.keys():
        raise Conflict("other rows came meanwhile", where=f"dataset {command.dataset}", next_step="the worker searches again")
    pointer = tx.get(KIND_DATASET, command.dataset, Dataset)
    names: set[Digest] = set()
    for each in command.replaced:
        names |= names_of(held[each.old]) | set(each.gone)
        _replace(command, each, held[each.old], tx)
        if pointer is not None and pointer.snapshot == each.old:
            _move(pointer, each, tx)
    for old, new in command.aside.items():
        _replace_aside(command.dataset, old, new, tx)
        names.add(old)
    doom(names, f"deletion {command.id}", tx)
    told = {f"{command.dataset}/{each.old}": each.new.digest if each.new else "" for each in command.replaced}
    done = msgspec.structs.replace(
        record,
        rows=record.rows + sum(each.rows for each in command.replaced),
        quarantined=record.quarantined + len(command.aside),
        replaced={**record.replaced, **told},
    )
    tx.put(KIND_ERASURE, command.id, done)
    return {"id": command.id, "snapshots": len(command.replaced), "rows": sum(each.rows for each in command.replaced)}


def _replace(command: RecordErased, each: Replaced, old: Snapshot, tx: Transaction) -> None:
    new = each.new
    gone = Erasure(id=command.id, replaced_by=new.digest if new else "", parts=each.gone, rows=each.rows, erased_at_us=tx.now_us)
    tx.put(KIND_SNAPSHOT, f"{command.dataset}/{each.old}", msgspec.structs.replace(old, erased=gone))
    if new is not None:
        check_not_doomed(new, tx)
        tx.put(KIND_SNAPSHOT, f"{command.dataset}/{new.digest}", new)


def _move(pointer: Dataset, each: Replaced, tx: Transaction) -> None:
    """The dataset's newest rows are what remains; when nothing does, it is as if nothing had been ingested."""
    if each.new is None:
        tx.delete(KIND_DATASET, pointer.name)
    else:
        tx.put(KIND_DATASET, pointer.name, msgspec.structs.replace(pointer, snapshot=each.new.digest, updated_at_us=tx.now_us))


def _replace_aside(dataset: str, old: Digest, new: Digest, tx: Transaction) -> None:
    held = tx.get(KIND_QUARANTINE, f"{dataset}/{old}", Quarantine)
    if held is None:
        raise Conflict("what was set aside has changed", where=f"quarantine {dataset}/{old[:19]}", next_step="the worker searches again")
    tx.delete(KIND_QUARANTINE, f"{dataset}/{old}")
    if new:
        tx.put(KIND_QUARANTINE, f"{dataset}/{new}", msgspec.structs.replace(held, digest=new))


def drop_intermediates(command: DropIntermediates, tx: Transaction) -> dict[str, Any]:
    """Mark the blobs, and count them."""
    record = _erasure(command.id, tx)
    marked = len(doom(command.blobs, f"deletion {command.id}", tx))
    tx.put(KIND_ERASURE, command.id, msgspec.structs.replace(record, intermediates=record.intermediates + marked))
    return {"id": command.id, "blobs": marked}


def finish_erasure(command: FinishErasure, tx: Transaction) -> dict[str, Any]:
    """Close the deletion."""
    record = _erasure(command.id, tx)
    done = msgspec.structs.replace(
        record,
        status="done",
        online=command.online,
        recomputed=command.recomputed,
        predictions=command.predictions,
        unsearched=command.unsearched,
        finished_at_us=tx.now_us,
    )
    tx.put(KIND_ERASURE, command.id, done)
    if tx.get(KIND_ERASURE_DUE, command.id, Due) is not None:
        tx.delete(KIND_ERASURE_DUE, command.id)
    return {"id": command.id, "rows": done.rows}


def _erasure(id: str, tx: Transaction) -> ErasureRecord:
    record = tx.get(KIND_ERASURE, id, ErasureRecord)
    if record is None:
        raise NotFound("no such deletion", where=id[:80])
    return record


HANDLERS: tuple[Handles, ...] = (
    Handles(command=AskErasure, run=ask_erasure),
    Handles(command=RecordErased, run=record_erased),
    Handles(command=DropIntermediates, run=drop_intermediates),
    Handles(command=FinishErasure, run=finish_erasure),
)
