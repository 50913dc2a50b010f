"""The same rows have the same name, whatever order or pieces they came in."""

import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.conftest import MemoryBlobs

from leverframe.core.clock import HOUR_US
from leverframe.core.dataset import Snapshot
from leverframe.core.errors import Integrity, Refused
from leverframe.data.checks.checks import check
from leverframe.data.contract.contracts import Contract
from leverframe.data.snapshots.snapshots import canonical_rows, parquet_bytes, read_snapshot, take_snapshot

NOW_US = 10 * HOUR_US


def trips_frame(count: int = 5) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [f"t{i}" for i in range(count)],
            "kind": ["short"] * count,
            "miles": [float(i) for i in range(count)],
            "seats": [1 + i % 8 for i in range(count)],
            "rider": ["ann", None, "bob", "cy", "di"][:count],
            "ended_at": [NOW_US - i for i in range(count)],
        }
    )


def taken(frame: pl.DataFrame, contract: Contract, blobs: MemoryBlobs, now_us: int = NOW_US) -> Snapshot:
    checked = check(frame, contract, now_us)
    return take_snapshot(checked.good_rows, contract, checked.report, dataset="trips", blobs=blobs, now_us=now_us)


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(5)), cut=st.integers(0, 5))
def test_order_chunks_and_column_order_do_not_change_the_digest(trips: Contract, order: list[int], cut: int) -> None:
    frame = trips_frame()
    shuffled = frame[order].select(reversed(frame.columns))
    pieces = pl.concat([shuffled.head(cut), shuffled.tail(5 - cut)], rechunk=False)
    assert taken(pieces, trips, MemoryBlobs()).digest == taken(frame, trips, MemoryBlobs()).digest


def test_the_digest_tells_different_rows_apart_and_not_the_time_of_day(trips: Contract, blobs: MemoryBlobs) -> None:
    first, later = taken(trips_frame(), trips, blobs), taken(trips_frame(), trips, blobs, NOW_US + 1)
    other = taken(trips_frame().with_columns(miles=pl.col("miles") + 1), trips, blobs)
    assert first.digest == later.digest
    assert first.digest != other.digest


def test_a_snapshot_is_read_back_exactly(trips: Contract, blobs: MemoryBlobs) -> None:
    snapshot = taken(trips_frame(), trips, blobs)
    assert read_snapshot(blobs, snapshot).collect().equals(trips_frame())
    assert (snapshot.rows, snapshot.bytes) == (5, len(blobs.get(snapshot.digest)))
    assert (snapshot.event_time_min_us, snapshot.event_time_max_us) == (NOW_US - 4, NOW_US)
    assert snapshot.contract_digest == trips.digest
    assert snapshot.columns["ended_at"] == "int64"
    assert json.loads(blobs.get(snapshot.report_digest))["accepted"] is True


def test_a_large_snapshot_has_one_byte_form(trips: Contract) -> None:
    frame = pl.select(id=pl.int_range(300_000).cast(pl.String).str.zfill(7)).with_columns(
        kind=pl.lit("short"),
        miles=pl.int_range(300_000) % 100 / 7.0,
        seats=pl.lit(2, dtype=pl.Int64),
        rider=pl.lit(None, dtype=pl.String),
        ended_at=pl.int_range(300_000),
    )
    pieces = pl.concat([frame.slice(start, 77_777) for start in range(0, 300_000, 77_777)], rechunk=False)
    assert parquet_bytes(canonical_rows(pieces, trips)) == parquet_bytes(canonical_rows(frame, trips))


def test_damaged_bytes_are_found(trips: Contract, blobs: MemoryBlobs) -> None:
    snapshot = taken(trips_frame(), trips, blobs)
    blobs.held[snapshot.digest] = blobs.held[snapshot.digest][:-9] + b"x" + blobs.held[snapshot.digest][-8:]
    with pytest.raises(Integrity):
        read_snapshot(blobs, snapshot)


def test_rows_that_break_their_contract_never_become_a_snapshot(trips: Contract, blobs: MemoryBlobs) -> None:
    with pytest.raises(Refused):
        taken(trips_frame().with_columns(kind=pl.lit("odd")), trips, blobs)
    assert blobs.held == {}


def test_the_description_is_croissant_with_the_blob_s_checksum(trips: Contract, blobs: MemoryBlobs) -> None:
    snapshot = taken(trips_frame(), trips, blobs)
    document = json.loads(blobs.get(snapshot.description_digest))
    assert document["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert document["distribution"][0]["sha256"] == snapshot.digest.removeprefix("sha256:")
    assert [field["name"] for field in document["recordSet"][0]["field"]] == list(snapshot.columns)
    assert document["recordSet"][0]["key"] == [{"@id": "trips/id"}]
