"""An expression has, bit for bit, the value that Polars' SQL reader gives of the same text: the language of feature views.

Columns, one row after the other, and Polars: three ways that share no code but the text.
"""

import math
import struct
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.core.expressions.columns import column_numbers
from leverframe.core.expressions.one_row import row_number
from leverframe.core.expressions.reading import read_expression
from leverframe.core.schema import RequestField
from leverframe.features.declared.row_sql import row_sql_faults, select_row_sql

FIELDS = {
    name: RequestField(name=name, datatype=kind)  # type: ignore[arg-type]
    for name, kind in (("x", "FP64"), ("y", "FP64"), ("n", "INT64"), ("s", "BYTES"), ("t", "BYTES"), ("b", "BOOL"))
}
_ALIKE = (
    "x + y; x - y; x * y; x / y; x / 3.0; y / x / 2; x % y; x % 2; mod(x, y); -x; -x * 2 - 3 - y; 2 - 3 - x; abs(x); sign(x); "
    "sign(-y); sqrt(x); floor(x); ceil(x); ceiling(y); round(x); n + 1; n * 0.1; n / 7; greatest(x, y); least(x, y, 1); "
    "greatest(x, 0.5e0); least(y, x); coalesce(x, y, 0); nullif(x, 2.5); nullif(x, y); ifnull(y, n); if(x > 1, 1, 2); "
    "coalesce(x / y, 1); x > y; x < y; x >= y; x <= y; x = y; x <> y; x >= 0.5; NOT (x > 1); b AND x > 1; b OR x > 1; NOT b; "
    "b = (x > 1); b <> (y < 2); CASE WHEN x > 1 THEN y WHEN b THEN n END; CASE x WHEN y THEN 1 WHEN 2.5 THEN 3 ELSE 0 END; "
    "x BETWEEN 0 AND y; x NOT BETWEEN 0 AND 1; x IN (1, 2.5); n NOT IN (5, 7); x IS NULL; y IS NOT NULL; (x / y) IS NULL; "
    "b IS NULL; CAST(b AS double); CAST(x > 1 AS int); CASE WHEN s = t THEN x ELSE y END; log10(x) IS NULL; (x - y) * 2 / (x + y); "
    "length(s); char_length(t); s = t; s <> t; s < t; s >= 'a'; s = ''; s IN ('a', '', 'é'); s NOT IN ('a'); left(s, 2) = 'ab'; "
    "right(s, 1) = t; substr(s, 2) = t; substr(s, 2, 1) = 'a'; s || 'a' = t; concat(s, t) = 'ab'; length(concat(s, t)); "
    "replace(s, 'a', 'bb') = t; length(replace(s, 'ab', '')); starts_with(s, 'a'); ends_with(s, t); s LIKE 'a%'; s LIKE '%a_b'; "
    "s NOT LIKE '%'; s LIKE ''; coalesce(s, 'a') = 'a'; s IS NULL; TRY_CAST(s AS double); s = 'it''s'"
)
_NEARLY = (
    "exp(y); ln(x); log10(x); log2(x); log1p(x); power(x, 2); pow(abs(y), x); sin(y); cos(y); tan(y); asin(y); acos(y); atan(x); "
    "atan2(x, y); degrees(y); radians(y); sqrt(power(x, 2) + power(y, 2))"
)
ALIKE, NEARLY = _ALIKE.split("; "), _NEARLY.split("; ")
"""Here Polars' own mathematics library has its say in the last bit."""
SMALL = st.sampled_from([None, math.nan, math.inf, -math.inf, 0.0, -0.0, 0.5, 1.0, -1.5, 2.5, 3.5, -7.0, 1e300, -1e-300, 5e-324])
READ = {sql: read_expression(sql, FIELDS, "test") for sql in (*ALIKE, *NEARLY)}
NUMBERS = SMALL | st.floats(allow_nan=True, width=64)
WORDS = st.sampled_from([None, "", "a", "ab", "ba", "1.5", "-2e3", "inf", "nan", "é", "a\nb", "it's", "%", "a_b", "\x00", "𝔘🇬🇷", "aXb"])
TEXTS = WORDS | st.text(max_size=6)
ROWS = st.lists(
    st.fixed_dictionaries({"x": NUMBERS, "y": NUMBERS, "n": st.integers(-(2**40), 2**40), "s": TEXTS, "t": TEXTS, "b": st.booleans()}),
    min_size=1,
    max_size=12,
)
SCHEMA = {"x": pl.Float64, "y": pl.Float64, "n": pl.Int64, "s": pl.String, "t": pl.String, "b": pl.Boolean}


def bits(values: Any) -> list[bytes]:
    return [struct.pack("<d", value) for value in values]


def unsigned(values: list[float]) -> list[float]:
    return [value or 0.0 for value in values]


def polars_says(texts: list[str], rows: list[dict[str, Any]]) -> list[list[float]]:
    """What a feature view with these expressions would hold; a number that comes in as NaN is missing at every door."""
    frame = pl.DataFrame(rows, schema=SCHEMA).with_columns(pl.col("x", "y").fill_nan(None)).lazy()
    named = {f"__{number}": sql for number, sql in enumerate(texts)}
    said = select_row_sql(frame, named).select(pl.col(*named).cast(pl.Float64).fill_null(math.nan)).collect()
    return [[math.nan if value != value else value for value in said[name].to_list()] for name in named]


def both_ways(sql: str, rows: list[dict[str, Any]]) -> tuple[list[float], list[float]]:
    expression = READ[sql]
    columns = [[row[read.name] for row in rows] for read in expression.inputs]
    number = row_number(expression)
    alone = [number([row[read.name] for read in expression.inputs]) for row in rows]
    return column_numbers(expression, columns, len(rows)).tolist(), alone


@given(rows=ROWS)
@settings(max_examples=100, deadline=None)
def test_what_polars_says(rows: list[dict[str, Any]]) -> None:
    for sql, expected in zip(ALIKE, polars_says(ALIKE, rows), strict=True):
        together, alone = both_ways(sql, rows)
        assert bits(together) == bits(alone), f"{sql}: a row alone is not what it is among others"
        # Polars negates through 0 - x now and then, which has another zero; no operation here looks at the sign of one.
        assert bits(unsigned(together)) == bits(unsigned(expected)), f"{sql}: {together} is not {expected}"


@given(rows=ROWS)
@settings(max_examples=100, deadline=None)
def test_mathematics_differ_in_the_last_bits_at_most_and_not_between_our_own_ways(rows: list[dict[str, Any]]) -> None:
    for sql, expected in zip(NEARLY, polars_says(NEARLY, rows), strict=True):
        together, alone = both_ways(sql, rows)
        assert bits(together) == bits(alone), sql
        for mine, other in zip(together, expected, strict=True):
            assert (mine != mine) == (other != other), sql
            assert mine != mine or mine == other or math.isclose(mine, other, rel_tol=4e-16), (sql, mine, other)


@pytest.mark.parametrize("sql", [*ALIKE, *NEARLY])
def test_every_one_of_them_may_also_stand_in_a_feature_view(sql: str) -> None:
    assert not row_sql_faults(sql, "view")
