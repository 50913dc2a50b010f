"""Row-wise SQL: what may be said, and that nothing else runs."""

from pathlib import Path

import polars as pl
import pytest

from leverframe.core.errors import InvalidInput
from leverframe.features.declared.row_sql import EXPRESSION_CHARS_MAX, row_sql_faults, select_row_sql

FRAME = pl.LazyFrame({"x": [1.0, 2.0, None], "name": ["it's", "b", None], "on": [True, False, None]})


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("x", [1.0, 2.0, None]),
        ("x*2 + 1", [3.0, 5.0, None]),
        ("sqrt(x * x)", [1.0, 2.0, None]),
        ("coalesce(x, 0)", [1.0, 2.0, 0.0]),
        ("case when (x > 1) then (1) else 0 end", [0, 1, 0]),
        ("on and x < 2", [True, False, None]),
        ("name = 'it''s'", [True, False, None]),
        ('"x" - 1', [0.0, 1.0, None]),
        ("cast(x as bigint)", [1, 2, None]),
        ("x is null", [False, False, True]),
    ],
)
def test_row_expressions_give_their_values(sql: str, expected: list[object]) -> None:
    assert row_sql_faults(sql, "f") == []
    assert select_row_sql(FRAME, {"f": sql}).collect()["f"].to_list() == expected


@pytest.mark.parametrize(
    "sql",
    [
        "avg(x)",
        "x - AVG (x)",
        "sum(x) over (partition by name)",
        "row_number() over (order by x)",
        "lag(x)",
        "(select 1)",
        "x) from read_csv('secret.csv') --",
        "1) as f, (x",
        "read_csv('secret.csv')",
        "x from self",
        "x; drop table self",
        "x -- y",
        "/* */ x",
        "x + (1",
        "",
        "   ",
        "1 +" * EXPRESSION_CHARS_MAX,
        "(table self)",
    ],
)
def test_anything_that_sees_other_rows_or_files_is_refused(sql: str) -> None:
    """Were one let through, a value could depend on rows not known at its moment, or a definition could read files."""
    assert row_sql_faults(sql, "f")


def test_a_table_function_would_read_a_file_without_the_check(tmp_path: Path) -> None:
    """The negative control: Polars itself does run such text, so the check is what protects."""
    secret = tmp_path / "secret.csv"
    secret.write_text("x\n42\n")
    sql = f"x IN (SELECT x FROM read_csv('{secret}'))"
    assert select_row_sql(pl.LazyFrame({"x": [42, 1]}), {}, sql).collect()["x"].to_list() == [42]
    assert any(fault.got.lower() == "select" for fault in row_sql_faults(sql, "f"))


def test_an_unknown_column_names_those_there_are() -> None:
    with pytest.raises(InvalidInput, match="columns x, name, on"):
        select_row_sql(FRAME, {"f": "nope + 1"})
