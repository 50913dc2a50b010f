"""What the ledger holds of data, and what it refuses."""

from collections.abc import Iterable
from typing import Any

import msgspec
import polars as pl
import pytest
from tests.data.conftest import MemoryBlobs

from leverframe.core.actor import Actor
from leverframe.core.clock import HOUR_US
from leverframe.core.consumers import Consumer, Finds
from leverframe.core.dataset import Snapshot
from leverframe.core.errors import Conflict, InvalidInput, NotFound, Refused
from leverframe.core.feature import Expression, FeatureView
from leverframe.data.commands import (
    HANDLERS,
    KIND_CONTRACT,
    KIND_DATASET,
    KIND_QUARANTINE,
    KIND_SNAPSHOT,
    ApplyContract,
    Dataset,
    Quarantine,
    RecordQuarantine,
    RecordSnapshot,
    contract_handler,
)
from leverframe.data.contract.contracts import Contract
from leverframe.data.intake.ingest import failed_rules, ingest

NOW_US = 10 * HOUR_US


def readers_of(ledger: Finds, dataset: str, columns: Iterable[str]) -> tuple[Consumer, ...]:
    """Views by what their expressions are called, which is enough of a lineage to refuse by."""
    wanted = set(columns)
    named = [(v.name, e.name) for v in ledger.find("view", FeatureView) if v.source == dataset for e in v.expressions]
    return tuple(Consumer(name=f"feature {view}.{name}", through=f"{dataset}.{name}") for view, name in named if {name, "*"} & wanted)


COMMANDS = (*HANDLERS, contract_handler(readers_of))
RUN = {handles.command: handles.run for handles in COMMANDS}
FACTS = {handles.command: handles.facts for handles in COMMANDS}


class Rows:
    """A transaction over a dict; records pass through JSON as they would in the ledger."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], bytes] = {}

    now_us = NOW_US
    actor = Actor(subject="ana")

    def get(self, kind: str, id: str, type: Any) -> Any:
        body = self.held.get((kind, id))
        return None if body is None else msgspec.json.decode(body, type=type)

    def find(self, kind: str, type: Any, prefix: str = "") -> list[Any]:
        return [msgspec.json.decode(b, type=type) for (k, i), b in sorted(self.held.items()) if k == kind and i.startswith(prefix)]

    def put(self, kind: str, id: str, record: msgspec.Struct) -> None:
        self.held[kind, id] = msgspec.json.encode(record)

    def delete(self, kind: str, id: str) -> None:
        del self.held[kind, id]


@pytest.fixture
def tx() -> Rows:
    return Rows()


def do(tx: Rows, command: Any) -> Any:
    return RUN[type(command)](command, tx)


def snapshot_of(trips: Contract, blobs: MemoryBlobs, miles: float = 1.0) -> Snapshot:
    frame = pl.DataFrame({"id": ["a"], "kind": ["short"], "miles": [miles], "seats": [1], "rider": [None], "ended_at": [NOW_US]})
    done = ingest(frame.write_csv().encode(), "csv", trips, dataset="trips", blobs=blobs, now_us=NOW_US)
    assert done.snapshot is not None
    return done.snapshot


def test_every_command_declares_its_permission_and_its_team(trips: Contract, blobs: MemoryBlobs) -> None:
    assert ApplyContract.action == "Data.ApplyContract"
    assert RecordSnapshot.action == RecordQuarantine.action == "Data.Ingest"
    command = ApplyContract(contract=trips)
    assert (command.resource(), command.team()) == ("contract/trips", "rides")
    recorded = RecordSnapshot(snapshot=snapshot_of(trips, blobs), owner_team="rides")
    assert (recorded.resource(), recorded.team()) == ("dataset/trips", "rides")


def test_an_applied_contract_can_be_read_again(tx: Rows, trips: Contract) -> None:
    assert do(tx, ApplyContract(contract=trips))["change"] == "first"
    assert tx.get(KIND_CONTRACT, "trips", Contract) == trips
    assert do(tx, ApplyContract(contract=trips))["change"] == "same"


def test_a_breaking_contract_is_refused_naming_who_reads_the_dataset(tx: Rows, trips: Contract) -> None:
    do(tx, ApplyContract(contract=trips))
    view = FeatureView(
        name="trip_facts",
        source="trips",
        entity=("id",),
        event_time="ended_at",
        arrival_time="ended_at",
        expressions=(Expression(name="miles", sql="miles"),),
    )
    tx.put("view", view.name, view)
    narrower = msgspec.structs.replace(trips, columns=trips.columns[:-1], version="1.1.0", freshness=None)
    facts = FACTS[ApplyContract]
    assert facts is not None
    assert facts(ApplyContract(contract=narrower), tx)["breaking"] is True
    with pytest.raises(Refused) as refused:
        do(tx, ApplyContract(contract=narrower))
    assert "feature trip_facts.miles" in str(refused.value)
    assert "ended_at" in {fault.where for fault in refused.value.faults}
    major = msgspec.structs.replace(narrower, version="2.0.0")
    with pytest.raises(Refused) as unsaid:
        do(tx, ApplyContract(contract=major))
    assert [fault.where for fault in unsaid.value.faults] == ["feature trip_facts.miles"]
    assert unsaid.value.next_step.endswith("--break-consumers 'feature trip_facts.miles'")
    assert tx.get(KIND_CONTRACT, "trips", Contract) == trips, "nothing ships before it is said whom it breaks"
    done = do(tx, ApplyContract(contract=major, break_consumers=("feature trip_facts.miles",)))
    assert (done["change"], done["consumers"]) == ("breaking", ["feature trip_facts.miles"])


def test_a_contract_stays_with_its_team(tx: Rows, trips: Contract) -> None:
    do(tx, ApplyContract(contract=trips))
    with pytest.raises(Refused, match="stays with its team"):
        do(tx, ApplyContract(contract=msgspec.structs.replace(trips, team="others", version="1.1.0")))


def test_the_latest_snapshot_is_the_dataset(tx: Rows, trips: Contract, blobs: MemoryBlobs) -> None:
    do(tx, ApplyContract(contract=trips))
    first, second = snapshot_of(trips, blobs), snapshot_of(trips, blobs, 2.0)
    for snapshot in (first, second):
        do(tx, RecordSnapshot(snapshot=snapshot, owner_team="rides"))
    pointer = tx.get(KIND_DATASET, "trips", Dataset)
    assert pointer.snapshot == second.digest
    assert tx.get(KIND_SNAPSHOT, f"trips/{first.digest}", Snapshot) == first


def test_a_snapshot_needs_the_contract_it_was_checked_against(tx: Rows, trips: Contract, blobs: MemoryBlobs) -> None:
    snapshot = snapshot_of(trips, blobs)
    with pytest.raises(NotFound):
        do(tx, RecordSnapshot(snapshot=snapshot, owner_team="rides"))
    do(tx, ApplyContract(contract=msgspec.structs.replace(trips, description="newer", version="1.1.0")))
    with pytest.raises(Conflict):
        do(tx, RecordSnapshot(snapshot=snapshot, owner_team="rides"))
    with pytest.raises(Refused):
        do(tx, RecordSnapshot(snapshot=snapshot, owner_team="others"))


def test_a_refused_file_is_on_record_with_its_reasons(tx: Rows, trips: Contract, blobs: MemoryBlobs) -> None:
    do(tx, ApplyContract(contract=trips))
    done = ingest(b"id\na\n", "csv", trips, dataset="trips", blobs=blobs, now_us=NOW_US)
    assert done.quarantine is not None
    command = RecordQuarantine(
        dataset="trips",
        contract="trips",
        digest=done.quarantine,
        report_digest=done.report_digest,
        rows=0,
        reasons=failed_rules(done.report),
        owner_team="rides",
    )
    do(tx, command)
    held = tx.get(KIND_QUARANTINE, f"trips/{done.quarantine}", Quarantine)
    assert held.reasons == failed_rules(done.report)
    assert held.recorded_at_us == NOW_US
    with pytest.raises(InvalidInput):
        do(tx, msgspec.structs.replace(command, digest="/etc/passwd"))
