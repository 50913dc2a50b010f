"""Additions are free; what breaks someone needs a new major version and is named."""

import msgspec
import pytest

from leverframe.data.contract.contracts import Column, Contract
from leverframe.data.contract.evolution import evolve


def changed(contract: Contract, column: str, *, version: str = "1.1.0", **facts: object) -> Contract:
    columns = tuple(msgspec.structs.replace(c, **facts) if c.name == column else c for c in contract.columns)
    return msgspec.structs.replace(contract, columns=columns, version=version)


def test_the_first_contract_and_the_same_contract_are_allowed(trips: Contract) -> None:
    assert evolve(None, trips).kind == "first"
    assert evolve(trips, trips).kind == "same"


def test_an_optional_column_or_wider_range_is_additive(trips: Contract) -> None:
    extra = Column(name="tip", logical_type="number", physical_type="float64")
    step = evolve(trips, msgspec.structs.replace(trips, columns=(*trips.columns, extra), version="1.1.0"))
    assert (step.kind, step.refusals) == ("additive", ())
    assert evolve(trips, changed(trips, "miles", maximum=200)).kind == "additive"
    assert evolve(trips, changed(trips, "kind", enumeration=("short", "long", "tour"))).kind == "additive"


@pytest.mark.parametrize(
    ("column", "facts"),
    [
        ("miles", {"maximum": 50}),
        ("miles", {"minimum": 1}),
        ("miles", {"physical_type": "float32"}),
        ("miles", {"severity": "warn"}),
        ("kind", {"required": False}),
        ("rider", {"required": True}),
        ("kind", {"enumeration": ("short",)}),
        ("rider", {"classification": "public", "tags": ()}),
        ("rider", {"length_max": 5}),
        ("rider", {"pattern": "^b"}),
        ("seats", {"references": "cars.seats"}),
        ("kind", {"primary_key": True}),
    ],
)
def test_each_breaking_change_is_named_and_needs_a_major(trips: Contract, column: str, facts: dict[str, object]) -> None:
    step = evolve(trips, changed(trips, column, **facts))
    assert step.kind == "breaking"
    assert step.refusals[0].expected == "2.0.0 or higher"
    allowed = evolve(trips, changed(trips, column, version="2.0.0", **facts))
    assert allowed.refusals == ()
    assert {fault.where for fault in allowed.breaks} <= {column, "primaryKey"}


def test_a_lost_column_breaks_its_readers(trips: Contract) -> None:
    step = evolve(trips, msgspec.structs.replace(trips, columns=trips.columns[:-1], version="1.1.0"))
    assert [(f.where, f.what) for f in step.breaks] == [("ended_at", "readers lose the column")]


def test_a_version_never_goes_back_or_changes_its_content(trips: Contract) -> None:
    assert evolve(trips, changed(trips, "miles", version="1.0.0", maximum=200)).refusals[0].where == "version"
    assert evolve(trips, changed(trips, "miles", version="0.9.0", maximum=200)).refusals[0].where == "version"
    assert evolve(changed(trips, "miles", version="1.9.0"), changed(trips, "miles", version="1.10.0", maximum=200)).refusals == ()


def test_older_rows_than_promised_break_readers(trips: Contract) -> None:
    step = evolve(trips, msgspec.structs.replace(trips, freshness=None, version="1.1.0"))
    assert [fault.where for fault in step.breaks] == ["freshness"]


@pytest.mark.parametrize(
    ("column", "facts", "lost"),
    [
        ("miles", {"maximum": 50}, ()),
        ("kind", {"enumeration": ("short",)}, ()),
        ("rider", {"required": True}, ()),
        ("kind", {"required": False}, ("kind",)),
        ("miles", {"physical_type": "float32"}, ("miles",)),
        ("miles", {"severity": "warn"}, ("miles",)),
        ("kind", {"primary_key": True}, ("*",)),
    ],
)
def test_what_only_asks_more_of_writers_takes_nothing_from_readers(
    trips: Contract, column: str, facts: dict[str, object], lost: tuple[str, ...]
) -> None:
    assert evolve(trips, changed(trips, column, **facts)).lost_columns == lost


def test_a_rule_that_goes_is_missed_by_readers_of_its_columns(trips: Contract) -> None:
    assert evolve(trips, msgspec.structs.replace(trips, sql_rules=(), version="1.1.0")).lost_columns == ("kind", "miles")
