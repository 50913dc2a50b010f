"""What an expression computes beyond the SQL of Polars, what is refused, and that a row alone is what it is among others."""

import math
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.core.column_reads import column_features, column_fields
from leverframe.core.errors import InvalidInput
from leverframe.core.expressions.columns import column_numbers, column_texts
from leverframe.core.expressions.compiled import row_value
from leverframe.core.expressions.functions import described
from leverframe.core.expressions.one_row import row_number, row_text
from leverframe.core.expressions.reading import CHARS_MAX, NODES_MAX, expression_inputs, read_expression
from leverframe.core.expressions.texts import TEXT_CHARS_MAX
from leverframe.core.schema import InputColumn, RequestField

FIELDS = {
    name: RequestField(name=name, datatype=kind)  # type: ignore[arg-type]
    for name, kind in (("x", "FP64"), ("y", "FP64"), ("t", "INT64"), ("n", "INT64"), ("s", "BYTES"), ("u", "BYTES"), ("b", "BOOL"))
} | {"v": RequestField(name="v", datatype="FP64", width=3)}
NUMBER = st.none() | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e300]) | st.floats(width=64)
TEXT = st.none() | st.text(max_size=8) | st.sampled_from(["İ", "ß", "ﬁ", "Σ", "e\u0301", "👩‍👩‍👧", "\u202eabc", "\x00", "1e5"])
ROW = st.fixed_dictionaries(
    {
        "x": NUMBER, "y": NUMBER, "t": st.integers(-(2**62), 2**62) | st.integers(0, 4_000_000_000), "n": st.integers(-(2**63), 2**63 - 1),
        "s": TEXT, "u": TEXT, "b": st.booleans() | st.none(), "w.f": NUMBER, "w.g": NUMBER,
    }
)  # fmt: skip
OURS = (
    "clip(x, -1, y); clip(x, 0, 1); haversine_km(x, y, 40.6, -73.8); hash_bucket(s, 1000); hash_bucket(n, 7); "
    "hash_bucket(feature_cross(s, u), 64); length(feature_cross(s, n, u)); hour_of_day(t, 'America/New_York'); minute_of_day(t); "
    "day_of_week(t, 'Asia/Kolkata'); month_of_year(t, 'Europe/Berlin'); day_of_year(t); is_weekend(t, 'UTC'); hour_of_day(x); "
    "hour_of_day(t / 60, 'UTC'); x - w.f; x / (w.f - w.g); coalesce(w.f, w.g, x); w.f IS NULL; x % w.f; lower(s) = lower(u); "
    "upper(s) = u; CAST(x AS BIGINT); CAST(b AS DOUBLE) + x; greatest(x, w.f, y); least(w.g, x); power(x, y); log1p(abs(x)) * sign(x); "
    "CASE WHEN b THEN hour_of_day(t) WHEN s IN ('a', 'ß') THEN w.f ELSE x END; CASE b WHEN true THEN 1 WHEN false THEN 2 END; "
    "nullif(s, u) IS NULL; nullif(b, x > 0) = b; if(b, s, u) LIKE '%a%'; replace(s, 'a', u) = u; b = NULL; x + NULL; sqrt(x) > y"
)
ALL = {sql: read_expression(sql, FIELDS, "test") for sql in OURS.split("; ")}


def bits(values: Any) -> list[bytes]:
    return [struct.pack("<d", value) for value in values]


def value(sql: str, **row: Any) -> float:
    """Of one row, asked both ways."""
    expression = read_expression(sql, FIELDS, "test")
    inputs = [row[f"{read.view}.{read.name}" if read.view else read.name] for read in expression.inputs]
    alone = row_number(expression)(inputs)
    assert bits(column_numbers(expression, [[given] for given in inputs], 1)) == bits([alone]), sql
    return alone


@given(rows=st.lists(ROW, min_size=1, max_size=10))
@settings(max_examples=150, deadline=None)
def test_a_row_alone_is_what_it_is_among_others(rows: list[dict[str, Any]]) -> None:
    """Serving takes single rows one way; training, batches and larger requests another: a bit of difference is skew."""
    for sql, expression in ALL.items():
        names = [f"{read.view}.{read.name}" if read.view else read.name for read in expression.inputs]
        number = row_number(expression)
        together = column_numbers(expression, [[row[name] for row in rows] for name in names], len(rows))
        assert bits(together) == bits(number([row[name] for name in names]) for row in rows), sql


@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8))
@settings(deadline=None)
def test_a_text_becomes_a_category_both_ways(rows: list[tuple[str | None, str | None]]) -> None:
    for sql in (
        "feature_cross(s, u)",
        "lower(s)",
        "left(s, 1) || right(u, 1)",
        "CASE WHEN s = u THEN 'same' END",
        "coalesce(s, u, 'neither')",
    ):
        expression = read_expression(sql, FIELDS, "test", categories=True)
        order = [read.name for read in expression.inputs]
        given = [[{"s": s, "u": u}[name] for s, u in rows] for name in order]
        together = column_texts(expression, given, len(rows))
        assert together == [row_text(expression)(list(row)) for row in zip(*given, strict=True)], sql
    position = row_value(read_expression("feature_cross(s, u)", FIELDS, "c", categories=True), ("AA|JFK", "B6|LGA"))
    assert position(["B6", "LGA"]) == 1.0
    assert position(["B6", "JFK"]) == -1.0, "an unseen category"
    assert math.isnan(position(["B6", None]))


def test_arrays_of_any_door_are_taken() -> None:
    """Binary tensors come as arrays, JSON as lists, single rows as scalars of either."""
    expression = read_expression("CASE WHEN b THEN x + n ELSE length(s) END", FIELDS, "test")
    by_name = {"b": [True, False, True], "x": [0.5, math.nan, math.nan], "n": [1, 2, 3], "s": ["a", "bc", "d"]}
    arrays = [
        np.array(by_name[r.name], dtype=object if r.name == "s" else None) if r.name != "s" else by_name["s"] for r in expression.inputs
    ]
    lists = [by_name[read.name] for read in expression.inputs]
    assert bits(column_numbers(expression, arrays, 3)) == bits(column_numbers(expression, lists, 3)) == bits([1.5, 2.0, math.nan])
    assert bits(row_number(expression)([array[row] for array in arrays]) for row in range(3)) == bits([1.5, 2.0, math.nan])


@given(st.integers(-60_000_000_000, 200_000_000_000), st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe"]))
@settings(deadline=None)
def test_clock_and_calendar_are_the_standard_librarys(second: int, zone: str) -> None:
    there = datetime.fromtimestamp(second, UTC).astimezone(ZoneInfo(zone))
    parts = {
        "hour_of_day": there.hour, "minute_of_day": there.hour * 60 + there.minute, "day_of_week": there.weekday(),
        "month_of_year": there.month, "day_of_year": there.timetuple().tm_yday, "is_weekend": there.weekday() > 4,
    }  # fmt: skip
    for name, expected in parts.items():
        assert value(f"{name}(t, '{zone}')", t=second) == float(expected), name


def test_what_is_outside_a_domain_is_missing_and_never_a_failure() -> None:
    for sql in ("hour_of_day(t)", "month_of_year(t, 'Europe/Berlin')"):
        assert math.isnan(value(sql, t=1_364_814_000_000)), "milliseconds in a field of seconds"
    assert math.isnan(value("hour_of_day(x)", x=math.inf))
    assert math.isnan(value("haversine_km(x, 0, 0, 0)", x=math.inf))
    assert math.isnan(value("CAST(x AS BIGINT)", x=1e300))
    long = "a" * (TEXT_CHARS_MAX // 2)
    assert value("length(s || s)", s=long) == TEXT_CHARS_MAX
    assert math.isnan(value("length(s || s || 'b')", s=long)), "a text that grows without bound"
    assert math.isnan(value("length(replace(s, 'a', 'aaaa'))", s=long))


def test_distance_and_buckets_have_their_published_values() -> None:
    """Great circle of the antipodes is half the Earth; buckets are BLAKE2b-64, checked against coreutils' ``b2sum -l 64``."""
    half = math.pi * 6371.0088
    assert value("haversine_km(x, y, -90, 0)", x=90.0, y=0.0) == pytest.approx(half, rel=1e-15)
    assert value("haversine_km(x, y, 36.12, -86.67)", x=33.94, y=-118.4) == pytest.approx(2886.4, abs=0.1)  # the usual example
    assert value("hash_bucket(s, 65536)", s="JFK") == int.from_bytes(bytes.fromhex("bcfc05b1a292b502"), "little") % 65536
    assert value("hash_bucket(s, 2147483648)", s="") == int.from_bytes(bytes.fromhex("e4a6a0577479b2b4"), "little") % 2**31
    assert value("hash_bucket(n, 97)", n=-12) == value("hash_bucket(s, 97)", s="-12"), "an integer is hashed by its digits"


REFUSED = {
    "x + s": "takes other values",
    "x > s": "takes other values",
    "sum(x)": "no such function",
    "length(x)": "takes other values",
    "nosuch * 2": "no such request field",
    "v + 1": "fields of one value",
    "a.b.c": "no place in an expression",
    "s": "categories",
    "x OVER ()": "",
    "(SELECT 1)": "no place in an expression",
    "x; y": "no place in an expression",
    "x AS z": "no place in an expression",
    "s ILIKE 'a'": "no place in an expression",
    "s LIKE u": "written down",
    "s LIKE 'a' ESCAPE 'b'": "no place in an expression",
    "x BETWEEN SYMMETRIC 3 AND 1": "no place in an expression",
    "x IN (y)": "list of constants",
    "x IS TRUE": "NULL only",
    "CAST(s AS DOUBLE)": "no such cast",
    "hour_of_day(t, 'Mars/Olympus')": "out of range",
    "hour_of_day(t, '../../etc/passwd')": "out of range",
    "hour_of_day(t, s)": "written down",
    "hash_bucket(s, 0)": "out of range",
    "hash_bucket(s, 1.5)": "out of range",
    "hash_bucket(s)": "written down",
    "substr(s, 0)": "out of range",
    "round(x, 2)": "takes other values",
    "x ** 2": "no place in an expression",
    "x[1]": "no place in an expression",
    "CASE WHEN x THEN 1 END": "takes other values",
    "CASE WHEN b THEN 1 ELSE 'a' END": "takes other values",
    "": "not an expression",
    "x +": "cannot be read",
    "(" * 1_900 + "x" + ")" * 1_900: "cannot be read",
    "x" + " + 1" * NODES_MAX: "too large",
    "x" + " " * CHARS_MAX: "not an expression",
    "__import__('os').system('true')": "no place in an expression",
}


@pytest.mark.parametrize("sql", REFUSED, ids=lambda sql: sql[:30])
def test_what_is_refused_says_why(sql: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_expression(sql, FIELDS, "column w")
    assert REFUSED[sql] in str(caught.value)
    assert caught.value.where == "column w"


@given(st.text(max_size=60) | st.text(alphabet="xs()+-*/%<>='., 1", max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(sql: str) -> None:
    try:
        read_expression(sql, FIELDS, "w")
    except InvalidInput:
        return
    assert expression_inputs(sql) is not None


def test_a_pattern_of_many_runs_takes_no_exponential_time() -> None:
    pattern = "%a" * 200 + "%b"
    assert value(f"s LIKE '{pattern}'", s="a" * 3_000) == 0.0


def test_what_a_column_reads_is_told_whatever_its_source() -> None:
    column = InputColumn(name="gap", source="expression", sql="x - w.f + CASE WHEN b THEN w.g ELSE x END")
    assert column_fields(column) == ("x", "b")
    assert [(read.view, read.name) for read in column_features(column)] == [("w", "f"), ("w", "g")]
    assert column_features(InputColumn(name="f", source="view", view="w", feature="f"))[0].view == "w"
    assert column_fields(InputColumn(name="h", source="request_time", field="t", function="hour_of_day")) == ("t",)


def test_the_page_lists_every_function() -> None:
    page = (Path(__file__).parents[3] / "docs" / "features.md").read_text()
    for written, _says in described():
        assert f"`{written}`" in page, f"docs/features.md lacks {written}"
