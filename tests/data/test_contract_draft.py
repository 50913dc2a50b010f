"""A drafted contract reads back, is kept by the rows it came from, and marks its guesses."""

import math
from datetime import date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.core.clock import DAY_US, HOUR_US, us_from_iso
from leverframe.core.errors import InvalidInput
from leverframe.data.checks.checks import check
from leverframe.data.contract.contract_draft import draft_contract
from leverframe.data.contract.contract_file import read_contract
from leverframe.data.contract.contract_guess import round_out
from leverframe.data.contract.contract_yaml import write_contract
from leverframe.data.contract.contracts import Contract

NOW_US = us_from_iso("2013-06-01T00:00:00Z")
WHO = {"dataset": "rides", "team": "taxi", "owner": "ana"}


def rides(count: int = 200) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "ride_id": [f"r{i}" for i in range(count)],
            "kind": ["short", "long"] * (count // 2),
            "miles": [i / 10 - 3 for i in range(count)],
            "share": [i / count for i in range(count)],
            "seats": [1 + i % 4 for i in range(count)],
            "zip": ["01234", "94110"] * (count // 2),
            "rider_email": [f"person{i}@example.org" for i in range(count)],
            "contact": [f"+4930{1000000 + i}" for i in range(count)],
            "airport": ["JFK", "LGA", "EWR", "BOS"] * (count // 4),
            "tip": [None if i % 10 == 0 else 1.5 for i in range(count)],
            "ended_at": [NOW_US - i * HOUR_US for i in range(count)],
            "day": [date(2013, 5, 1 + i % 30) for i in range(count)],
        }
    )


def test_a_draft_says_what_a_person_would_write_and_marks_what_it_guessed() -> None:
    text = draft_contract(rides(), **WHO, now_us=NOW_US + 20 * HOUR_US)
    contract = read_contract(text.encode())
    found = {column.name: column for column in contract.columns}
    assert contract.primary_key == ("ride_id",)
    assert found["kind"].enumeration == ("long", "short")
    assert (found["miles"].minimum, found["miles"].maximum) == (-20, 50), "-3 to 16.9, half the span further, rounded out"
    assert (found["share"].minimum, found["share"].maximum) == (0, 1)
    assert found["seats"].enumeration == (1, 2, 3, 4)
    assert (found["ended_at"].logical_type, found["ended_at"].physical_type) == ("timestamp", "int64")
    assert found["tip"].missing_share_max == pytest.approx(0.21)
    assert not found["tip"].required
    assert contract.freshness is not None
    assert (contract.freshness.column, contract.freshness.age_max_us) == ("ended_at", 40 * HOUR_US)
    assert contract.volume is not None
    assert (contract.volume.rows_min, contract.volume.rows_max) == (20, 2000)
    assert [name for name, column in found.items() if column.personal] == ["zip", "rider_email", "contact"]
    assert "# guess: its name says an e-mail address" in text
    assert "# guess: its values look like a telephone number" in text
    assert "example.org" not in text
    assert "94110" not in text, "no personal value is written down"


def test_text_becomes_the_narrowest_type_that_loses_nothing() -> None:
    listed = {
        "flag": ["true", "false"],
        "whole": ["1", "-2"],
        "part": ["1.5", "2"],
        "code": ["007", "123"],
        "day": ["2013-01-01", "2013-12-31"],
        "moment": ["2013-01-01T10:00:00Z", "2013-01-01T10:00:00+02:00"],
        "word": ["a", "2"],
    }
    contract = read_contract(draft_contract(pl.DataFrame(listed), **WHO, now_us=NOW_US).encode())
    assert [column.logical_type for column in contract.columns] == [
        "boolean", "integer", "number", "string", "date", "timestamp", "string",
    ]  # fmt: skip
    assert contract.freshness is None, "the newest moment is months old: history, not a feed"


def test_a_key_of_two_columns_is_found() -> None:
    frame = pl.DataFrame({"origin": ["a", "a", "b", "b"], "hour": [1, 2, 1, 2], "temp": [0.5, 0.5, 0.7, 0.7]})
    assert read_contract(draft_contract(frame, **WHO, now_us=NOW_US).encode()).primary_key == ("origin", "hour")


def test_what_a_contract_cannot_name_or_type_is_listed() -> None:
    frame = pl.DataFrame({"a b": [1], "nested": [[1]], "fine": [1]})
    text = draft_contract(frame, **WHO, now_us=NOW_US)
    assert "'a b', 'nested'" in text
    assert [column.name for column in read_contract(text.encode()).columns] == ["fine"]
    for hopeless in (frame.select("a b"), frame.head(0)):
        with pytest.raises(InvalidInput):
            draft_contract(hopeless, **WHO, now_us=NOW_US)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(max_size=5),
    "number": st.floats(allow_nan=True, allow_infinity=True),
    "small": st.floats(-1e-3, 1e3),
    "whole": st.integers(-(2**63), 2**63 - 1),
    "few": st.sampled_from([1, 2, 3]),
    "flag": st.booleans(),
    "day": st.dates(date(1700, 1, 1), date(2200, 1, 1)),
    "moment_at": st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)),
    "numeral": st.sampled_from(["1", "2.5", "-3", "x", "", "true", "2013-01-01", "1e999"]),
    "count_at": st.integers(us_from_iso("2013-01-01T00:00:00Z"), us_from_iso("2014-01-01T00:00:00Z")),
}
TYPES = {
    "text": pl.String, "number": pl.Float64, "small": pl.Float64, "whole": pl.Int64, "few": pl.Int64, "flag": pl.Boolean,
    "day": pl.Date, "moment_at": pl.Datetime("us"), "numeral": pl.String, "count_at": pl.Int64,
}  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    listed=st.lists(st.fixed_dictionaries({k: st.none() | v for k, v in VALUES.items()}), min_size=1, max_size=30), times=st.integers(1, 12)
)
def test_the_rows_keep_the_contract_that_was_drafted_from_them(listed: list[dict[str, Any]], times: int) -> None:
    """Except for values that are no values: an infinity is reported, and no contract could promise it."""
    frame = pl.concat([pl.DataFrame(listed, schema=TYPES)] * times)
    contract = read_contract(draft_contract(frame, **WHO, now_us=NOW_US).encode())
    report = check(frame, contract, NOW_US).report
    broken = {(r.rule, r.column) for r in report.results if not r.passed}
    odd = any(row["number"] is not None and not math.isfinite(row["number"]) for row in listed)
    assert broken - ({("type", "number"), ("freshness", "moment_at"), ("freshness", "count_at")} if odd else set()) == set()


def test_a_contract_written_and_read_is_the_same(trips: Contract) -> None:
    assert read_contract(write_contract(trips).encode()) == trips


@pytest.mark.parametrize(
    ("value", "way", "rounded"), [(3.0, "up", 5.0), (1.0, "up", 1.0), (0.011, "up", 0.02), (-7.0, "up", -5.0), (9.0, "down", 5.0)]
)
def test_limits_round_away_from_the_values(value: float, way: Any, rounded: float) -> None:
    assert round_out(value, way) == pytest.approx(rounded)


def test_a_feed_is_promised_no_fresher_than_twice_its_age() -> None:
    text = draft_contract(rides(), **WHO, now_us=NOW_US + 3 * DAY_US)
    assert "guess: ended_at says how fresh the rows are; 144 h is twice their age" in text
