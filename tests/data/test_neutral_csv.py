"""An exported file opens in a spreadsheet without running anything."""

import csv
import io

import polars as pl
import pytest

from leverframe.data.intake.neutral_csv import FORMULA_STARTS, csv_bytes


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_no_text_cell_begins_as_a_formula_and_numbers_stay_numbers(start: str) -> None:
    cell = f"{start}cmd|' /C calc'!A0"
    frame = pl.DataFrame({"note": [cell, "plain", None], "n": [-1.5, 2.0, None], f"{start}head": ["a", "b", "c"]})
    names, *rows = list(csv.reader(io.StringIO(csv_bytes(frame).decode(), newline="")))
    assert rows[0][0] == f"'{cell}"
    assert names[2] == f"'{start}head"
    assert [row[:2] for row in rows[1:]] == [["plain", "2.0"], ["", ""]]
    assert rows[0][1] == "-1.5"


def test_the_rows_themselves_are_data_and_kept_as_they_came() -> None:
    frame = pl.DataFrame({"note": ["=1+1"]})
    csv_bytes(frame)
    assert frame["note"].to_list() == ["=1+1"]
