"""What can be asked of the data room: apply a contract, record a snapshot, record a refusal."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import msgspec

from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.consumers import Consumer, Finds, Readers
from leverframe.core.dataset import Snapshot
from leverframe.core.digest import Digest, check_digest
from leverframe.core.errors import Conflict, Fault, NotFound, Refused
from leverframe.data.contract.contracts import Contract
from leverframe.data.contract.evolution import Evolution, evolve
from leverframe.data.snapshots.makers import with_makers
from leverframe.data.snapshots.snapshot_names import check_not_doomed
from leverframe.data.snapshots.source_marks import KIND_MARK, SourceMark
from leverframe.data.sources.fetch_jobs import running_fetch

KIND_CONTRACT = "contract"
KIND_SNAPSHOT = "snapshot"
KIND_DATASET = "dataset"
KIND_QUARANTINE = "quarantine"
KIND_DELIVERY = "delivery"
NAMED_MAX = 20
"""A sentence names so many consumers; the faults name all of them."""


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """Pointer to the latest snapshot of a dataset, and the contract that rules it."""

    name: str
    contract: str
    team: str
    snapshot: Digest
    updated_at_us: int


class Quarantine(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes set aside: a whole refused file (``rows`` 0: none of it was used), or the bad rows of an accepted one, or of ``stream``.

    ``whole``: nothing new was taken of the batch that they came with.
    """

    dataset: str
    contract: str
    contract_version: str
    digest: Digest
    report_digest: Digest
    rows: int
    reasons: tuple[str, ...]
    recorded_at_us: int
    stream: str = ""
    whole: bool = False


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one delivery, so that asking again under the same key gets the same answer. Empty: no snapshot, nothing set aside."""

    dataset: str
    snapshot: Digest = ""
    quarantine: Digest = ""
    report_digest: Digest


class ApplyContract(Command, frozen=True, kw_only=True):
    """Make ``contract`` the rule of its dataset from now on.

    ``break_consumers`` names everyone whom the change takes something from (``feature weather.wind``, ``model delay``): a breaking change
    is only made by someone who says whom it breaks, and the audit entry keeps what was said.
    """

    action: ClassVar[str] = "Data.ApplyContract"
    contract: Contract
    break_consumers: tuple[str, ...] = ()

    def resource(self) -> str:
        """``contract/<name>``."""
        return f"contract/{self.contract.name}"

    def team(self) -> str:
        """The contract's team."""
        return self.contract.team


class RecordSnapshot(Command, frozen=True, kw_only=True):
    """Make ``snapshot`` known, and the latest of its dataset. ``owner_team`` is the contract's team.

    ``after``: its rows were added to those of this snapshot, which must still be the latest. ``delivery`` names what was offered, by whom,
    under which key; ``quarantine`` the rows of it that were set aside; ``mark`` how far a source was read, by the job ``fetch``, which must
    not have been taken over.
    """

    action: ClassVar[str] = "Data.Ingest"
    snapshot: Snapshot
    owner_team: str
    after: Digest | None = None
    delivery: Digest = ""
    quarantine: Digest = ""
    mark: SourceMark | None = None
    fetch: str = ""

    def resource(self) -> str:
        """``dataset/<name>``."""
        return f"dataset/{self.snapshot.dataset}"

    def team(self) -> str:
        """The contract's team."""
        return self.owner_team


class RecordQuarantine(Command, frozen=True, kw_only=True):
    """Make known that bytes offered to ``dataset`` were set aside. ``owner_team`` is the contract's team."""

    action: ClassVar[str] = "Data.Ingest"
    dataset: str
    contract: str
    digest: Digest
    report_digest: Digest
    rows: int
    reasons: tuple[str, ...]
    owner_team: str
    delivery: Digest = ""
    stream: str = ""
    whole: bool = False

    def resource(self) -> str:
        """``dataset/<name>``."""
        return f"dataset/{self.dataset}"

    def team(self) -> str:
        """The contract's team."""
        return self.owner_team


def broken_consumers(old: Contract | None, new: Contract, ledger: Finds, readers: Readers) -> tuple[Consumer, ...]:
    """Everyone who reads what the step from ``old`` to ``new`` takes away; none when it takes nothing away."""
    lost = evolve(old, new).lost_columns
    return readers(ledger, old.dataset, lost) if old is not None and lost else ()


def apply_contract(command: ApplyContract, tx: Transaction, *, readers: Readers) -> dict[str, Any]:
    """Store the contract if its step from the current one is allowed.

    Parameters
    ----------
    readers: who reads a column, asked of this transaction: who begins to read one meanwhile is not missed.

    Raises
    ------
    Refused: the version goes back, or stays while the content changes, or a breaking change keeps the major number; or it breaks
        consumers that ``break_consumers`` does not name. Either way every consumer is named. Or contract or dataset are another team's.
    """
    new = command.contract
    old = tx.get(KIND_CONTRACT, new.name, Contract)
    if old is not None and old.team != new.team:
        raise Refused("a contract stays with its team", where=f"contract {new.name}", expected=old.team, got=new.team)
    other = next((c for c in tx.find(KIND_CONTRACT, Contract) if c.dataset == new.dataset and c.team != new.team), None)
    if other is not None:
        # Whoever names the dataset's contract says whose its rows are.
        raise Refused("the dataset belongs to another team", where=f"contract {new.name}", expected=other.team, got=new.team)
    step = evolve(old, new)
    broken = broken_consumers(old, new, tx, readers)
    if step.refusals:
        raise Refused(
            _refusal(step, broken),
            where=f"contract {new.name} {new.version}",
            faults=step.refusals,
            next_step="raise the version in the contract file and apply it again",
        )
    unsaid = [consumer for consumer in broken if consumer.name not in command.break_consumers]
    if unsaid:
        raise Refused(
            f"this change breaks consumers that were not named: {_names(unsaid)}",
            where=f"contract {new.name} {new.version}",
            faults=tuple(Fault(where=c.name, what=f"loses what it reads through {c.through}") for c in unsaid),
            next_step=f"tell their owners, then apply again with {acknowledgement(broken)}",
        )
    if step.kind != "same":
        tx.put(KIND_CONTRACT, new.name, new)
    return {"change": step.kind, "breaks": [f"{f.where}: {f.what}" for f in step.breaks], "consumers": [c.name for c in broken]}


def acknowledgement(broken: Iterable[Consumer]) -> str:
    """The options of ``lever contracts apply`` that name every consumer."""
    return " ".join(f"--break-consumers '{consumer.name}'" for consumer in broken)


def _refusal(step: Evolution, broken: Sequence[Consumer]) -> str:
    reasons = "; ".join(f"{fault.where}: {fault.what}" for fault in step.refusals[:6])
    return f"this change is not allowed: {reasons}" + (f" (it breaks {_names(broken)})" if broken else "")


def _names(consumers: Sequence[Consumer]) -> str:
    shown = ", ".join(consumer.name for consumer in consumers[:NAMED_MAX])
    return shown + (f" and {len(consumers) - NAMED_MAX} more" if len(consumers) > NAMED_MAX else "")


def record_snapshot(command: RecordSnapshot, tx: Transaction) -> dict[str, Any]:
    """Store the snapshot and move the dataset's pointer.

    Raises
    ------
    NotFound: no such contract was applied.
    Conflict: the snapshot was checked against another version of the contract, or added to one that is not the latest any more.
    """
    snapshot = command.snapshot
    contract = _contract(snapshot.contract, command.owner_team, tx)
    if contract.digest != snapshot.contract_digest:
        raise Conflict(
            "the contract changed after the rows were checked",
            where=f"dataset {snapshot.dataset}",
            expected=contract.version,
            got=snapshot.contract_version,
            next_step="ingest the file again",
        )
    check_digest(snapshot.digest)
    latest = tx.get(KIND_DATASET, snapshot.dataset, Dataset)
    if command.after is not None and (latest is None or latest.snapshot != command.after):
        raise Conflict(
            "other rows were taken in meanwhile",
            where=f"dataset {snapshot.dataset}",
            expected=command.after,
            got=latest.snapshot if latest else "none",
            next_step="offer the rows again",
        )
    if command.fetch:
        running_fetch(tx, snapshot.dataset, command.fetch)
    check_not_doomed(snapshot, tx)
    held = tx.get(KIND_SNAPSHOT, f"{snapshot.dataset}/{snapshot.digest}", Snapshot)
    # The same rows offered again without a word of who predicted them are still the same rows.
    snapshot = with_makers(snapshot, held.made_by if held is not None and held.made_by else ())
    tx.put(KIND_SNAPSHOT, f"{snapshot.dataset}/{snapshot.digest}", snapshot)
    pointer = Dataset(
        name=snapshot.dataset, contract=snapshot.contract, team=contract.team, snapshot=snapshot.digest, updated_at_us=tx.now_us
    )
    tx.put(KIND_DATASET, snapshot.dataset, pointer)
    if command.mark is not None:
        tx.put(KIND_MARK, command.mark.id, command.mark)
    if command.delivery:
        became = Delivery(
            dataset=snapshot.dataset, snapshot=snapshot.digest, quarantine=command.quarantine, report_digest=snapshot.report_digest
        )
        tx.put(KIND_DELIVERY, check_digest(command.delivery), became)
    return {"dataset": snapshot.dataset, "digest": snapshot.digest, "rows": snapshot.rows}


def record_quarantine(command: RecordQuarantine, tx: Transaction) -> dict[str, Any]:
    """Store what was set aside and why.

    Raises
    ------
    NotFound: no such contract was applied.
    """
    contract = _contract(command.contract, command.owner_team, tx)
    record = Quarantine(
        dataset=command.dataset,
        contract=contract.name,
        contract_version=contract.version,
        digest=check_digest(command.digest),
        report_digest=check_digest(command.report_digest),
        rows=command.rows,
        reasons=command.reasons,
        recorded_at_us=tx.now_us,
        stream=command.stream,
        whole=command.whole,
    )
    tx.put(KIND_QUARANTINE, f"{command.dataset}/{command.digest}", record)
    if command.delivery:
        became = Delivery(dataset=command.dataset, quarantine=command.digest, report_digest=command.report_digest)
        tx.put(KIND_DELIVERY, check_digest(command.delivery), became)
    return {"dataset": command.dataset, "digest": command.digest, "reasons": len(command.reasons)}


def _contract(name: str, owner_team: str, tx: Transaction) -> Contract:
    """The applied contract; the command's team must be its team, since that is what was authorised."""
    contract = tx.get(KIND_CONTRACT, name, Contract)
    if contract is None:
        raise NotFound("no such contract", where=f"contract {name}", next_step="lever data apply <contract file>")
    if contract.team != owner_team:
        raise Refused("the dataset belongs to another team", where=f"contract {name}", expected=contract.team, got=owner_team)
    return contract


def _contract_facts(command: ApplyContract, tx: Transaction) -> Mapping[str, Any]:
    """What the policy may decide on: whether readers or writers break, and who owns the contract now."""
    old = tx.get(KIND_CONTRACT, command.contract.name, Contract)
    return {"breaking": evolve(old, command.contract).kind == "breaking", "current_team": old.team if old else command.contract.team}


def contract_handler(readers: Readers) -> Handles:
    """What carries a contract out; only where the lineage of columns is known, since nothing may ship before it is said whom it breaks."""
    return Handles(command=ApplyContract, run=partial(apply_contract, readers=readers), facts=_contract_facts)


HANDLERS: tuple[Handles, ...] = (
    Handles(command=RecordSnapshot, run=record_snapshot),
    Handles(command=RecordQuarantine, run=record_quarantine),
)
