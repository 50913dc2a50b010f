"""Contract checks against a slow row-by-row oracle, and the rules a row cannot show."""

import math
import re
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.core.clock import HOUR_US
from leverframe.core.dataset import RuleResult
from leverframe.core.errors import InvalidInput
from leverframe.data.checks.checks import Checked, check
from leverframe.data.checks.screen import repeats
from leverframe.data.contract.contract_file import read_contract
from leverframe.data.contract.contracts import Column, Contract

NOW_US = 10 * HOUR_US
GOOD = {"id": "a", "kind": "short", "miles": 3.0, "seats": 2, "rider": "bob", "ended_at": NOW_US - 1}
TYPES = {
    "id": pl.String,
    "kind": pl.String,
    "miles": pl.Float64,
    "seats": pl.Int64,
    "rider": pl.String,
    "ended_at": pl.Int64,
}


def rows(*changes: dict[str, Any]) -> pl.DataFrame:
    listed = [{**GOOD, "id": f"id{index}", **change} for index, change in enumerate(changes)]
    return pl.DataFrame(listed, schema=TYPES)


def result(checked: Checked, rule: str, column: str) -> RuleResult:
    return next(r for r in checked.report.results if (r.rule, r.column) == (rule, column))


def broken(checked: Checked) -> set[tuple[str, str]]:
    return {(r.rule, r.column) for r in checked.report.results if not r.passed}


def oracle(listed: list[dict[str, Any]], columns: tuple[Column, ...]) -> dict[tuple[str, str], int]:
    """Failing rows by rule, the plain way."""
    counts: dict[tuple[str, str], int] = {}

    def fail(rule: str, column: str) -> None:
        counts[rule, column] = counts.get((rule, column), 0) + 1

    keys: set[Any] = set()
    for row in listed:
        for column in columns:
            value = row[column.name]
            if value is None:
                if column.required:
                    fail("required", column.name)
                continue
            if isinstance(value, float) and not math.isfinite(value):
                fail("type", column.name)
                continue
            if column.minimum is not None and value < column.minimum:
                fail("minimum", column.name)
            if column.maximum is not None and value > column.maximum:
                fail("maximum", column.name)
            if column.exclusive_minimum is not None and value <= column.exclusive_minimum:
                fail("exclusive_minimum", column.name)
            if column.exclusive_maximum is not None and value >= column.exclusive_maximum:
                fail("exclusive_maximum", column.name)
            if column.enumeration and value not in column.enumeration:
                fail("enumeration", column.name)
            if column.pattern and not re.search(column.pattern.replace("$", r"\Z"), value):
                fail("pattern", column.name)
            if column.length_max is not None and len(value) > column.length_max:
                fail("length_max", column.name)
        if row["id"] is not None:
            if row["id"] in keys:
                fail("primary_key", "id")
            keys.add(row["id"])
        miles = row["miles"]
        if row["kind"] == "long" and miles is not None and math.isfinite(miles) and miles < 5:
            fail("long_trips_are_long", "")
    return counts


ROW = st.fixed_dictionaries(
    {
        "id": st.one_of(st.none(), st.sampled_from(["a", "b", "c", "d", "e"])),
        "kind": st.sampled_from([None, "short", "long", "odd"]),
        "miles": st.one_of(st.none(), st.sampled_from([-0.5, 0.0, 4.9, 100.0, 100.1, math.nan, math.inf])),
        "seats": st.one_of(st.none(), st.integers(-1, 11)),
        "rider": st.one_of(st.none(), st.sampled_from(["bob", "Bob", "", "abcdefghijklmnop", "bob\n"])),
        "ended_at": st.one_of(st.none(), st.integers(0, NOW_US)),
    }
)


@settings(max_examples=120, deadline=None)
@given(listed=st.lists(ROW, min_size=1, max_size=12))
def test_the_one_pass_check_counts_what_a_row_by_row_check_counts(trips: Contract, listed: list[dict[str, Any]]) -> None:
    checked = check(pl.DataFrame(listed, schema=TYPES), trips, NOW_US)
    expected = oracle(listed, trips.columns)
    counted = {
        (r.rule, r.column): r.failing_rows for r in checked.report.results if r.failing_rows and r.rule not in ("volume", "freshness")
    }
    assert counted == expected
    set_aside = [
        any(row["miles"] is not None and not 0 <= row["miles"] <= 100 for row in [one])
        or (one["miles"] is not None and math.isnan(one["miles"]))
        for one in listed
    ]
    assert checked.bad.to_list() == set_aside
    assert checked.report.quarantined_rows == sum(set_aside)


def test_good_rows_pass_every_rule_and_come_through_unchanged(trips: Contract) -> None:
    frame = rows({}, {}, {"rider": None})
    checked = check(frame, trips, NOW_US)
    assert broken(checked) == set()
    assert checked.report.accepted
    assert checked.good_rows.equals(frame)


def test_a_value_of_a_personal_column_never_shows(trips: Contract) -> None:
    checked = check(rows({}, {"rider": "Eve Smith"}), trips, NOW_US)
    seen = result(checked, "pattern", "rider")
    assert seen.examples == ("row 2",)
    assert "Eve" not in str(checked.report)


def test_examples_are_few_distinct_and_bounded(trips: Contract) -> None:
    changes = [{"kind": "x" * 500}] * 3 + [{"kind": f"k{i}"} for i in range(9)]
    seen = result(check(rows(*changes), trips, NOW_US), "enumeration", "kind")
    assert (seen.failing_rows, seen.checked_rows) == (12, 12)
    assert seen.examples == ("x" * 80, "k0", "k1")


def test_absent_columns_are_reported_and_unagreed_ones_dropped(trips: Contract) -> None:
    checked = check(rows({}).drop("kind", "seats").with_columns(secret=pl.lit("x")), trips, NOW_US)
    assert broken(checked) == {("present", "kind"), ("present", "seats"), ("unexpected", "secret")}
    assert result(checked, "present", "kind").severity == "refuse"
    assert result(checked, "present", "seats").severity == "warn"
    assert not checked.report.accepted
    assert "secret" not in checked.rows.columns


@pytest.mark.parametrize(
    ("name", "values", "typed", "faults"),
    [
        ("miles", ["1.5", "far", "nan", None], [1.5, None, None, None], 2),
        ("seats", ["2", "2.0", " 2", "9223372036854775808"], [2, None, None, None], 3),
        ("seats", [2.0, 2.5, None, math.nan], [2, None, None, None], 2),
        ("seats", [True, False, None, True], [None] * 4, 3),
        ("miles", [1, 2, None, 3], [1.0, 2.0, None, 3.0], 0),
        ("kind", [1, 2, None, 3], [None] * 4, 3),
        ("kind", [["a"], ["b"], None, []], [None] * 4, 3),
        ("ended_at", ["1970-01-01T01:00:00Z", "1970-01-01T01:00:00", "1970-01-01T03:00:00+02:00", "7"], [HOUR_US, HOUR_US, HOUR_US, 7], 0),
        ("ended_at", [datetime(1970, 1, 1, 1, tzinfo=UTC), None, None, None], [HOUR_US, None, None, None], 0),
    ],
)
def test_offered_types_become_promised_types_without_loss(
    trips: Contract, name: str, values: list[Any], typed: list[Any], faults: int
) -> None:
    frame = rows({}, {}, {}, {}).with_columns(pl.Series(name, values))
    checked = check(frame, trips, NOW_US)
    assert checked.rows[name].to_list() == typed
    assert result(checked, "type", name).failing_rows == faults


def test_freshness_and_volume_are_about_the_file(trips: Contract) -> None:
    old = check(rows({}), trips, NOW_US + 3 * HOUR_US)
    assert broken(old) == {("freshness", "ended_at")}
    assert old.report.accepted, "a late file warns; it is still the truth about the past"
    none = check(rows({}).head(0), trips, NOW_US)
    assert not none.report.accepted
    assert ("volume", "") in broken(none)
    many = check(pl.concat([rows({})] * 1000).with_columns(id=pl.int_range(1000).cast(pl.String)), trips, NOW_US)
    assert ("volume", "") in broken(many)


def test_a_reference_is_checked_in_the_parent_and_fails_without_one(trips_text: str) -> None:
    text = trips_text.replace("name: kind\n", "name: kind\n        relationships: [{ type: foreignKey, to: kinds.code }]\n")
    contract = read_contract(text.encode())
    frame = rows({"kind": "short"}, {"kind": "long", "miles": 9.0})
    whole = pl.LazyFrame({"code": ["short", "long"]})
    assert result(check(frame, contract, NOW_US, {"kinds": whole}), "reference", "kind").passed
    partial = result(check(frame, contract, NOW_US, {"kinds": whole.head(1)}), "reference", "kind")
    assert (partial.passed, partial.failing_rows, partial.examples) == (False, 1, ("long",))
    unknown = check(frame, contract, NOW_US)
    assert not unknown.report.accepted, "what could not be verified is not accepted"
    assert result(unknown, "reference", "kind").checked_rows == 0


def test_a_tolerated_share_passes_and_one_row_more_does_not(trips_text: str) -> None:
    contract = read_contract(trips_text.replace("        mustBe: 0\n", "        mustBeLessOrEqualTo: 10\n        unit: percent\n").encode())
    short_long = {"kind": "long", "miles": 1.0}
    assert check(rows(short_long, *[{}] * 9), contract, NOW_US).report.accepted
    assert not check(rows(short_long, short_long, *[{}] * 8), contract, NOW_US).report.accepted


METRICS = """
    quality:
      - { type: library, metric: duplicateValues, name: one_ride_at_a_time,
          arguments: { properties: [rider, ended_at] }, mustBe: 0, severity: warn }
"""
INVALID = """logicalType: integer
        quality:
          - { type: library, metric: invalidValues, name: known_seats, arguments: { validValues: [1, 2, 4] },
              mustBeLessOrEqualTo: 1, unit: rows }
          - { type: library, metric: missingValues, name: seats_told, arguments: { missingValues: [9, null] },
              mustBeLessOrEqualTo: 40, unit: percent }
          - { type: sql, name: few_seats, query: "SELECT COUNT(*) FROM ${object} WHERE ${property} > 8", mustBe: 0, severity: quarantine }
"""


def test_the_library_metrics_of_the_standard_are_counted_and_tolerate_what_they_say(trips_text: str) -> None:
    text = trips_text.replace("    quality:\n", METRICS.lstrip("\n"), 1).replace("logicalType: integer\n", INVALID, 1)
    contract = read_contract(text.encode())
    frame = rows({"seats": 3}, {"seats": 9}, {"seats": None}, {"seats": 1, "rider": None}, {"seats": 1, "rider": None})
    checked = check(frame, contract, NOW_US)
    known = result(checked, "known_seats", "seats")
    assert (known.failing_rows, known.checked_rows, known.rows_max, known.passed) == (2, 4, 1, False)
    assert (known.examples, known.example_rows, known.failing_share) == (("3", "9"), ("id=id0", "id=id1"), 0.5)
    told = result(checked, "seats_told", "seats")
    assert (told.failing_rows, told.checked_rows, told.share_max, told.passed) == (2, 5, 0.4, True)
    repeated = result(checked, "one_ride_at_a_time", "rider, ended_at")
    assert (repeated.failing_rows, repeated.passed, repeated.severity) == (2, False, "warn"), "rows with a missing part repeat nothing"
    assert repeated.examples == ("row 2", "row 3"), "a personal column's values never show"
    assert result(checked, "few_seats", "").failing_rows == 1
    assert checked.bad.to_list() == [False, True, False, False, False]


@pytest.mark.parametrize(
    ("good", "bad", "where"),
    [
        ("validValues: [1, 2, 4]", "validValues: [one]", "schema.0.properties.3.quality.0.arguments.validValues"),
        ("arguments: { validValues: [1, 2, 4] },", "", "schema.0.properties.3.quality.0.arguments"),
        ("mustBeLessOrEqualTo: 1, unit: rows", "mustBeGreaterThan: 1", "schema.0.properties.3.quality.0"),
        ("[rider, ended_at]", "[rider, begun_at]", "schema.0.quality.0.arguments.properties"),
        ("name: seats_told", "name: known_seats", "quality"),
    ],
)
def test_a_metric_that_cannot_be_enforced_is_refused(trips_text: str, good: str, bad: str, where: str) -> None:
    text = trips_text.replace("    quality:\n", METRICS.lstrip("\n"), 1).replace("logicalType: integer\n", INVALID, 1)
    assert good in text
    with pytest.raises(InvalidInput) as refused:
        read_contract(text.replace(good, bad, 1).encode())
    assert where in {fault.where for fault in refused.value.faults}


@settings(max_examples=80, deadline=None)
@given(listed=st.lists(st.none() | st.integers(-3, 12) | st.sampled_from([2**62, -(2**62)]), max_size=20))
def test_marking_numbers_off_a_list_finds_what_hashing_finds(listed: list[int | None]) -> None:
    values = pl.Series("v", listed, dtype=pl.Int64)
    found = repeats(values)
    if found is not None:
        assert found.to_list() == (values.is_not_null() & ~values.is_first_distinct()).to_list()
    else:
        present = [value for value in listed if value is not None]
        assert not present or max(present) - min(present) >= 8 * len(listed)
