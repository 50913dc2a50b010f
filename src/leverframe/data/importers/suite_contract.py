"""From a suite's claims to a contract that says the same of rows, and to the list of what it cannot say."""

from collections.abc import Mapping
from typing import Any

import msgspec

from leverframe.core.clock import us_from_iso
from leverframe.core.errors import Fault, InvalidInput, LimitExceeded
from leverframe.data.contract.column_types import is_pattern, is_plain_number
from leverframe.data.contract.contract_columns import COLUMN_NAME
from leverframe.data.contract.contract_draft import dataset_name
from leverframe.data.contract.contract_file import COLUMNS_MAX, read_contract
from leverframe.data.contract.contract_yaml import write_contract
from leverframe.data.contract.contracts import Column, Contract, Volume
from leverframe.data.importers.claims import Claim, Suite, left_out
from leverframe.data.importers.foreign_types import UNSIGNED, Typed, foreign_type
from leverframe.data.importers.own_rules import OwnRules

CLAIMS_MAX = 20_000
GUESSED_CHARACTERS_MAX = 1_000
_TEXT = frozenset({"pattern", "not_pattern", "length_min", "length_max"})
_LIMITS = frozenset({"minimum", "maximum", "exclusive_minimum", "exclusive_maximum"})
_VALUES: Mapping[str, tuple[type, ...]] = {"string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,)}


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """A contract's text (ODCS YAML), and what the suite says that it does not say: where, what, why."""

    text: str
    contract: Contract
    left: tuple[Fault, ...]


def import_suite(suite: Suite, *, dataset: str, team: str, owner: str, types: Mapping[str, Typed] | None = None) -> Imported:
    """The contract of a suite, version 0.1.0, for a person to correct and adopt; it reads with ``read_contract``.

    Parameters
    ----------
    dataset: name of the dataset, and of the contract; empty: the suite's own.
    types: types of columns of which the suite says none, such as those of rows that are there.

    Raises
    ------
    InvalidInput: no column that a contract can name; or what the suite says contradicts itself.    LimitExceeded: it is larger than any.
    """
    if len(suite.claims) > CLAIMS_MAX or len(suite.types) > COLUMNS_MAX:
        expected = f"at most {COLUMNS_MAX} columns and {CLAIMS_MAX} rules"
        raise LimitExceeded("suite is too large", where="suite", expected=expected, got=f"{len(suite.types)} and {len(suite.claims)}")
    name = dataset_name(dataset or suite.name or "imported")
    left = [*suite.left]
    found, notes = _types(suite, types or {}, left)
    if not found:
        raise InvalidInput("no column that a contract can name or type", where="suite", faults=left, got=", ".join(list(suite.types)[:3]))
    facts: dict[str, dict[str, Any]] = {column: {} for column in found}
    own = OwnRules(found)
    for claim in (*suite.claims, *_unsigned(suite)):
        _place(claim, suite, found, facts, own, left)
    columns = tuple(
        Column(
            name=column,
            logical_type=logical,
            physical_type=physical,
            severity=suite.severity,
            description=suite.column_descriptions.get(column, ""),
            **facts[column],
        )
        for column, (logical, physical) in found.items()
    )
    bounded = suite.rows_min is not None or suite.rows_max is not None
    contract = Contract(
        name=name,
        version="0.1.0",
        dataset=name,
        owner=owner,
        team=team,
        description=suite.description,
        columns=columns,
        sql_rules=tuple(own.sql),
        metrics=tuple(own.metrics),
        volume=Volume(rows_min=suite.rows_min or 0, rows_max=suite.rows_max, severity=suite.volume_severity) if bounded else None,
    )
    head = f"imported from {suite.made_by}: read it, correct it, and raise the version to 1.0.0 when you mean it"
    about = [f"not as the suite says: {fault.where}: {fault.got} ({fault.what})" for fault in left]
    text = write_contract(contract, {**notes, "": (head, *about)})
    return Imported(text=text, contract=read_contract(text.encode()), left=tuple(left))


def _types(suite: Suite, told: Mapping[str, Typed], left: list[Fault]) -> tuple[dict[str, Typed], dict[str, tuple[str, ...]]]:
    """Each column's type: as the suite says, else as the rows have it, else as its rules suggest."""
    found: dict[str, Typed] = {}
    notes: dict[str, tuple[str, ...]] = {}
    guessed: list[str] = []
    for name, text in suite.types.items():
        if not COLUMN_NAME.fullmatch(name):
            left.append(left_out(f"column {name[:80]}", "all its rules", "a contract's columns have letters, digits and _"))
            continue
        typed = foreign_type(text) if text else told.get(name)
        if text and typed is None:
            left.append(left_out(f"column {name}", text[:80], "a contract has no such type: the column is left out with its rules"))
            continue
        if typed is None:
            typed = _suggested([claim for claim in suite.claims if claim.columns == (name,)])
            notes[name] = ("guess: the suite does not say this type",)
            guessed.append(f"{name} ({typed[0]})")
        found[name] = typed
    if guessed:
        left.append(left_out("types", ", ".join(guessed)[:GUESSED_CHARACTERS_MAX], "guessed, because the suite does not say them"))
    return found, notes


def _suggested(claims: list[Claim]) -> Typed:
    for claim in claims:
        values = claim.value if isinstance(claim.value, tuple) else (claim.value,)
        if claim.kind in _TEXT or (claim.kind in ("enumeration", "excluded") and all(isinstance(v, str) for v in values)):
            return "string", "string"
        if claim.kind in _LIMITS and isinstance(claim.value, str) and _moment(claim.value) is not None:
            return "timestamp", "timestamp[us]"
        if claim.kind == "enumeration" and all(isinstance(v, bool) for v in values):
            return "boolean", "boolean"
        if claim.kind in ("enumeration", "excluded") and all(isinstance(v, int) for v in values):
            return "integer", "int64"
        if claim.kind in _LIMITS or claim.kind in ("enumeration", "excluded"):
            return "number", "float64"
    return "string", "string"


def _unsigned(suite: Suite) -> list[Claim]:
    """That a type has no sign is a rule here."""
    return [Claim(kind="minimum", columns=(n,), value=0, where=f"column {n}") for n, text in suite.types.items() if UNSIGNED.match(text)]


def _place(
    claim: Claim, suite: Suite, found: Mapping[str, Typed], facts: dict[str, dict[str, Any]], own: OwnRules, left: list[Fault]
) -> None:
    """A claim becomes a fact of its column where it is as strict as everything else about it, and a rule of its own otherwise."""
    if any(column not in found for column in claim.columns):
        if all(column in suite.types for column in claim.columns) and len(claim.columns) > 1:
            left.append(left_out(claim.where, claim.kind, "a column it names is left out"))
        return  # what becomes of a column alone was said with the column
    typed = found[claim.columns[0]] if len(claim.columns) == 1 else None
    value, why = _fitting(claim, typed)
    if why:
        left.append(left_out(claim.where, f"{claim.kind} {claim.value!r}"[:120], why))
        return
    claim = msgspec.structs.replace(claim, value=value)
    held = facts[claim.columns[0]] if typed else {}
    alike = claim.share_max == 0 and claim.severity == suite.severity and not claim.apart
    plain = typed is not None and alike and claim.kind not in ("not_pattern", "excluded")
    if plain and claim.kind in _LIMITS | {"length_min", "length_max"}:
        lower = claim.kind in ("minimum", "exclusive_minimum", "length_min")
        held[claim.kind] = value if claim.kind not in held else max(held[claim.kind], value) if lower else min(held[claim.kind], value)
    elif plain and claim.kind in ("required", "unique"):
        held[claim.kind] = True
    elif plain and claim.kind in ("pattern", "enumeration") and held.get(claim.kind, value) == value:
        held[claim.kind] = value
    else:
        why = own.add(claim)
        if why:
            left.append(left_out(claim.where, f"{claim.kind} {claim.value!r}"[:120], why))


def _fitting(claim: Claim, typed: Typed | None) -> tuple[Any, str]:
    """The claim's value as a contract holds it, or why it cannot."""
    if typed is None or claim.kind in ("required", "unique", "predicate"):
        return claim.value, ""
    logical, value = typed[0], claim.value
    if claim.kind in _TEXT:
        if logical != "string":
            return None, f"cannot be asked of a {logical}"
        if claim.kind in ("pattern", "not_pattern"):
            return value, "" if is_pattern(
                value
            ) else "not a regular expression that runs in linear time (no look-around, no back-references)"
        return value, "" if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else "not a length"
    if claim.kind in _LIMITS:
        if logical not in ("integer", "number", "timestamp"):
            return None, f"a {logical} has no limits in a contract"
        limit = _moment(value) if logical == "timestamp" else value
        if not is_plain_number(limit):
            return None, "not a limit" if logical != "timestamp" else "not a moment (ISO 8601)"
        assert isinstance(limit, int | float)
        return int(limit) if limit == int(limit) and abs(limit) < 2**53 else limit, ""
    values = value if isinstance(value, tuple) else (value,)
    fitting = _VALUES.get(logical, ())
    if logical == "integer":
        values = tuple(int(v) if isinstance(v, float) and v.is_integer() else v for v in values)
    if not values or not all(isinstance(v, fitting) and isinstance(v, bool) == (logical == "boolean") for v in values):
        return None, f"not values of a {logical}"
    return values, ""


def _moment(value: Any) -> int | None:
    """ISO 8601 (without a zone: UTC) in microseconds; numbers as they are."""
    if not isinstance(value, str):
        return value if isinstance(value, int) else None
    text = value.strip().replace(" ", "T", 1)
    if len(text) == len("2013-01-01"):
        text += "T00:00:00"
    try:
        return us_from_iso(text)
    except ValueError:
        return None
