"""A file is kept, kept in part, or set aside; nothing disappears."""

import io

import polars as pl
import pytest
from tests.data.conftest import MemoryBlobs

from leverframe.core.clock import HOUR_US
from leverframe.core.errors import LimitExceeded
from leverframe.data.contract.contracts import Contract
from leverframe.data.intake.ingest import failed_rules, ingest
from leverframe.data.snapshots.snapshots import read_snapshot
from leverframe.data.sources.files import Limits

NOW_US = 10 * HOUR_US
HEADER = b"id,kind,miles,seats,rider,ended_at\n"
GOOD = b"a,short,1.5,2,bob,35999999999\nb,long,9,1,,1970-01-01T09:30:00Z\n"


def test_a_good_file_becomes_a_snapshot(plain_trips: Contract, blobs: MemoryBlobs) -> None:
    done = ingest(HEADER + GOOD, "csv", plain_trips, dataset="trips", blobs=blobs, now_us=NOW_US)
    assert done.snapshot is not None
    assert done.quarantine is None
    assert done.report_digest == done.snapshot.report_digest
    assert read_snapshot(blobs, done.snapshot).collect()["miles"].to_list() == [1.5, 9.0]


def test_the_same_rows_in_another_format_are_the_same_snapshot(plain_trips: Contract, blobs: MemoryBlobs) -> None:
    text = ingest(HEADER + GOOD, "csv", plain_trips, dataset="trips", blobs=blobs, now_us=NOW_US)
    assert text.snapshot is not None
    columnar = ingest(blobs.get(text.snapshot.digest), "parquet", plain_trips, dataset="trips", blobs=blobs, now_us=NOW_US)
    assert columnar.snapshot is not None
    assert columnar.snapshot.digest == text.snapshot.digest


def test_a_broken_file_is_refused_with_every_fault_and_kept_aside_as_it_came(plain_trips: Contract, blobs: MemoryBlobs) -> None:
    data = b"id,kind,miles,seats,rider\na,odd,far,2,bob\na,,1,99,Eve Smith\n"
    done = ingest(data, "csv", plain_trips, dataset="trips", blobs=blobs, now_us=NOW_US)
    assert done.snapshot is None
    assert done.quarantine is not None
    assert blobs.get(done.quarantine) == data
    assert {(r.rule, r.column) for r in done.report.results if not r.passed} == {
        ("present", "ended_at"),
        ("enumeration", "kind"),
        ("required", "kind"),
        ("type", "miles"),
        ("exclusive_maximum", "seats"),
        ("pattern", "rider"),
        ("primary_key", "id"),
        ("freshness", "ended_at"),
    }
    lines = failed_rules(done.report)
    assert len(lines) == 8
    assert lines[0].startswith("[refuse]")
    assert any("Eve" in line for line in lines), "not a personal column here: test_personal.py has one"


def test_bad_rows_of_a_quarantine_rule_are_split_off(plain_trips: Contract, blobs: MemoryBlobs) -> None:
    done = ingest(HEADER + GOOD + b"c,short,500,2,,35999999998\n", "csv", plain_trips, dataset="trips", blobs=blobs, now_us=NOW_US)
    assert done.snapshot is not None
    assert done.quarantine is not None
    assert (done.snapshot.rows, done.report.quarantined_rows, done.report.rows) == (2, 1, 3)
    assert pl.read_parquet(io.BytesIO(blobs.get(done.quarantine)))["id"].to_list() == ["c"]


def test_a_file_that_cannot_be_read_is_refused_not_lost(plain_trips: Contract, blobs: MemoryBlobs) -> None:
    done = ingest(b"\xff\xfejunk", "csv", plain_trips, dataset="trips", blobs=blobs, now_us=NOW_US)
    assert done.snapshot is None
    assert [r.rule for r in done.report.results] == ["readable"]
    assert done.quarantine is not None
    assert blobs.get(done.quarantine) == b"\xff\xfejunk"


def test_a_file_beyond_the_byte_bound_is_not_even_set_aside(plain_trips: Contract, blobs: MemoryBlobs) -> None:
    with pytest.raises(LimitExceeded):
        ingest(HEADER + GOOD, "csv", plain_trips, dataset="trips", blobs=blobs, now_us=NOW_US, limits=Limits(bytes_max=10))
    assert blobs.held == {}
