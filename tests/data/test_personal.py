"""Of a personal column only what its contract allows is kept, and nothing that is written down repeats a value."""

import io
import logging

import polars as pl
import pytest
from tests.data.conftest import TRIPS, MemoryBlobs

from leverframe.core.clock import HOUR_US
from leverframe.core.errors import InvalidInput, Refused
from leverframe.data.contract.contract_file import read_contract
from leverframe.data.contract.contracts import Contract
from leverframe.data.intake.ingest import failed_rules, ingest
from leverframe.data.personal import MASK, hashed, treat
from leverframe.data.snapshots.snapshots import read_snapshot
from leverframe.governance.pseudonyms import Pseudonyms

NOW_US = 10 * HOUR_US
HEADER = b"id,kind,miles,seats,rider,ended_at\n"
PLANTED = ("evesmith", "bobjones", "zoedoe")


def treated(how: str) -> Contract:
    return read_contract(
        TRIPS.replace("tags: [pii]", f"tags: [pii]\n        customProperties: [{{ property: treatment, value: {how} }}]").encode()
    )


def rows_of(contract: Contract, data: bytes, blobs: MemoryBlobs, pseudonyms: Pseudonyms) -> pl.DataFrame:
    done = ingest(data, "csv", contract, dataset="trips", blobs=blobs, now_us=NOW_US, pseudonyms=pseudonyms)
    assert done.snapshot is not None, failed_rules(done.report)
    return read_snapshot(blobs, done.snapshot).collect()


GOOD = HEADER + b"a,short,1.5,2,evesmith,35999999999\nb,short,2,1,bobjones,35999999998\nc,short,2,1,evesmith,35999999997\nd,short,1,1,,1\n"


def test_without_a_declared_treatment_a_personal_column_is_hashed_and_still_joins(
    trips: Contract, blobs: MemoryBlobs, pseudonyms: Pseudonyms
) -> None:
    rider = rows_of(trips, GOOD, blobs, pseudonyms)["rider"].to_list()
    assert rider == [pseudonyms.of("evesmith")[:16].hex(), pseudonyms.of("bobjones")[:16].hex(), rider[0], None]
    assert Pseudonyms(b"x" * 32).of("evesmith") != pseudonyms.of("evesmith"), "without the key nobody can try guessed values"


@pytest.mark.parametrize(("how", "stored"), [("keep", "evesmith"), ("mask", MASK), ("drop", None)])
def test_a_declared_treatment_is_what_happens(how: str, stored: str | None, blobs: MemoryBlobs, pseudonyms: Pseudonyms) -> None:
    rows = rows_of(treated(how), GOOD, blobs, pseudonyms)
    assert ("rider" in rows.columns) is (stored is not None)
    assert stored is None or rows["rider"][0] == stored


def test_whole_numbers_are_hashed_to_whole_numbers_and_other_types_masked(pseudonyms: Pseudonyms) -> None:
    text = TRIPS.replace(
        "{ name: id, logicalType: string, required: true, primaryKey: true }", "{ name: id, logicalType: integer, tags: [pii] }"
    )
    contract = read_contract(text.replace("logicalType: number", "logicalType: number\n        tags: [pii]", 1).encode())
    kept = treat(pl.DataFrame({"id": [7, 7, None], "miles": [1.0, 2.0, 3.0]}), contract, pseudonyms)
    assert kept["id"].to_list() == [int.from_bytes(pseudonyms.of("7")[:8], "big") >> 1] * 2 + [None]
    assert kept["miles"].to_list() == [None, None, None]


def test_a_reference_to_a_hashed_key_is_checked_on_the_offered_values(trips: Contract, blobs: MemoryBlobs, pseudonyms: Pseudonyms) -> None:
    rider = next(column for column in trips.columns if column.name == "rider")
    riders = hashed(pl.Series("name", ["evesmith", "bobjones"]), rider, pseudonyms).to_frame().lazy()
    text = TRIPS.replace("maxLength: 12 }", "maxLength: 12 }\n        relationships: [{ to: riders.name }]")
    contract = read_contract(text.encode())

    def offered(data: bytes) -> list[str]:
        done = ingest(data, "csv", contract, dataset="trips", blobs=blobs, now_us=NOW_US, pseudonyms=pseudonyms, parents={"riders": riders})
        return [result.rule for result in done.report.results if not result.passed and result.severity == "refuse"]

    assert offered(GOOD) == []
    assert offered(GOOD.replace(b"bobjones", b"zoedoe")) == ["reference"]


def test_no_key_no_hash(trips: Contract, blobs: MemoryBlobs) -> None:
    with pytest.raises(Refused, match="no key"):
        ingest(GOOD, "csv", trips, dataset="trips", blobs=blobs, now_us=NOW_US)
    assert blobs.held == {}


def test_a_treatment_that_loses_the_key_or_does_not_fit_is_refused() -> None:
    key = TRIPS.replace("primaryKey: true }", "primaryKey: true, customProperties: [{ property: treatment, value: mask }] }")
    number = TRIPS.replace("value: quarantine }]", "value: quarantine }, { property: treatment, value: hash }]")
    unknown = TRIPS.replace("value: quarantine }]", "value: quarantine }, { property: treatment, value: rot13 }]")
    for text, says in ((key, "identifies a row"), (number, "cannot hold a hash"), (unknown, "unknown treatment")):
        with pytest.raises(InvalidInput, match=says):
            read_contract(text.encode())


DELIVERIES = {
    "good": GOOD,
    "rows set aside": HEADER + b"a,short,1.5,2,evesmith,35999999999\nb,short,500,1,bobjones,35999999998\n",
    "a broken rule of the personal column": HEADER + b"a,short,1,2,evesmith9,35999999999\nb,short,2,1,bobjones,3\n",
    "a key given twice": HEADER + b"a,short,1,2,evesmith,35999999999\na,short,2,1,bobjones,3\n",
    "a column the contract does not name": b"id,kind,miles,seats,rider,ended_at,nick\na,short,1,2,evesmith,35999999999,zoedoe\n",
    "values where the header should be": b"a,short,1,2,evesmith,35999999999\nb,short,2,1,bobjones,3\n",
    "values as a header given twice": b"evesmith,evesmith\nbobjones,2\n",
    "not text": b"\xff\xfeevesmith",
    "not even rows": HEADER + b"a,short,1,2,evesmith,3,4,5\n",
    "a line that is no object": b'{"rider": ["evesmith"]}\n',
}


@pytest.mark.parametrize("what", DELIVERIES)
def test_planted_values_are_nowhere_in_what_an_ingest_produces(
    what: str, trips: Contract, blobs: MemoryBlobs, pseudonyms: Pseudonyms, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    data = DELIVERIES[what]
    done = ingest(data, "jsonl" if data[:1] == b"{" else "csv", trips, dataset="trips", blobs=blobs, now_us=NOW_US, pseudonyms=pseudonyms)
    produced = [*blobs.held.values(), "\n".join(failed_rules(done.report)).encode(), repr(done).encode(), caplog.text.encode()]
    produced += [repr(pl.read_parquet(io.BytesIO(blob)).rows()).encode() for blob in blobs.held.values() if blob[:4] == b"PAR1"]
    for value in PLANTED:
        assert not any(value.encode() in each for each in produced), f"{value} is written down"


def test_the_search_for_planted_values_would_find_one(blobs: MemoryBlobs, pseudonyms: Pseudonyms) -> None:
    ingest(GOOD, "csv", treated("keep"), dataset="trips", blobs=blobs, now_us=NOW_US, pseudonyms=pseudonyms)
    found = [repr(pl.read_parquet(io.BytesIO(blob)).rows()) for blob in blobs.held.values() if blob[:4] == b"PAR1"]
    assert any("evesmith" in each for each in found)
