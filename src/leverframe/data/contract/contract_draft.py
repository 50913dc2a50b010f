"""A first contract from data: what the rows keep, widened so that tomorrow's honest rows keep it too, and guesses marked as guesses."""

import re
from collections.abc import Sequence
from itertools import combinations

import msgspec
import polars as pl

from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.errors import InvalidInput
from leverframe.data.contract.contract_columns import COLUMN_NAME
from leverframe.data.contract.contract_guess import drafted_column, guessed_type
from leverframe.data.contract.contract_yaml import write_contract
from leverframe.data.contract.contracts import Column, Contract, FreshnessRule, Volume

KEY_CANDIDATES_MAX = 8
KEY_COLUMNS_MAX = 3
VOLUME_FACTOR = 10
FRESH_AGE_US_MAX = 30 * DAY_US
"""A table whose newest moment is older is history, and no feed whose freshness could be promised."""
COLUMNS_MAX = 2_000
_LIKELY_MOMENT = re.compile(r"(?i)(arriv|load|ingest|updat|creat|observ|event|seen|_at$|time|ts$)")
_LIKELY_KEY = re.compile(r"(?i)(^|_)(id|key|uuid|code|number|no|nr)$|^id")


def draft_contract(rows: pl.DataFrame, *, dataset: str, team: str, owner: str, now_us: int) -> str:
    """The text of a contract that ``rows`` keep, for a person to correct and adopt.

    Parameters
    ----------
    rows: as ``data.sources.read_rows`` gives them; text columns become the narrowest type that every value fits.
    dataset: name of the dataset, and of the contract.
    now_us: the moment of the draft, against which the age of the newest row is judged.

    Returns
    -------
    str: ODCS YAML, version 0.1.0, with comments above what was guessed. It reads with ``read_contract``, and ``rows`` keep it.

    Raises
    ------
    InvalidInput: there are no rows, or no column has a name that a contract can use.
    """
    if rows.height == 0:
        raise InvalidInput("a table without rows tells nothing", where=dataset, expected="at least one row")
    usable = [name for name in rows.columns if COLUMN_NAME.fullmatch(name)][:COLUMNS_MAX]
    if not usable:
        expected = "letters, digits and _"
        raise InvalidInput("no column has a name that a contract can use", where=dataset, expected=expected, got=str(rows.columns[:3]))
    notes: dict[str, tuple[str, ...]] = {}
    columns: list[Column] = []
    typed: dict[str, pl.Series] = {}
    for name in usable:
        kind, values, said = guessed_type(rows[name])
        if values is None:
            notes[name] = said
            continue
        column, more = drafted_column(name, kind, values)
        columns.append(column)
        typed[name] = values
        notes[name] = (*said, *more)
    left_out = [name for name in rows.columns if name not in typed]
    table = pl.DataFrame(typed)
    columns, about_key = _with_key(columns, table)
    freshness, about_age = _freshness(columns, table, now_us)
    head = [f"drafted from {rows.height:,} rows: read it, correct it, and raise the version to 1.0.0 when you mean it"]
    head += [about_key, about_age]
    if left_out:
        head.append(f"left out, because a contract cannot name or type them: {', '.join(repr(name) for name in left_out[:20])}")
    notes[""] = tuple(note for note in head if note)
    contract = Contract(
        name=dataset,
        version="0.1.0",
        dataset=dataset,
        owner=owner,
        team=team,
        columns=tuple(columns),
        volume=Volume(rows_min=max(1, rows.height // VOLUME_FACTOR), rows_max=rows.height * VOLUME_FACTOR),
        freshness=freshness,
    )
    return write_contract(contract, notes)


def dataset_name(text: str) -> str:
    """A name that a dataset may have, out of a file's.

    >>> dataset_name("Weather 2013 (final)")
    'weather_2013_final'
    """
    name = re.sub(r"[^a-z0-9_.-]+", "_", text.lower()).strip("_.-")
    return name[:100] if name[:1].isalpha() else f"data_{name}"[:100].rstrip("_")


def _with_key(columns: Sequence[Column], table: pl.DataFrame) -> tuple[list[Column], str]:
    """The columns with the likeliest primary key marked, and a sentence about it."""
    able = [c for c in columns if c.required and c.logical_type in ("string", "integer", "date", "timestamp")]
    able.sort(key=lambda c: (not c.unique, not _LIKELY_KEY.search(c.name), c.logical_type in ("date", "timestamp")))
    key: tuple[str, ...] = ()
    for size in range(1, KEY_COLUMNS_MAX + 1):
        tried = combinations([c.name for c in able[:KEY_CANDIDATES_MAX]], size)
        key = next((names for names in tried if not table.select(names).is_duplicated().any()), ())
        if key:
            break
    if not key:
        return list(columns), "no primary key was found: no one to three columns identify a row"
    marked = [msgspec.structs.replace(c, primary_key=True, unique=False) if c.name in key else c for c in columns]
    return marked, f"guess: {', '.join(key)} identifies a row (it does in these)"


def _freshness(columns: Sequence[Column], table: pl.DataFrame, now_us: int) -> tuple[FreshnessRule | None, str]:
    moments = [c.name for c in columns if c.logical_type == "timestamp" and table[c.name].null_count() < table.height]
    if not moments:
        return None, ""
    moments.sort(key=lambda name: (not _LIKELY_MOMENT.search(name), -_newest_us(table[name])))
    name = moments[0]
    age_us = now_us - _newest_us(table[name])
    if age_us > FRESH_AGE_US_MAX:
        return None, f"no freshness is promised: the newest {name} is {age_us / DAY_US:.0f} days old"
    hours = max(24, -(-2 * age_us // HOUR_US))
    return FreshnessRule(
        column=name, age_max_us=hours * HOUR_US
    ), f"guess: {name} says how fresh the rows are; {hours} h is twice their age"


def _newest_us(moments: pl.Series) -> int:
    newest = moments.cast(pl.Int64).max()
    assert isinstance(newest, int)
    return newest
