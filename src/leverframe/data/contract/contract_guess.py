"""What one column seems to promise: its type, its range, its few values, and whether it is about a person."""

import math
import re
from collections.abc import Callable
from typing import Any, Literal

import polars as pl

from leverframe.core.clock import us_from_iso
from leverframe.data.contract.column_types import typed
from leverframe.data.contract.contract_personal import personal_guess
from leverframe.data.contract.contracts import Column, LogicalType

VALUES_MAX = 20
REPEATS_MIN = 10
"""A column has few values when each of at most 20 comes ten times on average."""
WHOLE_VALUES_MAX = 5
TEXT_MARGIN = 2
LISTED_CHARACTERS_MAX = 80
LIMIT_MIN, LIMIT_MAX = 1e-300, 1e300
"""Limits outside of these are not guessed: no person would write one."""
_EPOCH_US = (us_from_iso("1990-01-01T00:00:00Z"), us_from_iso("2100-01-01T00:00:00Z"))
_MOMENT_NAME = re.compile(r"(?i)(_at|_ts|time|timestamp|_us)$")
_SHAPES = (
    r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    r"^[A-Z]{2}$",
    r"^[A-Z]{3}$",
    r"^[A-Z]{4}$",
)
_TRIED: tuple[tuple[LogicalType, str], ...] = (
    ("boolean", "boolean"),
    ("integer", "int64"),
    ("number", "float64"),
    ("date", "date"),
    ("timestamp", "timestamp[us]"),
)
_OF_POLARS: tuple[tuple[Callable[[pl.DataType], bool], LogicalType, str], ...] = (
    (lambda t: t == pl.Boolean, "boolean", "boolean"),
    (lambda t: t in (pl.Int8, pl.Int16), "integer", "int16"),
    (lambda t: t in (pl.UInt8, pl.UInt16, pl.Int32), "integer", "int32"),
    (lambda t: t.is_integer(), "integer", "int64"),
    (lambda t: t == pl.Float32, "number", "float32"),
    (lambda t: t.is_float() or t.is_decimal(), "number", "float64"),
    (lambda t: t == pl.Date, "date", "date"),
    (lambda t: isinstance(t, pl.Datetime), "timestamp", "timestamp[us]"),
    (lambda t: t in (pl.String, pl.Categorical, pl.Enum), "string", "string"),
)
Guess = tuple[LogicalType, str]


def guessed_type(offered: pl.Series) -> tuple[Guess, pl.Series | None, tuple[str, ...]]:
    """The narrowest promised type that every value of ``offered`` fits, the values in it (None: no type fits), and what to say of it."""
    guess = next(((logical, physical) for fits, logical, physical in _OF_POLARS if fits(offered.dtype)), None)
    if guess is None:
        return ("string", "string"), None, (f"left out: {offered.dtype} has no type in a contract",)
    if guess[0] != "string":
        values = _as(offered, guess)
        whole = offered.dtype.is_integer() and _is_epoch(offered)
        if whole and guess[1] == "int64":
            return ("timestamp", "int64"), values, ("guess: whole numbers that are microseconds since 1970 (UTC)",)
        lost = values.null_count() - offered.null_count()
        return guess, values, (f"{lost} values are no numbers or do not fit",) if lost else ()
    text = offered.cast(pl.String)
    if text.null_count() == text.len():
        return guess, text, ("guess: there is no value to tell the type from",)
    for candidate in _TRIED:
        values = _as(text, candidate)
        if values.null_count() == text.null_count() and not _would_lose(text, candidate):
            if candidate[0] == "integer" and _is_epoch(values):
                return ("timestamp", "int64"), values, ("guess: whole numbers that are microseconds since 1970 (UTC)",)
            return candidate, values, ()
    return guess, text, ()


def _as(offered: pl.Series, guess: Guess) -> pl.Series:
    column = Column(name="value", logical_type=guess[0], physical_type=guess[1])
    return pl.DataFrame({"value": offered}).select(typed(column, pl.col("value"), offered.dtype).alias("value")).to_series()


def _would_lose(text: pl.Series, guess: Guess) -> bool:
    """Whether a number would forget what the text says, such as the zeros before a postal code or the plus of a telephone number."""
    return guess[0] in ("integer", "number") and bool(text.str.contains(r"^\+|^-?0\d").any())


def _is_epoch(values: pl.Series) -> bool:
    low, high = values.min(), values.max()
    in_range = isinstance(low, int) and isinstance(high, int) and _EPOCH_US[0] <= low <= high < _EPOCH_US[1]
    return bool(in_range and _MOMENT_NAME.search(values.name or "_at"))


def drafted_column(name: str, guess: Guess, values: pl.Series) -> tuple[Column, tuple[str, ...]]:
    """The column as it may be promised, and comments on what was guessed.

    Parameters
    ----------
    values: in the type of ``guess``.
    """
    logical, physical = guess
    present = values.drop_nulls()
    facts: dict[str, Any] = {}
    said: list[str] = []
    missing = values.null_count() / values.len()
    if missing == 0:
        facts["required"] = True
    elif missing < 1:
        facts["missing_share_max"] = min(1.0, math.ceil(200 * missing + 1) / 100)
    personal = personal_guess(name, present) if logical in ("string", "date", "integer", "number") else ""
    if personal:
        facts |= {"classification": "restricted", "tags": ("pii",)}
        said.append(f"guess: {personal}; its values are masked wherever they would show")
    distinct = present.n_unique() if logical in ("string", "integer", "date", "timestamp") else 0
    unique = distinct == values.len() > 1
    if unique and logical != "timestamp":
        facts["unique"] = True
    few = 0 < distinct <= VALUES_MAX and distinct * REPEATS_MIN <= present.len() and not personal
    if few and (distinct <= WHOLE_VALUES_MAX if logical == "integer" else logical == "string" and _short(present)):
        facts["enumeration"] = tuple(present.unique().sort().to_list())
        said.append(f"guess: only these {distinct} values")
    elif logical == "string" and present.len():
        facts |= _text_options(present, masked=bool(personal))
    elif logical in ("integer", "number") and present.len() and not unique and not personal:
        facts |= _range(present.min(), present.max(), physical)  # type: ignore[arg-type]
    return Column(name=name, logical_type=logical, physical_type=physical, **facts), tuple(said)


def _short(present: pl.Series) -> bool:
    longest = present.str.len_chars().max()
    return isinstance(longest, int) and longest <= LISTED_CHARACTERS_MAX


def _text_options(present: pl.Series, *, masked: bool) -> dict[str, Any]:
    shape = "" if masked else next((shape for shape in _SHAPES if present.str.contains(shape).all()), "")
    if shape:
        return {"pattern": shape}
    lengths = present.str.len_chars()
    longest, shortest = int(lengths.max() or 0), int(lengths.min() or 0)  # type: ignore[arg-type]
    return {"length_max": max(1, TEXT_MARGIN * longest), **({"length_min": 1} if shortest else {})}


def _range(low: float, high: float, physical: str) -> dict[str, Any]:
    """Limits outside of what was seen: half the span further, to a number a person would write; zero and one stay where they bound."""
    span = high - low
    if not math.isfinite(span) or max(abs(low), abs(high)) > LIMIT_MAX:
        return {}
    margin = span / 2 or abs(high) or 1.0
    if not physical.startswith("int") and low >= 0 and high <= 1 and span > 0:
        return {"minimum": 0, "maximum": 1}
    limits = {"minimum": 0.0 if low >= 0 else round_out(low - margin, "down"), "maximum": round_out(high + margin, "up")}
    if any(not math.isfinite(limit) or abs(limit) > 2**62 for limit in limits.values()):
        return {}
    return {name: int(limit) if limit == int(limit) else limit for name, limit in limits.items()}


def round_out(value: float, way: Literal["up", "down"]) -> float:
    """The next number of 1, 2 or 5 times a power of ten, away from where the values are.

    >>> round_out(37.2, "up"), round_out(-37.2, "down"), round_out(-37.2, "up")
    (50.0, -50.0, -20.0)
    """
    outward = (value > 0) == (way == "up")
    if abs(value) < LIMIT_MIN:
        return math.copysign(LIMIT_MIN, value) if outward and value else 0.0
    power = 10.0 ** math.floor(math.log10(abs(value)))
    steps = [step * power for step in (0.2, 0.5, 1, 2, 5, 10, 20)]
    size = min(s for s in steps if s >= abs(value)) if outward else max(s for s in steps if s <= abs(value))
    return math.copysign(size, value)
