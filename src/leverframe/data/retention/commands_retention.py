"""What can be asked of a dataset's past: set how long it is kept, let snapshots go, note that bytes are gone."""

from typing import Any, ClassVar

from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.dataset import Snapshot
from leverframe.core.digest import Digest
from leverframe.core.errors import NotFound, Refused
from leverframe.data.commands import KIND_DATASET, KIND_SNAPSHOT, Dataset
from leverframe.data.of_dataset import OfDataset, contract_of_team
from leverframe.data.retention.doomed import collected, doom
from leverframe.data.retention.retention import KIND_RETENTION, SETTLE_US, Retention, check_retention
from leverframe.data.snapshots.snapshot_names import names_of

SNAPSHOTS_A_COMMAND_MAX = 1_000
BLOBS_A_COMMAND_MAX = 5_000


class SetRetention(Command, frozen=True, kw_only=True):
    """Keep the snapshots of ``policy.dataset`` so from now on. ``owner_team`` is the contract's team."""

    action: ClassVar[str] = "Data.Retain"
    policy: Retention
    owner_team: str

    def resource(self) -> str:
        """``dataset/<name>``."""
        return f"dataset/{self.policy.dataset}"

    def team(self) -> str:
        """The contract's team."""
        return self.owner_team


class ExpireSnapshots(OfDataset, frozen=True, kw_only=True):
    """Let ``snapshots`` go; their bytes are deleted afterwards."""

    action: ClassVar[str] = "Data.Retain"
    snapshots: tuple[Digest, ...]


class RecordCollected(Command, frozen=True, kw_only=True):
    """The bytes of ``blobs``, which were marked, are gone."""

    action: ClassVar[str] = "Data.Collect"
    blobs: tuple[Digest, ...]

    def resource(self) -> str:
        """``artifacts/collected``: platform-wide."""
        return "artifacts/collected"


def set_retention(command: SetRetention, tx: Transaction) -> dict[str, Any]:
    """Store the policy.

    Raises
    ------
    InvalidInput: it would keep nothing.  NotFound, Refused: no such dataset of that team.
    """
    check_retention(command.policy)
    contract_of_team(command.policy.dataset, command.owner_team, tx)
    tx.put(KIND_RETENTION, command.policy.dataset, command.policy)
    return {"dataset": command.policy.dataset}


def expire_snapshots(command: ExpireSnapshots, tx: Transaction) -> dict[str, Any]:
    """End the records and mark the blobs that only they named.

    Raises
    ------
    Refused: no policy, the newest snapshot, or one younger than an hour.  NotFound: no such snapshot.
    """
    contract_of_team(command.dataset, command.owner_team, tx)
    if tx.get(KIND_RETENTION, command.dataset, Retention) is None:
        raise Refused("nobody has said how long this dataset is kept", where=command.dataset, next_step="lever data retention set")
    pointer = tx.get(KIND_DATASET, command.dataset, Dataset)
    names: set[Digest] = set()
    for digest in command.snapshots[:SNAPSHOTS_A_COMMAND_MAX]:
        snapshot = tx.get(KIND_SNAPSHOT, f"{command.dataset}/{digest}", Snapshot)
        if snapshot is None:
            raise NotFound("no such snapshot", where=f"{command.dataset}/{digest}", next_step=f"lever data snapshots {command.dataset}")
        if (pointer is not None and pointer.snapshot == digest) or tx.now_us - snapshot.created_at_us < SETTLE_US:
            raise Refused("the newest snapshot, and one younger than an hour, is always kept", where=f"{command.dataset}/{digest}")
        names |= names_of(snapshot)
        tx.delete(KIND_SNAPSHOT, f"{command.dataset}/{digest}")
    blobs = doom(names, f"retention of {command.dataset}", tx)
    return {"dataset": command.dataset, "snapshots": len(command.snapshots), "blobs": len(blobs)}


def record_collected(command: RecordCollected, tx: Transaction) -> dict[str, Any]:
    """Note what is gone."""
    return {"blobs": collected(command.blobs[:BLOBS_A_COMMAND_MAX], tx)}


HANDLERS: tuple[Handles, ...] = (
    Handles(command=SetRetention, run=set_retention),
    Handles(command=ExpireSnapshots, run=expire_snapshots),
    Handles(command=RecordCollected, run=record_collected),
)
