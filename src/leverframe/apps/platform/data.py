"""Use cases of the data room: contracts, snapshots, quarantine."""

from collections.abc import Sequence
from functools import partial

import msgspec

from leverframe.apps.platform.datasets import latest_snapshot
from leverframe.apps.platform.deliveries import deliver
from leverframe.apps.platform.descending import makers_of
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views import DatasetView, IngestView
from leverframe.apps.platform.views.data import DatasetState
from leverframe.core.actor import Actor
from leverframe.core.dataset import ContractReport, Snapshot
from leverframe.core.digest import digest_bytes, digest_record
from leverframe.data.commands import KIND_CONTRACT, KIND_QUARANTINE, KIND_SNAPSHOT, ApplyContract, Quarantine
from leverframe.data.contract.contract_file import read_contract
from leverframe.data.contract.contracts import Contract
from leverframe.data.intake.ingest import take_file

REPORTS_MAX = 50


class Data:
    """Contracts and checked data."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def apply_contract(self, actor: Actor, text: str, *, key: str, break_consumers: tuple[str, ...] = ()) -> dict[str, object]:
        """Put an ODCS contract in force; says what changed. ``break_consumers`` names all whom a breaking change breaks."""
        contract = read_contract(text.encode())
        receipt = self._parts.ledger.write(actor, ApplyContract(contract=contract, break_consumers=break_consumers), key=key)
        return {"contract": contract.name, "version": contract.version, **receipt.result}

    def ingest(
        self,
        actor: Actor,
        dataset: str,
        body: bytes,
        *,
        format: str,
        key: str,
        append: bool = False,
        made_by: tuple[str, ...] = (),
    ) -> IngestView:
        """Check an offered file against its contract: bytes first, then the record of what became of it.

        With ``append`` its rows are added to the newest snapshot's; otherwise they are the whole dataset from now on.
        ``made_by`` names model versions whose predictions are among the rows; the bytes of a batch table's output tell by themselves.
        """
        offered = digest_bytes(body)
        makers = makers_of(self._parts, offered, made_by)
        delivery = digest_record([actor.subject, key, dataset, format, append, offered, *made_by])
        offer = partial(take_file, data=body, format=format)
        return deliver(self._parts, actor, dataset, offer, delivery=delivery, append=append, key=key, made_by=makers)

    def datasets(self) -> tuple[DatasetView, ...]:
        """Every dataset that has a contract."""
        return tuple(self._shown(contract) for contract in self._parts.ledger.find(KIND_CONTRACT, Contract))

    def _shown(self, contract: Contract) -> DatasetView:
        ledger, dataset = self._parts.ledger, contract.dataset
        latest = latest_snapshot(self._parts, dataset)
        aside = ledger.find(KIND_QUARANTINE, Quarantine, prefix=f"{dataset}/")
        return DatasetView(
            name=dataset,
            owner=contract.owner,
            team=contract.team,
            contract_version=contract.version,
            latest=latest,
            snapshots_total=len(ledger.find(KIND_SNAPSHOT, Snapshot, prefix=f"{dataset}/")),
            quarantined_total=len(aside),
            state=_state(contract, latest, aside, self._parts.clock.now_us()),
        )

    def reports(self, dataset: str) -> tuple[IngestView, ...]:
        """What became of the files and batches offered to ``dataset``, newest first; those of which nothing was taken are refused."""
        ledger = self._parts.ledger
        accepted = [(s.created_at_us, s.report_digest, s, "") for s in ledger.find(KIND_SNAPSHOT, Snapshot, prefix=f"{dataset}/")]
        refused = [
            (q.recorded_at_us, q.report_digest, None, q.digest)
            for q in ledger.find(KIND_QUARANTINE, Quarantine, prefix=f"{dataset}/")
            if q.rows == 0 or q.whole
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


def _state(contract: Contract, latest: Snapshot | None, aside: Sequence[Quarantine], now_us: int) -> DatasetState:
    refused_us = max((each.recorded_at_us for each in aside if each.rows == 0), default=None)
    if refused_us is not None and (latest is None or refused_us > latest.created_at_us):
        return "refused"
    if latest is None:
        return "empty"
    promised, newest_us = contract.freshness, latest.event_time_max_us
    return "late" if promised is not None and newest_us is not None and now_us - newest_us > promised.age_max_us else "kept"
