"""A Great Expectations suite (JSON of GX 1.x, or the older form), as a suite of claims."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from leverframe.core.errors import Fault, InvalidInput
from leverframe.data.contract.contracts import Severity
from leverframe.data.importers.claims import Claim, Kind, Suite, left_out
from leverframe.data.importers.foreign_types import foreign_type
from leverframe.data.importers.own_rules import sql_name

SEVERITIES: Mapping[str, Severity] = {"critical": "refuse", "warning": "warn", "info": "warn"}
_ROWS_QUERY = re.compile(r"\s*select\s+\*\s+from\s+(?:\{batch\}|\w+)\s+where\s+(?P<bad>.+)", re.IGNORECASE | re.DOTALL)
_OF_THE_WHOLE = re.compile(
    r"_(mean|median|stdev|sum|min|max|quantile_values|unique_value_count|proportion_of_unique_values|most_common_value|kl_divergence"
    r"|z_scores|distinct_values_to_contain_set|distinct_values_to_equal_set|value_z_scores)_?"
)
_NEUTRAL = frozenset({"column", "mostly", "batch_id", "result_format", "catch_exceptions", "include_config", "meta"})
Kwargs = Mapping[str, Any]
Claimed = Iterator[tuple[Kind, Any]]


def great_expectations_suite(document: Mapping[str, Any]) -> Suite:
    """The suite of one ``ExpectationSuite``.

    Raises
    ------
    InvalidInput: it holds no list of expectations.
    """
    listed = document.get("expectations")
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        expected = 'an ExpectationSuite: {"name": ..., "expectations": [...]}'
        raise InvalidInput("this is no Great Expectations suite", where="suite", expected=expected, got=", ".join(map(str, document))[:80])
    meta = document.get("meta")
    version = meta.get("great_expectations_version", "") if isinstance(meta, dict) else ""
    reading = _Reading()
    for index, item in enumerate(listed):
        reading.take(index, item)
    return Suite(
        name=str(document.get("name") or document.get("expectation_suite_name") or ""),
        made_by=f"Great Expectations {version}".strip(),
        types=reading.types,
        claims=tuple(reading.claims),
        left=tuple(reading.left),
        rows_min=reading.rows[0],
        rows_max=reading.rows[1],
        volume_severity=reading.volume_severity,
    )


class _Reading:
    """What was taken from a suite so far."""

    def __init__(self) -> None:
        self.types: dict[str, str] = {}
        self.claims: list[Claim] = []
        self.left: list[Fault] = []
        self.rows: tuple[int | None, int | None] = (None, None)
        self.volume_severity: Severity = "refuse"

    def take(self, index: int, item: Mapping[str, Any]) -> None:
        """One expectation becomes claims, or is left with a reason."""
        kind = _snake(str(item.get("type") or item.get("expectation_type") or ""))
        kwargs = item.get("kwargs")
        kwargs = {key: value for key, value in kwargs.items() if value is not None} if isinstance(kwargs, dict) else {}
        where = f"expectations.{index}" + (f" ({kwargs['column']})" if isinstance(kwargs.get("column"), str) else "")
        why = _cannot(kind, kwargs)
        severity = SEVERITIES.get(str(item.get("severity", "critical")), "refuse")
        if not why:
            for name in _columns(kwargs):
                self.types.setdefault(name, "")
            why = self._said(kind, kwargs, severity, where, str(item.get("description") or ""))
        if why:
            self.left.append(left_out(where, kind[:120] or "an expectation without a type", why))

    def _said(self, kind: str, kwargs: Kwargs, severity: Severity, where: str, description: str) -> str:
        """Keep what an expectation says; otherwise why it is left."""
        if kind in _OF_VALUES:
            share = _tolerated(kwargs)
            found = list(_OF_VALUES[kind](kwargs))
            for claimed, value in found:
                self.claims.append(
                    Claim(
                        kind=claimed,
                        columns=(str(kwargs["column"]),),
                        value=value,
                        share_max=share,
                        severity=severity,
                        where=where,
                        description=description,
                    )
                )
            if share and any(claimed not in ("required", "pattern", "enumeration") for claimed, _ in found):
                return "carried over, but the tolerated share is of all rows, not of those with a value"
            return "" if found else "it asks nothing"
        if kind in _OF_TABLE:
            predicate = _OF_TABLE[kind](kwargs)
            if not predicate:
                return "only SELECT * FROM {batch} WHERE <what a bad row is> can be carried over"
            share = _tolerated(kwargs)
            claim = Claim(
                kind="predicate", columns=(), value=predicate, share_max=share, severity=severity, where=where, description=description
            )
            self.claims.append(claim)
            return ""
        return self._of_structure(kind, kwargs, severity, where)

    def _of_structure(self, kind: str, kwargs: Kwargs, severity: Severity, where: str) -> str:
        """What is said of columns, types and the number of rows."""
        if kind in ("expect_column_to_exist", "expect_table_columns_to_match_set", "expect_table_columns_to_match_ordered_list"):
            exact = kwargs.get("exact_match", True) and "set" in kind
            ordered = "the order of columns does not matter" if "ordered" in kind else ""
            return "carried over, but a column that is not named is dropped with a warning" if exact else ordered
        if kind in ("expect_column_values_to_be_of_type", "expect_column_values_to_be_in_type_list"):
            listed = kwargs.get("type_list") or [kwargs.get("type_")]
            known = [str(text) for text in listed if isinstance(text, str) and foreign_type(text)] if isinstance(listed, list) else []
            if known:
                self.types[str(kwargs["column"])] = known[0]
            return "" if known else f"a contract has no such type: {listed}"[:120]
        if kind in ("expect_table_row_count_to_be_between", "expect_table_row_count_to_equal"):
            low, high = kwargs.get("min_value", kwargs.get("value")), kwargs.get("max_value", kwargs.get("value"))
            if kwargs.get("strict_min") or kwargs.get("strict_max") or not all(v is None or _whole(v) for v in (low, high)):
                return "not inclusive whole numbers of rows"
            self.rows = (int(low) if low is not None else None, int(high) if high is not None else None)
            self.volume_severity = severity
            return ""
        assert kind == "expect_compound_columns_to_be_unique"
        together = tuple(map(str, kwargs["column_list"]))
        self.claims.append(Claim(kind="unique", columns=together, share_max=_tolerated(kwargs), severity=severity, where=where))
        ignored = kwargs.get("ignore_row_if") == "any_value_is_missing"
        return "" if ignored else "carried over, but rows that miss one of them are not compared"


def _cannot(kind: str, kwargs: Kwargs) -> str:
    """Why an expectation is left; empty: it can be tried."""
    if kind not in _OF_VALUES and kind not in _OF_TABLE and kind not in _STRUCTURE:
        return "about the column as a whole, not about its rows" if _OF_THE_WHOLE.search(kind) else "no rule of a contract says this"
    if kwargs.get("row_condition") is not None:
        return "only about some rows: write it as a SQL rule"
    if any(isinstance(value, dict) for value in kwargs.values()):
        return "its values are given when it runs"
    needed = _NEEDED.get(kind, ("column",))
    absent = [name for name in needed if name not in kwargs]
    if absent:
        return f"without {', '.join(absent)} it asks nothing"
    names = kwargs.get("column_list") or kwargs.get("column_set")
    if names is not None and not isinstance(names, list):
        return "not a list of columns"
    mostly = kwargs.get("mostly", 1)
    return "" if isinstance(mostly, int | float) and 0 <= mostly <= 1 else "mostly is no share"


def _columns(kwargs: Kwargs) -> Iterator[str]:
    yield from (str(kwargs[key]) for key in ("column", "column_A", "column_B") if key in kwargs)
    yield from map(str, [*(kwargs.get("column_list") or ()), *(kwargs.get("column_set") or ())])


def _tolerated(kwargs: Kwargs) -> float:
    return round(1.0 - float(kwargs.get("mostly", 1)), 12)


def _whole(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == int(value) and value >= 0


def _snake(kind: str) -> str:
    """Both spellings of a type: ``ExpectColumnToExist`` and ``expect_column_to_exist``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower() if kind[:1].isupper() else kind


def _between(kwargs: Kwargs) -> Claimed:
    if "min_value" in kwargs:
        yield "exclusive_minimum" if kwargs.get("strict_min") else "minimum", kwargs["min_value"]
    if "max_value" in kwargs:
        yield "exclusive_maximum" if kwargs.get("strict_max") else "maximum", kwargs["max_value"]


def _lengths(kwargs: Kwargs) -> Claimed:
    low, high = kwargs.get("min_value", kwargs.get("value")), kwargs.get("max_value", kwargs.get("value"))
    if low is not None:
        yield "length_min", int(low) + bool(kwargs.get("strict_min")) if _whole(low) else low
    if high is not None:
        yield "length_max", int(high) - bool(kwargs.get("strict_max")) if _whole(high) else high


def _set(kind: Kind) -> Callable[[Kwargs], Claimed]:
    return lambda kwargs: iter([(kind, tuple(kwargs["value_set"]) if isinstance(kwargs["value_set"], list) else ())])


def _regex(kind: Kind) -> Callable[[Kwargs], Claimed]:
    return lambda kwargs: iter([(kind, kwargs["regex"])])


def _any_regex(kwargs: Kwargs) -> Claimed:
    listed = kwargs["regex_list"]
    if isinstance(listed, list) and kwargs.get("match_on", "any") == "any":
        yield "pattern", "|".join(f"(?:{text})" for text in listed)
    elif isinstance(listed, list):
        yield from (("pattern", text) for text in listed)


def _pair(kwargs: Kwargs, sign: str) -> str:
    """What is true of a bad pair; a value that has no other beside it is one too, unless the suite lets it pass."""
    a, b = sql_name(str(kwargs["column_A"])), sql_name(str(kwargs["column_B"]))
    missing = {
        "either_value_is_missing": "",
        "both_values_are_missing": f" OR ({a} IS NULL AND {b} IS NOT NULL) OR ({a} IS NOT NULL AND {b} IS NULL)",
    }
    ignored = str(kwargs.get("ignore_row_if", "both_values_are_missing"))
    return f"{a} {sign} {b}{missing.get(ignored, f' OR {a} IS NULL OR {b} IS NULL')}"


_OF_VALUES: Mapping[str, Callable[[Kwargs], Claimed]] = {
    "expect_column_values_to_not_be_null": lambda kwargs: iter([("required", None)]),
    "expect_column_values_to_be_unique": lambda kwargs: iter([("unique", None)]),
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": _set("enumeration"),
    "expect_column_distinct_values_to_be_in_set": _set("enumeration"),
    "expect_column_values_to_not_be_in_set": _set("excluded"),
    "expect_column_values_to_match_regex": _regex("pattern"),
    "expect_column_values_to_not_match_regex": _regex("not_pattern"),
    "expect_column_values_to_match_regex_list": _any_regex,
    "expect_column_value_lengths_to_be_between": _lengths,
    "expect_column_value_lengths_to_equal": _lengths,
}
_OF_TABLE: Mapping[str, Callable[[Kwargs], str]] = {
    "expect_column_pair_values_a_to_be_greater_than_b": lambda kwargs: _pair(kwargs, "<" if kwargs.get("or_equal") else "<="),
    "expect_column_pair_values_to_be_equal": lambda kwargs: _pair(kwargs, "<>"),
    "unexpected_rows_expectation": lambda kwargs: (
        found["bad"].strip().rstrip(";") if (found := _ROWS_QUERY.fullmatch(str(kwargs["unexpected_rows_query"]))) else ""
    ),
}
_STRUCTURE = frozenset(
    {
        "expect_column_to_exist",
        "expect_table_columns_to_match_set",
        "expect_table_columns_to_match_ordered_list",
        "expect_column_values_to_be_of_type",
        "expect_column_values_to_be_in_type_list",
        "expect_table_row_count_to_be_between",
        "expect_table_row_count_to_equal",
        "expect_compound_columns_to_be_unique",
    }
)
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "expect_column_values_to_be_in_set": ("column", "value_set"),
    "expect_column_distinct_values_to_be_in_set": ("column", "value_set"),
    "expect_column_values_to_not_be_in_set": ("column", "value_set"),
    "expect_column_values_to_match_regex": ("column", "regex"),
    "expect_column_values_to_not_match_regex": ("column", "regex"),
    "expect_column_values_to_match_regex_list": ("column", "regex_list"),
    "expect_column_value_lengths_to_equal": ("column", "value"),
    "expect_column_pair_values_a_to_be_greater_than_b": ("column_A", "column_B"),
    "expect_column_pair_values_to_be_equal": ("column_A", "column_B"),
    "unexpected_rows_expectation": ("unexpected_rows_query",),
    "expect_table_columns_to_match_set": ("column_set",),
    "expect_table_columns_to_match_ordered_list": ("column_list",),
    "expect_table_row_count_to_be_between": (),
    "expect_table_row_count_to_equal": ("value",),
    "expect_compound_columns_to_be_unique": ("column_list",),
}
