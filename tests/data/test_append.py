"""New rows come beside the old ones: old blobs are shared, what came before is kept once, what contradicts it is refused."""

import msgspec
import polars as pl
import pytest
from tests.data.conftest import MemoryBlobs

from leverframe.core.clock import HOUR_US
from leverframe.core.dataset import Snapshot
from leverframe.core.errors import Integrity, Refused
from leverframe.data.contract.contracts import Column, Contract
from leverframe.data.intake.ingest import ingest
from leverframe.data.intake.intake import Ingested, Intake
from leverframe.data.snapshots import append
from leverframe.data.snapshots.snapshots import read_snapshot

NOW_US = 10 * HOUR_US
HEADER = "id,kind,miles,seats,rider,ended_at\n"


def csv(*ids: int, miles: float = 1.0) -> bytes:
    return (HEADER + "".join(f"t{i:04},short,{miles},2,,{NOW_US - i}\n" for i in ids)).encode()


def offer(contract: Contract, data: bytes, blobs: MemoryBlobs, base: Snapshot | None = None) -> Ingested:
    return ingest(data, "csv", contract, dataset="trips", blobs=blobs, now_us=NOW_US, base=base)


def taken(contract: Contract, data: bytes, blobs: MemoryBlobs, base: Snapshot | None = None) -> Snapshot:
    done = offer(contract, data, blobs, base)
    assert done.snapshot is not None
    return done.snapshot


def ids(blobs: MemoryBlobs, snapshot: Snapshot) -> list[str]:
    return read_snapshot(blobs, snapshot).collect()["id"].to_list()


def test_appended_rows_share_the_old_blob(plain_trips: Contract, blobs: MemoryBlobs) -> None:
    first = taken(plain_trips, csv(1, 2), blobs)
    second = taken(plain_trips, csv(3), blobs, first)
    assert second.blobs[0].digest == first.digest
    assert (second.rows, len(second.parts), ids(blobs, second)) == (3, 2, ["t0001", "t0002", "t0003"])
    assert ids(blobs, first) == ["t0001", "t0002"], "the old snapshot is as it was"
    assert (second.event_time_min_us, second.event_time_max_us) == (NOW_US - 3, NOW_US - 1)


def test_rows_delivered_again_are_kept_once_and_change_nothing(plain_trips: Contract, blobs: MemoryBlobs) -> None:
    first = taken(plain_trips, csv(1, 2), blobs)
    again = offer(plain_trips, csv(2, 1), blobs, first)
    assert again.snapshot is not None
    assert again.snapshot.digest == first.digest
    assert [(r.rule, r.failing_rows) for r in again.report.results if not r.passed] == [("delivered_again", 2)]
    assert ids(blobs, taken(plain_trips, csv(2, 3), blobs, first)) == ["t0001", "t0002", "t0003"]


def test_the_same_appends_give_the_same_name(plain_trips: Contract, blobs: MemoryBlobs) -> None:
    other = MemoryBlobs()
    one = taken(plain_trips, csv(3, 4), blobs, taken(plain_trips, csv(1, 2), blobs))
    two = taken(plain_trips, csv(4, 3), other, taken(plain_trips, csv(2, 1), other))
    assert one.digest == two.digest


def test_a_known_key_with_other_values_is_refused(plain_trips: Contract, blobs: MemoryBlobs) -> None:
    first = taken(plain_trips, csv(1, 2), blobs)
    done = offer(plain_trips, csv(2, 3, miles=9.0), blobs, first)
    assert done.snapshot is None
    assert [(r.rule, r.failing_rows) for r in done.report.results if not r.passed] == [("changed_key", 1)]


def test_a_delivery_in_batches_is_one_snapshot_or_none(plain_trips: Contract, blobs: MemoryBlobs) -> None:
    frames = [pl.read_csv(csv(*range(n, n + 3)), infer_schema=False) for n in (0, 3, 6)]
    done = Intake(plain_trips, dataset="trips", blobs=blobs, now_us=NOW_US).take(frames)
    assert done.snapshot is not None
    assert (done.snapshot.rows, len(done.snapshot.parts), done.report.rows) == (9, 3, 9)
    bad = [*frames[:2], frames[2].with_columns(kind=pl.lit("odd")), frames[0]]
    refused = Intake(plain_trips, dataset="trips", blobs=blobs, now_us=NOW_US).take(bad)
    assert refused.snapshot is None
    assert refused.report.rows == 9, "nothing is read after the batch that broke the contract"
    twice = Intake(plain_trips, dataset="trips", blobs=blobs, now_us=NOW_US).take([frames[0], frames[0]])
    assert [r.rule for r in twice.report.results if not r.passed and r.severity == "refuse"] == ["primary_key"]
    small = msgspec.structs.replace(plain_trips, volume=msgspec.structs.replace(plain_trips.volume, rows_max=8))
    assert Intake(small, dataset="trips", blobs=blobs, now_us=NOW_US).take(frames).snapshot is None, "the volume is of the whole delivery"


def test_a_column_that_was_added_is_missing_in_older_parts(plain_trips: Contract, blobs: MemoryBlobs) -> None:
    first = taken(plain_trips, csv(1), blobs)
    note = Column(name="note", logical_type="string", physical_type="string")
    wider = msgspec.structs.replace(plain_trips, columns=(*plain_trips.columns, note), version="1.1.0")
    data = csv(2).replace(b"ended_at\n", b"ended_at,note\n").rstrip(b"\n") + b",new\n"
    second = taken(wider, data, blobs, first)
    assert read_snapshot(blobs, second).collect()["note"].to_list() == [None, "new"]
    narrower = msgspec.structs.replace(plain_trips, columns=tuple(c for c in plain_trips.columns if c.name != "seats"), version="2.0.0")
    with pytest.raises(Refused, match="cannot be added"):
        offer(narrower, csv(3), blobs, first)


def test_many_small_parts_are_joined_without_losing_a_row(
    plain_trips: Contract, blobs: MemoryBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(append, "PARTS_MAX", 4)
    monkeypatch.setattr(append, "PART_ROWS_MAX", 3)
    snapshot = taken(plain_trips, csv(0), blobs)
    for number in range(1, 8):
        snapshot = taken(plain_trips, csv(number), blobs, snapshot)
        assert len(snapshot.blobs) <= 5
    assert ids(blobs, snapshot) == [f"t{n:04}" for n in range(8)]


def test_a_changed_manifest_is_found(plain_trips: Contract, blobs: MemoryBlobs) -> None:
    snapshot = taken(plain_trips, csv(3), blobs, taken(plain_trips, csv(1), blobs))
    other = msgspec.structs.replace(snapshot, parts=snapshot.parts[:1])
    with pytest.raises(Integrity, match="other parts"):
        read_snapshot(blobs, other)
    blobs.held[snapshot.digest] = blobs.held[snapshot.digest].replace(b'"rows":1', b'"rows":2', 1)
    with pytest.raises(Integrity, match="manifest"):
        read_snapshot(blobs, snapshot)
