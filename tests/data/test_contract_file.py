"""A contract file becomes a contract, or the list of everything wrong with it."""

import pytest

from leverframe.core.clock import HOUR_US
from leverframe.core.errors import InvalidInput, LimitExceeded
from leverframe.data.contract.contract_file import read_contract
from leverframe.data.contract.contracts import Contract


def test_every_promise_of_the_file_is_in_the_contract(trips: Contract) -> None:
    columns = {column.name: column for column in trips.columns}
    assert (trips.name, trips.version, trips.team, trips.owner) == ("trips", "1.0.0", "rides", "ana")
    assert trips.primary_key == ("id",)
    assert columns["id"].required
    assert columns["kind"].enumeration == ("short", "long")
    assert (columns["miles"].minimum, columns["miles"].maximum, columns["miles"].severity) == (0, 100, "quarantine")
    assert (columns["seats"].exclusive_minimum, columns["seats"].exclusive_maximum) == (0, 10)
    assert columns["rider"].personal
    assert not columns["kind"].personal
    assert columns["ended_at"].physical_type == "int64"
    assert trips.volume is not None
    assert (trips.volume.rows_min, trips.volume.rows_max) == (1, 999)
    assert trips.freshness is not None
    assert trips.freshness.age_max_us == 2 * HOUR_US
    assert trips.sql_rules[0].bad_when == "kind = 'long' AND miles < 5"


def test_the_compiled_digest_does_not_depend_on_layout(trips: Contract, trips_text: str) -> None:
    assert read_contract(("# a comment\n" + trips_text).encode()).digest == trips.digest


FAULTS = [
    ("version: 1.0.0", "version: one", "version"),
    ("apiVersion: v3.1.0", "apiVersion: v2.0.0", "apiVersion"),
    ("  name: rides\n", "", "team.name"),
    ("role: owner", "role: guest", "team.members"),
    ("logicalType: integer", "logicalType: whole", "schema.0.properties.3.logicalType"),
    ("physicalType: int64", "physicalType: blob", "schema.0.properties.5.physicalType"),
    ("primaryKey: true", "primarykey: true", "schema.0.properties.0.primarykey"),
    ("minimum: 0, maximum: 100", "minimum: 100, maximum: 0", "schema.0.properties.2.logicalTypeOptions"),
    ('pattern: "^[a-z]+$"', 'pattern: "(["', "schema.0.properties.4.logicalTypeOptions.pattern"),
    ("value: quarantine", "value: explode", "schema.0.properties.2.customProperties.0"),
    ("name: seats", "name: miles", "schema.0.properties.3"),
    ("mustBeGreaterThan: 0, mustBeLessThan: 1000", "mustBeBetween: [9, 1]", "schema.0.quality.0"),
    ("miles < 5", "furlongs < 5", "schema.0.quality.1.query"),
    ("kind = 'long' AND miles < 5", "miles + 1", "schema.0.quality.1.query"),
    ("trips.ended_at", "trips.begun_at", "slaProperties.0.element"),
    ("unit: h,", "unit: fortnights,", "slaProperties.0"),
]


@pytest.mark.parametrize(("good", "bad", "where"), FAULTS)
def test_each_fault_is_named_where_it_is(trips_text: str, good: str, bad: str, where: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_contract(trips_text.replace(good, bad, 1).encode())
    assert where in {fault.where for fault in refused.value.faults}


def test_all_faults_are_reported_at_once(trips_text: str) -> None:
    text = trips_text
    for good, bad, _ in FAULTS[:6]:
        text = text.replace(good, bad, 1)
    with pytest.raises(InvalidInput) as refused:
        read_contract(text.encode())
    assert {where for _, _, where in FAULTS[:6]} <= {fault.where for fault in refused.value.faults}


@pytest.mark.parametrize(
    "predicate",
    ["kind IN (SELECT * FROM read_csv('/etc/passwd'))", "(select true)", "EXISTS (VALUES (1))", "kind IN (SeLeCt 1)"],
)
def test_a_rule_can_never_hold_a_query_that_could_read_a_file(trips_text: str, predicate: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_contract(trips_text.replace("kind = 'long' AND miles < 5", predicate).encode())
    assert any(fault.what == "a predicate may not contain a query" for fault in refused.value.faults)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xfe", InvalidInput),
        (b"a: [1", InvalidInput),
        (b"- 1", InvalidInput),
        (b"name: a\nname: b", InvalidInput),
        (b"a: &x [1]\nb: *x", InvalidInput),
        (b"a: !!python/object/apply:os.system ['true']", InvalidInput),
        (b"[" * 5000, InvalidInput),
        (b"#" * 2_000_000, LimitExceeded),
        (b"a: " + b"[" * 40 + b"]" * 40, LimitExceeded),
    ],
)
def test_hostile_files_are_refused_before_anything_is_built(data: bytes, kind: type[InvalidInput]) -> None:
    with pytest.raises(kind):
        read_contract(data)
