"""One contract, several engines: the same rows give the same report, example for example."""

import math
from contextlib import nullcontext
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from leverframe.apps import contract_check_spark
from leverframe.apps.cli.main import app
from leverframe.core.clock import HOUR_US
from leverframe.core.dataset import ContractReport
from leverframe.core.errors import NotFound
from leverframe.data.checks.checks import check
from leverframe.data.checks.checks_scan import check_scan
from leverframe.data.contract.contract_file import read_contract

NOW_US = 10 * HOUR_US
VISITS = r"""
apiVersion: v3.1.0
kind: DataContract
id: visits
name: visits
version: 1.0.0
status: active
team: { name: care, members: [{ username: ana, role: owner }] }
schema:
  - name: visits
    logicalType: object
    properties:
      - { name: clinic, logicalType: string, required: true, primaryKey: true, logicalTypeOptions: { pattern: '^\w{2,4}$' } }
      - { name: number, logicalType: integer, physicalType: int32, primaryKey: true }
      - name: patient
        logicalType: string
        classification: restricted
        unique: true
        logicalTypeOptions: { minLength: 2, maxLength: 6 }
      - name: ward
        logicalType: string
        enum: [{ value: a }, { value: "b'c" }, { value: "ü" }]
        relationships: [{ type: foreignKey, to: wards.code }]
        customProperties: [{ property: severity, value: quarantine }]
      - name: fee
        logicalType: number
        physicalType: float64
        logicalTypeOptions: { minimum: 0, exclusiveMaximum: 1000.5 }
        quality:
          - { metric: nullValues, mustBeLessOrEqualTo: 20, unit: percent }
          - { metric: invalidValues, name: usual_fee, arguments: { validValues: [1.5, 2, 30] },
              mustBeLessOrEqualTo: 1, unit: rows, severity: warn }
      - { name: paid, logicalType: boolean }
      - { name: day, logicalType: date }
      - { name: seen_at, logicalType: timestamp, physicalType: "timestamp[us]", logicalTypeOptions: { minimum: "1970-01-01T01:00:00Z" } }
      - { name: noted_at, logicalType: timestamp, physicalType: int64 }
    quality:
      - { metric: rowCount, mustBeGreaterThan: 0 }
      - { metric: duplicateValues, name: once_a_day, arguments: { properties: [ward, day] }, mustBe: 0, severity: warn }
      - { type: sql, name: paid_visits_cost,
          query: "SELECT COUNT(*) FROM ${object} WHERE paid AND fee <= 0", mustBe: 0, severity: quarantine }
      - type: sql
        name: free_means_unpaid
        query: SELECT COUNT(*) FROM ${object} WHERE (fee IS NULL) <> (paid IS NULL) OR LENGTH(clinic) > 5 OR ward LIKE 'b%'
        mustBeLessOrEqualTo: 50
        unit: percent
slaProperties: [{ property: freshness, value: 2, unit: h, element: visits.noted_at }]
"""
CONTRACT = read_contract(VISITS.encode())
WARDS = pl.DataFrame({"code": ["a", "b'c", None]})
PARENTS = {"wards": WARDS.lazy()}
TYPED: dict[str, Any] = {
    "clinic": pl.String,
    "number": pl.Int64,
    "patient": pl.String,
    "ward": pl.String,
    "fee": pl.Float64,
    "paid": pl.Boolean,
    "day": pl.Date,
    "seen_at": pl.Datetime("us"),
    "noted_at": pl.Int64,
}


def table(rows: list[dict[str, Any]], types: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={name: types.get(name, pl.String) for name in TYPED})


def maybe(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([None, *values])


ROWS = st.fixed_dictionaries(
    {
        "clinic": maybe("ab", "äö", "abcde\n", "ab\n", "", "toolong"),
        "number": maybe(1, 2, 2**40, -1),
        "patient": maybe("eve", "bob", "x", "seventy"),
        "ward": maybe("a", "b'c", "ü", "z"),
        "fee": maybe(-0.0, 0.0, 1.5, 2.0, 30.0, 1000.5, -1e300, math.nan, math.inf),
        "paid": maybe(True, False),
        "day": maybe(date(2013, 3, 10), date(1969, 12, 31)),
        "seen_at": maybe(datetime(1970, 1, 1), datetime(1970, 1, 1, 1, 0, 0, 1), datetime(2262, 1, 1)),
        "noted_at": maybe(0, NOW_US, NOW_US - HOUR_US),
    }
)
TEXTS = st.fixed_dictionaries(
    {
        "clinic": maybe("ab", "cd", "ab\r\n"),
        "number": maybe("1", "2", "+3", " 1", "2.0", "4e0", "9999999999", "-0", "١"),
        "patient": maybe("eve", "bob"),
        "ward": maybe("a", "b'c"),
        "fee": maybe("1.5", ".5", "5.", "+1", "1e2", "1e400", "nan", "inf", "1_0", "0x1", "1d", " 2", "--1", ""),
        "paid": maybe("true", "FALSE", "True", "t", "yes", "1", "0", ""),
        "day": maybe("2013-03-10", "2013-3-10", "2013-02-29", "2013-03-10 00:00:00", "20130310"),
        "seen_at": maybe(
            "1970-01-01T01:00:00Z", "1970-01-01 03:00:00+02:00", "1970-01-01T02:00:00.5", "1970-01-01", "never", "1970-13-01T00:00:00"
        ),
        "noted_at": maybe("0", "1970-01-01T10:00:00Z", "1970-01-01T05:00:00-05:00", "soon"),
    }
)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(ROWS, max_size=14), keys=st.integers(1, 5))
def test_streamed_in_small_parts_or_held_whole_a_table_has_one_report(rows: list[dict[str, Any]], keys: int) -> None:
    frame = table(rows, TYPED)
    assert check_scan(frame.lazy(), CONTRACT, NOW_US, PARENTS, keys_at_once_max=keys) == check(frame, CONTRACT, NOW_US, PARENTS).report


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(TEXTS, max_size=10))
def test_the_same_of_a_table_that_came_as_text(rows: list[dict[str, Any]]) -> None:
    frame = table(rows, {})
    assert check_scan(frame.lazy(), CONTRACT, NOW_US, PARENTS) == check(frame, CONTRACT, NOW_US, PARENTS).report


def test_a_scan_of_files_has_the_report_of_their_rows(tmp_path: Path) -> None:
    rows = [{"clinic": f"c{i % 7}", "number": i % 500, "fee": float(i % 1003), "paid": True, "noted_at": NOW_US} for i in range(3_000)]
    frame = table(rows, TYPED)
    for part in range(3):
        frame.slice(part * 1_000, 1_000).write_parquet(tmp_path / f"{part}.parquet", row_group_size=100)
    whole = check(frame, CONTRACT, NOW_US).report
    assert check_scan(pl.scan_parquet(tmp_path / "*.parquet"), CONTRACT, NOW_US, keys_at_once_max=700) == whole
    found = {(r.rule, r.column): r for r in whole.results}
    key = found["primary_key", "clinic, number"]
    assert (key.failing_rows, key.examples) == (0, ()), "7 and 500 have no common factor: 3,500 keys, each once"
    assert found["exclusive_maximum", "fee"].failing_rows == 4, "1001 and 1002 come twice"
    assert found["exclusive_maximum", "fee"].example_rows == ("clinic=c0, number=1", "clinic=c1, number=2")


NASTY = [
    dict(zip(TYPED, values, strict=True))
    for values in (
        ("ab", 1, "eve", "a", 1.5, True, date(2013, 3, 10), datetime(1970, 1, 1, 2), NOW_US),
        ("ab", 1, "eve", "a", -0.0, False, date(2013, 3, 10), None, NOW_US),
        ("ab\n", 2**40, "x", "z", math.nan, None, None, datetime(1969, 12, 31), None),
        ("äö", 2, "seventy", "ü", math.inf, True, date(1969, 12, 31), datetime(2262, 1, 1), 0),
        (None, 3, None, None, 1000.5, True, None, None, None),
        ("", None, "bob", "b'c", -1e300, True, None, None, 5),
        ("ab", 1, "bob", "b'c", None, None, None, None, 5),
        ("toolong", -1, "ann", "a", 0.1, True, date(2013, 3, 10), None, 5),
    )
]
TEXT_VALUES: dict[str, list[str | None]] = {
    "clinic": ["ab", "cd", "ab\r\n", None],
    "number": ["1", "+3", " 1", "2.0", "4e0", "9999999999", "-0", "\u0661", "", None],
    "patient": ["eve", "bob", None],
    "ward": ["a", "b'c", "nowhere", None],
    "fee": ["1.5", ".5", "5.", "+1", "1e2", "1e400", "nan", "inf", "1_0", "0x1", "1d", "1.5f", " 2", "2 ", "--1", "", "e1", None],
    "paid": ["true", "FALSE", "True", "t", "yes", "1", "0", "", None],
    "day": ["2013-03-10", "2013-02-29", "2013-03-10 00:00:00", "20130310", "2013-3-1", "", None],
    "seen_at": [
        *("1970-01-01T01:00:00Z", "1970-01-01 03:00:00+02:00", "1970-01-01T02:00:00.5"),
        *("1970-01-01", "never", "1970-13-01T00:00:00", "1970-1-1T1:2:3", None),
    ],
    "noted_at": ["0", "1970-01-01T10:00:00Z", "1970-01-01T05:00:00-05:00", "soon", None],
}  # fmt: skip


def as_spark(spark: Any, frame: pl.DataFrame, folder: Path) -> Any:
    """The rows as a Spark table, through a Parquet file, as a cluster would read them."""
    path = folder / f"{len(list(folder.iterdir()))}.parquet"
    frame.write_parquet(path)
    return spark.read.parquet(str(path))


@pytest.mark.slow
def test_spark_has_the_same_report_of_nasty_values(spark: Any, tmp_path: Path) -> None:
    from leverframe.data.checks.checks_spark import check_spark

    frame = table(NASTY, TYPED)
    for rows in (frame, frame.head(0), frame.drop("ward", "number").with_columns(extra=pl.lit(1))):
        whole = check(rows, CONTRACT, NOW_US, PARENTS).report
        found = check_spark(as_spark(spark, rows, tmp_path), CONTRACT, NOW_US, {"wards": as_spark(spark, WARDS, tmp_path)})
        assert list(found.results) == list(whole.results)
        assert found == whole
    alone = check_spark(as_spark(spark, frame, tmp_path), CONTRACT, NOW_US)
    assert alone == check(frame, CONTRACT, NOW_US).report, "references without their parent"


@pytest.mark.slow
def test_spark_reads_text_as_the_other_engines_do(spark: Any, tmp_path: Path) -> None:
    from leverframe.data.checks.checks_spark import check_spark

    longest = max(len(values) for values in TEXT_VALUES.values())
    frame = table([{name: values[i % len(values)] for name, values in TEXT_VALUES.items()} for i in range(longest)], {})
    parents = {"wards": as_spark(spark, WARDS, tmp_path)}
    found = {(r.rule, r.column): r for r in check_spark(as_spark(spark, frame, tmp_path), CONTRACT, NOW_US, parents).results}
    for result in check(frame, CONTRACT, NOW_US, PARENTS).report.results:
        assert found[result.rule, result.column] == result


@pytest.mark.slow
def test_the_verb_checks_a_table_or_parquet_on_spark(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract_check_spark, "spark_for", lambda *_: nullcontext(spark))
    (tmp_path / "visits.yaml").write_text(VISITS)
    frame = table(NASTY, TYPED)
    frame.write_parquet(tmp_path / "visits.parquet")
    WARDS.write_parquet(tmp_path / "w.parquet")
    spark.read.parquet(str(tmp_path / "visits.parquet")).createOrReplaceTempView("visits_of_spark")
    asked = ["contracts", "check", str(tmp_path / "visits.yaml"), "--parent", f"wards={tmp_path / 'w.parquet'}", "--json"]
    asked += ["--at", "1970-01-01T10:00:00Z", "--engine", "spark", "--against"]
    whole = check(frame, CONTRACT, NOW_US, PARENTS).report
    for against in ("visits_of_spark", str(tmp_path / "visits.parquet"), str(tmp_path)):
        done = CliRunner().invoke(app, [*asked, against])
        assert done.exit_code == 3, done.output
        (said,) = msgspec.json.decode(done.stdout)
        assert msgspec.convert(said["report"], ContractReport) == whole
    with pytest.raises(NotFound, match="no such Parquet or table"):
        CliRunner().invoke(app, [*asked, "no_such_table"], catch_exceptions=False)
