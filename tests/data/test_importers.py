"""Suites that pandera and Great Expectations really wrote become contracts that say the same, and say what they do not."""

import json
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from leverframe.core.dataset import ContractReport
from leverframe.core.errors import InvalidInput, LimitExceeded
from leverframe.data.checks.checks import check
from leverframe.data.contract.contract_file import read_contract
from leverframe.data.contract.contracts import Contract, Volume
from leverframe.data.importers.claims import Suite
from leverframe.data.importers.great_expectations import great_expectations_suite
from leverframe.data.importers.pandera import pandera_suite
from leverframe.data.importers.plain import read_plain
from leverframe.data.importers.suite_contract import Imported, import_suite

SUITES = Path(__file__).parent / "suites"
DAY_US = 86_400_000_000
GOOD: dict[str, Any] = {
    "order_id": 7,
    "customer": "anna",
    "status": "open",
    "amount": 12.5,
    "discount": 0.5,
    "code": "AB1234",
    "note": "well kept",
    "items": 2,
    "placed_at": DAY_US,
}


def suite_of(file: str) -> Suite:
    document = read_plain((SUITES / file).read_bytes(), json=file.endswith(".json"))
    return great_expectations_suite(document) if ".gx" in file else pandera_suite(document)


def imported(file: str, **options: Any) -> Imported:
    done = import_suite(suite_of(file), **{"dataset": "", "team": "shop", "owner": "ana", **options})
    assert read_contract(done.text.encode()) == done.contract
    return done


def report(contract: Contract, *changes: dict[str, Any]) -> ContractReport:
    """Of one good row for each of ``changes``, and those in it; columns of the contract only, each in its own type."""
    rows = [{**GOOD, "order_id": 7 + index, "placed_at": (1 + index) * DAY_US, **change} for index, change in enumerate(changes)]
    frame = pl.DataFrame(rows, schema_overrides={"amount": pl.Float64, "discount": pl.Float64, "items": pl.Int64}, infer_schema_length=None)
    return check(frame.with_columns(pl.col("placed_at").cast(pl.Datetime("us"))), contract, 0).report


def broken(found: ContractReport) -> set[tuple[str, str]]:
    return {(r.rule, r.severity) for r in found.results if not r.passed and r.rule != "unexpected"}


@pytest.mark.parametrize("file", ["orders.pandera.yaml", "orders.pandera.json", "orders.export.json"])
@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ({}, set()),
        ({"order_id": 0}, {("minimum", "refuse")}),
        ({"customer": None}, {("required", "refuse")}),
        ({"customer": "al"}, {("length_min", "refuse")}),
        ({"status": "lost"}, {("enumeration", "refuse")}),
        ({"amount": 0.0}, {("exclusive_minimum", "refuse")}),
        ({"amount": None}, set()),
        ({"discount": 0.0}, set()),
        ({"discount": 1.0}, {("exclusive_maximum", "refuse")}),
        ({"code": "A1"}, {("code_pattern", "warn")}),
        ({"code": "AB12345"}, set()),
        ({"note": "well lost"}, {("pattern", "refuse")}),
        ({"note": "is kept"}, {("note_pattern", "refuse")}),
        ({"items": 0}, {("items_excluded", "refuse")}),
        ({"items": -1}, {("minimum", "refuse")}),
    ],
)
def test_a_pandera_schema_turns_away_what_it_turned_away(file: str, change: dict[str, Any], rules: set[tuple[str, str]]) -> None:
    """``str_matches`` looks at the beginning only, ``in_range`` may leave an end out, an unsigned type has no negative numbers."""
    assert broken(report(imported(file).contract, change)) == rules


def test_what_is_unique_alone_and_together() -> None:
    contract = imported("orders.pandera.yaml").contract
    assert broken(report(contract, {}, {"order_id": 7})) == {("unique", "refuse")}
    assert broken(report(contract, {}, {"placed_at": DAY_US})) == {("customer_placed_at_unique", "refuse")}


def test_a_function_of_the_team_is_named_where_pandera_s_own_file_forgets_it() -> None:
    what = {fault.got: fault.what for fault in imported("orders.export.json").left}
    assert what["spelled"] == "a function of yours: write it as a SQL rule"
    assert what["strict"] == "a column the contract does not name is dropped with a warning"
    assert "spelled" not in {fault.got for fault in imported("orders.pandera.yaml").left}
    assert "# not as the suite says: column customer: spelled" in imported("orders.export.json").text


def test_an_older_pandera_s_checks_are_known_by_their_functions() -> None:
    done = imported("older.export.json")
    columns = {column.name: column for column in done.contract.columns}
    assert (columns["status"].enumeration, columns["amount"].minimum, columns["amount"].maximum) == (("open", "paid"), 0, 5)
    assert (columns["order_id"].minimum, columns["order_id"].unique) == (1, True)
    assert [fault.got for fault in done.left if "function of yours" in fault.what] == ["even"]


def test_the_older_pandera_form_is_read_too() -> None:
    done = imported("orders.pandera_0_20.yaml")
    assert "imported from pandera 0.20.4" in done.text
    columns = {column.name: column for column in done.contract.columns}
    assert columns["status"].enumeration == ("open", "paid")
    assert (columns["status"].length_min, columns["status"].length_max, columns["status"].required) == (1, 6, False)
    assert (columns["placed_at"].logical_type, columns["placed_at"].minimum) == ("timestamp", 1_356_998_400_000_000)
    assert "index" in {fault.got for fault in done.left}


def test_a_column_that_may_be_absent_holds_no_nulls_where_it_is_there() -> None:
    document = {"columns": {"a": {"dtype": "int64"}, "b": {"dtype": "int64", "required": False}}}
    contract = import_suite(pandera_suite(document), dataset="d", team="t", owner="o").contract
    assert check(pl.DataFrame({"a": [1]}), contract, 0).report.accepted
    assert not check(pl.DataFrame({"a": [1], "b": [None]}, schema={"a": pl.Int64, "b": pl.Int64}), contract, 0).report.accepted
    assert not check(pl.DataFrame({"b": [1]}), contract, 0).report.accepted


def test_rows_that_pandera_drops_are_set_aside() -> None:
    document = {"schema_type": "dataframe", "drop_invalid_rows": True, "columns": {"a": {"dtype": "int64", "greater_than": 0}}}
    contract = import_suite(pandera_suite(document), dataset="d", team="t", owner="o").contract
    found = check(pl.DataFrame({"a": [1, 0, 2]}), contract, 0)
    assert (found.report.accepted, found.report.quarantined_rows, found.good_rows["a"].to_list()) == (True, 1, [1, 2])


def test_a_great_expectations_suite_keeps_shares_severities_and_pairs() -> None:
    contract = imported("orders.gx.json", types={"placed_at": ("timestamp", "timestamp[us]")}).contract
    assert contract.volume == Volume(rows_min=1, rows_max=1_000_000)
    assert broken(report(contract, {})) == set()
    assert broken(report(contract, {"status": "lost"})) == {("status_enumeration", "warn")}
    assert broken(report(contract, *[{}] * 19, {"customer": None})) == set(), "one in twenty may be missing"
    assert broken(report(contract, *[{}] * 18, {"customer": None})) == {("customer_required", "refuse")}
    assert broken(report(contract, {"amount": 1.0})) == {("predicate", "refuse")}, "the amount is at least the items"
    assert broken(report(contract, {"amount": None})) == {("predicate", "refuse")}, "one of a pair that has no other breaks it there"
    assert broken(report(contract, {"amount": None, "items": None})) == set()
    assert broken(report(contract, {"amount": 6000.0})) == {("predicate_2", "refuse")}, "a query for unexpected rows is a rule"
    assert broken(report(contract, {"code": "XX1234"})) == {("code_not_pattern", "refuse")}
    assert broken(report(contract, *[{}] * 200, {"amount": 20_000.0, "status": "paid"})) == set(), "mostly 0.99"
    assert broken(report(contract, *[{}] * 50, {"amount": 20_000.0, "status": "paid"})) == {("amount_maximum", "refuse")}


def test_what_great_expectations_says_of_a_whole_column_is_named_with_its_reason() -> None:
    left = {fault.where: (fault.got, fault.what) for fault in imported("orders.gx.json").left}
    assert left["expectations.12 (amount)"] == ("expect_column_mean_to_be_between", "about the column as a whole, not about its rows")
    assert left["expectations.18 (amount)"] == ("expect_column_values_to_be_between", "its values are given when it runs")
    assert left["expectations.19 (code)"][1] == "only about some rows: write it as a SQL rule"
    assert left["types"][0].startswith("customer (string), status (string), amount (number)")


def test_types_that_a_suite_does_not_say_come_from_rows() -> None:
    done = imported("orders.gx.json", types={"placed_at": ("date", "date"), "customer": ("string", "string")})
    columns = {column.name: column for column in done.contract.columns}
    assert columns["placed_at"].logical_type == "date"
    assert "placed_at" not in next(fault.got for fault in done.left if fault.where == "types")


def test_the_older_great_expectations_form_is_read_too() -> None:
    done = imported("orders.gx_0_18.json")
    assert done.contract.name == "shop.orders"
    columns = {column.name: column for column in done.contract.columns}
    assert (columns["order_id"].logical_type, columns["order_id"].required) == ("integer", True)
    assert columns["code"].pattern == "(?:^A)|(?:^B)"
    assert done.contract.volume == Volume(rows_min=12, rows_max=12)


@pytest.mark.parametrize(
    ("text", "as_json", "error"),
    [
        ("schema_type: dataframe\ncolumns: !!python/object/apply:os.system [id]\n", False, InvalidInput),
        ("a: &a [x]\nb: [*a, *a]\n", False, InvalidInput),
        ("[" * 60 + "]" * 60, False, LimitExceeded),
        ("[" * 200_000 + "]" * 200_000, True, LimitExceeded),
        ("[1, 2]", True, InvalidInput),
        ("- 1\n", False, InvalidInput),
        ("{", True, InvalidInput),
        ("\xff\xfe", True, InvalidInput),
        ("a: 1\na: 2\n", False, InvalidInput),
        (" " * 9_000_000, True, LimitExceeded),
    ],
)
def test_a_hostile_file_is_refused(text: str, as_json: bool, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_plain(text.encode("latin-1"), json=as_json)


@pytest.mark.parametrize(
    "document",
    [{}, {"columns": []}, {"columns": 3}, {"schema_type": "series", "columns": {"a": {}}}, {"columns": {"a b": {"dtype": "int64"}}}],
)
def test_what_is_no_table_s_schema_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        import_suite(pandera_suite(document), dataset="d", team="t", owner="o")


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        ("expect_column_values_to_be_in_set", {"column": "a", "value_set": "abc"}),
        ("expect_column_values_to_be_in_set", {"column": "a", "value_set": [["deep"]]}),
        ("expect_column_values_to_match_regex", {"column": "a", "regex": r"(a)\1"}),
        ("expect_column_values_to_match_regex", {"column": "a", "regex": 3}),
        ("expect_column_value_lengths_to_be_between", {"column": "a", "min_value": -1}),
        ("expect_column_values_to_be_between", {"column": "a", "min_value": "nothing"}),
        ("expect_column_values_to_not_be_null", {"column": "a", "mostly": "most"}),
        ("expect_column_values_to_not_be_null", {"column": ["a"]}),
        ("expect_column_pair_values_to_be_equal", {"column_A": 'a" < 0 OR "a', "column_B": "a"}),
        ("unexpected_rows_expectation", {"unexpected_rows_query": "SELECT * FROM {batch} WHERE a IN (SELECT a FROM other)"}),
        ("unexpected_rows_expectation", {"unexpected_rows_query": "DROP TABLE orders"}),
        ("expect_table_row_count_to_equal", {"value": -3}),
        ("expect_multicolumn_sum_to_equal", {"column_list": ["a"], "sum_total": 3}),
        ("", {}),
    ],
)
def test_what_cannot_be_a_rule_is_left_and_hides_nothing_else(kind: str, kwargs: dict[str, Any]) -> None:
    expectations = [{"type": kind, "kwargs": kwargs}, {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "a"}}]
    done = import_suite(great_expectations_suite({"name": "s", "expectations": expectations}), dataset="d", team="t", owner="o")
    assert [column.required for column in done.contract.columns if column.name == "a"] == [True]
    assert not done.contract.sql_rules
    assert not done.contract.metrics
    assert any(fault.where.startswith(("expectations.0", "column")) for fault in done.left)


def test_limits_that_contradict_each_other_are_refused_and_the_tighter_of_two_counts() -> None:
    def suite(*limits: tuple[str, int]) -> Suite:
        checks = [{"value": value, "options": {"check_name": name}} for name, value in limits]
        return pandera_suite({"columns": {"a": {"dtype": "int64", "checks": checks}}})

    at_least = "greater_than_or_equal_to"
    tighter = import_suite(suite((at_least, 1), (at_least, 5)), dataset="d", team="t", owner="o").contract
    assert tighter.columns[0].minimum == 5
    with pytest.raises(InvalidInput, match="no value can satisfy it"):
        import_suite(suite((at_least, 5), ("less_than_or_equal_to", 1)), dataset="d", team="t", owner="o")


def test_a_suite_larger_than_any_is_refused() -> None:
    many = {"name": "s", "expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": f"c{i}"}} for i in range(2_001)]}
    with pytest.raises(LimitExceeded):
        import_suite(great_expectations_suite(many), dataset="d", team="t", owner="o")


def test_importing_twice_writes_the_same_bytes() -> None:
    first = imported("orders.gx.json").text
    again = json.loads((SUITES / "orders.gx.json").read_text())
    assert import_suite(great_expectations_suite(again), dataset="", team="shop", owner="ana").text == first
    assert msgspec.json.encode(imported("orders.export.json")) == msgspec.json.encode(imported("orders.export.json"))
