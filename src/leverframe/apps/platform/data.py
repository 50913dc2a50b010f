"""Use cases of the data room: contracts, snapshots, quarantine."""

import msgspec
import polars as pl

from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views import DatasetView, IngestView
from leverframe.core.actor import Actor
from leverframe.core.dataset import ContractReport, Snapshot
from leverframe.core.errors import NotFound
from leverframe.data.commands import (
    KIND_CONTRACT,
    KIND_DATASET,
    KIND_QUARANTINE,
    KIND_SNAPSHOT,
    ApplyContract,
    Dataset,
    Quarantine,
    RecordQuarantine,
    RecordSnapshot,
)
from leverframe.data.contract_file import read_contract
from leverframe.data.contracts import Contract
from leverframe.data.ingest import Ingested, ingest
from leverframe.data.snapshots import read_snapshot

REPORTS_MAX = 50


def contract_of(parts: Parts, dataset: str) -> Contract:
    """The contract in force for ``dataset``.

    Raises
    ------
    NotFound: no contract names this dataset; nothing unchecked is ever taken in.
    """
    found = next((c for c in parts.ledger.find(KIND_CONTRACT, Contract) if c.dataset == dataset), None)
    if found is None:
        raise NotFound("no contract is in force for this dataset", where=dataset, next_step="lever data contracts apply <file>")
    return found


def latest_snapshot(parts: Parts, dataset: str) -> Snapshot | None:
    """The newest snapshot of ``dataset``, if there is one."""
    pointer = parts.ledger.get(KIND_DATASET, dataset, Dataset)
    return parts.ledger.get(KIND_SNAPSHOT, f"{dataset}/{pointer.snapshot}", Snapshot) if pointer else None


def latest_rows(parts: Parts, dataset: str) -> tuple[Snapshot, pl.LazyFrame]:
    """The newest snapshot of ``dataset`` and its rows.

    Raises
    ------
    NotFound: nothing was ingested yet.
    """
    snapshot = latest_snapshot(parts, dataset)
    if snapshot is None:
        raise NotFound("nothing was ingested yet", where=dataset, next_step=f"lever data ingest {dataset} <file>")
    return snapshot, read_snapshot(parts.artifacts, snapshot)


class Data:
    """Contracts and checked data."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def apply_contract(self, actor: Actor, text: str, *, key: str) -> dict[str, object]:
        """Put an ODCS contract in force; says what changed and whom a breaking change would break."""
        contract = read_contract(text.encode())
        receipt = self._parts.ledger.write(actor, ApplyContract(contract=contract), key=key)
        return {"contract": contract.name, "version": contract.version, **receipt.result}

    def ingest(self, actor: Actor, dataset: str, body: bytes, *, format: str, key: str) -> IngestView:
        """Check an offered file against its contract: bytes first, then the record of what became of it."""
        parts = self._parts
        contract = contract_of(parts, dataset)
        referenced = {column.references.partition(".")[0] for column in contract.columns if column.references}
        parents = {name: latest_rows(parts, name)[1] for name in referenced if latest_snapshot(parts, name) is not None}
        done = ingest(body, format, contract, dataset=dataset, blobs=parts.artifacts, now_us=parts.clock.now_us(), parents=parents)
        if done.snapshot is not None:
            parts.ledger.write(actor, RecordSnapshot(snapshot=done.snapshot, owner_team=contract.team), key=key)
        if done.quarantine is not None:
            parts.ledger.write(actor, _quarantine(done, contract), key=f"{key}/quarantine")
        return IngestView(
            dataset=dataset, accepted=done.report.accepted, report=done.report, snapshot=done.snapshot, quarantine=done.quarantine or ""
        )

    def datasets(self) -> tuple[DatasetView, ...]:
        """Every dataset that has a contract."""
        ledger = self._parts.ledger
        return tuple(
            DatasetView(
                name=contract.dataset,
                owner=contract.owner,
                team=contract.team,
                contract_version=contract.version,
                latest=latest_snapshot(self._parts, contract.dataset),
                snapshots_total=len(ledger.find(KIND_SNAPSHOT, Snapshot, prefix=f"{contract.dataset}/")),
                quarantined_total=len(ledger.find(KIND_QUARANTINE, Quarantine, prefix=f"{contract.dataset}/")),
            )
            for contract in ledger.find(KIND_CONTRACT, Contract)
        )

    def reports(self, dataset: str) -> tuple[IngestView, ...]:
        """What became of the files offered to ``dataset``, newest first."""
        ledger = self._parts.ledger
        accepted = [(s.created_at_us, s.report_digest, s, "") for s in ledger.find(KIND_SNAPSHOT, Snapshot, prefix=f"{dataset}/")]
        refused = [
            (q.recorded_at_us, q.report_digest, None, q.digest)
            for q in ledger.find(KIND_QUARANTINE, Quarantine, prefix=f"{dataset}/")
            if q.rows == 0
        ]
        newest = sorted([*accepted, *refused], key=lambda item: item[0], reverse=True)[:REPORTS_MAX]
        return tuple(
            IngestView(
                dataset=dataset, accepted=snapshot is not None, report=self._report(digest), snapshot=snapshot, quarantine=quarantine
            )
            for _, digest, snapshot, quarantine in newest
        )

    def _report(self, digest: str) -> ContractReport:
        return msgspec.json.decode(self._parts.artifacts.get(digest), type=ContractReport)


def _quarantine(done: Ingested, contract: Contract) -> RecordQuarantine:
    assert done.quarantine is not None
    reasons = tuple(f"{result.rule} {result.column}".strip() for result in done.report.results if not result.passed)
    return RecordQuarantine(
        dataset=done.report.dataset,
        contract=contract.name,
        digest=done.quarantine,
        report_digest=done.report_digest,
        rows=done.report.quarantined_rows if done.snapshot is not None else 0,
        reasons=reasons,
        owner_team=contract.team,
    )
