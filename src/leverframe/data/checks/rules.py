"""The one compiled form of a contract: its rules about rows, which every engine carries out in its own terms.

``data.rules_polars`` runs them on tables in memory and on scans, ``data.checks_spark`` on Spark. A rule says what is counted, never how.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from leverframe.data.contract.column_types import describe
from leverframe.data.contract.contracts import Column, Contract, MetricRule, Scalar, Severity

Kind = Literal[
    "type",
    "required",
    "unique",
    "primary_key",
    "minimum",
    "maximum",
    "exclusive_minimum",
    "exclusive_maximum",
    "length_min",
    "length_max",
    "pattern",
    "enumeration",
    "missing",
    "invalid",
    "reference",
    "sql",
]
_LIMITS: tuple[tuple[Kind, str], ...] = (
    ("minimum", ">="),
    ("maximum", "<="),
    ("exclusive_minimum", ">"),
    ("exclusive_maximum", "<"),
    ("length_min", "characters >="),
    ("length_max", "characters <="),
)
REPEATS: frozenset[Kind] = frozenset({"unique", "primary_key"})
"""Kinds that look at other rows: a row breaks them when its complete values stood in an earlier row."""

_OF_ALL_ROWS: frozenset[Kind] = frozenset({"required", "primary_key", "missing", "sql"})
EXPECTED_CHARACTERS_MAX = 300


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule about rows.

    Parameters
    ----------
    columns: what it reads; empty for a SQL rule, which reads what it names.
    limit, values, text: the kind's argument: a bound, allowed (or missing) values, a pattern, a reference or a predicate.
    share_max, rows_max: how much of the checked rows, or how many, may break it.
    shows_rows: examples name the row and not a value, because the value is personal, missing or several.
    """

    name: str
    kind: Kind
    columns: tuple[str, ...]
    severity: Severity
    expected: str
    limit: int | float | None = None
    values: tuple[Scalar, ...] = ()
    text: str = ""
    share_max: float = 0.0
    rows_max: int = 0
    shows_rows: bool = False

    @property
    def column(self) -> str:
        """The columns as a report names them."""
        return ", ".join(self.columns)

    @property
    def of_all_rows(self) -> bool:
        """Whether every row is checked, and not only those with a value."""
        return self.kind in _OF_ALL_ROWS


def row_rules(contract: Contract, offered: frozenset[str]) -> list[Rule]:
    """All rules of ``contract`` about rows of a table with columns ``offered``; rules of absent columns are left out.

    >>> [rule.name for rule in row_rules(Contract(name="n", version="1.0.0", dataset="d", owner="o", team="t",
    ...     columns=(Column(name="a", logical_type="integer", physical_type="int64", required=True, minimum=0),)), frozenset({"a"}))]
    ['type', 'required', 'minimum']
    """
    rules = [rule for column in contract.columns if column.name in offered for rule in _of_column(column)]
    if contract.primary_key and offered.issuperset(contract.primary_key):
        rules.append(_key(contract))
    personal = frozenset(column.name for column in contract.columns if column.personal)
    rules += [_metric(item, personal) for item in contract.metrics if offered.issuperset(item.columns)]
    rules += [
        Rule(
            name=rule.name,
            kind="sql",
            columns=(),
            severity=rule.severity,
            expected=rule.description or f"not: {rule.bad_when}",
            text=rule.bad_when,
            share_max=rule.share_max,
            shows_rows=True,
        )
        for rule in contract.sql_rules
    ]
    return rules


def _of_column(column: Column) -> Iterator[Rule]:
    def rule(kind: Kind, expected: str, *, limit: int | float | None = None, values: tuple[Scalar, ...] = (), text: str = "") -> Rule:
        return Rule(
            name=kind,
            kind=kind,
            columns=(column.name,),
            severity=column.severity,
            expected=expected[:EXPECTED_CHARACTERS_MAX],
            limit=limit,
            values=values,
            text=text,
            shows_rows=column.personal or kind == "required",
        )

    yield rule("type", describe(column))
    if column.required:
        yield rule("required", "a value in every row")
    if column.unique and not column.primary_key:
        yield rule("unique", "each value once")
    for kind, sign in _LIMITS:
        limit = getattr(column, kind)
        if limit is not None:
            yield rule(kind, f"{sign} {limit}", limit=limit)
    if column.pattern:
        yield rule("pattern", f"matches {column.pattern}", text=column.pattern)
    if column.enumeration:
        yield rule("enumeration", f"one of {', '.join(map(str, column.enumeration))}", values=column.enumeration)
    if column.missing_share_max is not None:
        yield Rule(
            name="missing_share",
            kind="missing",
            columns=(column.name,),
            severity="warn",
            expected=f"at most {column.missing_share_max:.2%} missing",
            share_max=column.missing_share_max,
            shows_rows=True,
        )
    if column.references:
        yield rule("reference", f"a value of {column.references}", text=column.references)


def _key(contract: Contract) -> Rule:
    columns = [column for column in contract.columns if column.primary_key]
    return Rule(
        name="primary_key",
        kind="primary_key",
        columns=contract.primary_key,
        severity="refuse" if any(column.severity == "refuse" for column in columns) else columns[0].severity,
        expected="each key once",
        shows_rows=any(column.personal for column in columns),
    )


def _metric(item: MetricRule, personal: frozenset[str]) -> Rule:
    tolerated = f"at most {item.share_max:.2%}" if item.share_max else f"at most {item.rows_max} rows" if item.rows_max else "no rows"
    kinds: dict[str, Kind] = {"missingValues": "missing", "invalidValues": "invalid", "duplicateValues": "primary_key"}
    wanted = {
        "missingValues": f"{tolerated} missing" + (f" (also {', '.join(map(str, item.missing_values))})" if item.missing_values else ""),
        "invalidValues": f"{tolerated} that {_valid(item)}",
        "duplicateValues": f"{tolerated} whose values stood in an earlier row",
    }
    return Rule(
        name=item.name,
        kind=kinds[item.metric],
        columns=item.columns,
        severity=item.severity,
        expected=(item.description or wanted[item.metric])[:EXPECTED_CHARACTERS_MAX],
        values=item.missing_values or item.valid_values,
        text=item.pattern,
        share_max=item.share_max,
        rows_max=item.rows_max,
        shows_rows=item.metric == "missingValues" or bool(personal.intersection(item.columns)),
    )


def _valid(item: MetricRule) -> str:
    said = [f"are not one of {', '.join(map(str, item.valid_values))}"] if item.valid_values else []
    return " or ".join([*said, *([f"do not match {item.pattern}"] if item.pattern else [])])
