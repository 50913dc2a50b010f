"""Claims that are no plain fact of one column (tolerated shares, exclusions, several columns), each as a rule with a name."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from leverframe.data.contract.contract_rules import predicate_problem
from leverframe.data.contract.contracts import Column, MetricRule, SqlRule
from leverframe.data.contract.sql_columns import sql_columns
from leverframe.data.importers.claims import Claim
from leverframe.data.importers.foreign_types import Typed

NAME_CHARACTERS_MAX = 110
_SIGNS = {"minimum": "<", "exclusive_minimum": "<=", "maximum": ">", "exclusive_maximum": ">=", "length_min": "<", "length_max": ">"}


class OwnRules:
    """Gathers rules with names of their own.

    Parameters
    ----------
    types: the contract's columns.
    """

    def __init__(self, types: Mapping[str, Typed]) -> None:
        self._columns = [Column(name=n, logical_type=logical, physical_type=physical) for n, (logical, physical) in types.items()]
        self._types = types
        self._names: set[str] = set()
        self.metrics: list[MetricRule] = []
        self.sql: list[SqlRule] = []

    def add(self, claim: Claim) -> str:
        """Keep ``claim`` as a rule; otherwise why it cannot be one."""
        metric = {"required": "missingValues", "unique": "duplicateValues", "pattern": "invalidValues", "enumeration": "invalidValues"}
        if claim.kind in metric:
            rule = MetricRule(
                name=self._named(claim),
                metric=metric[claim.kind],  # type: ignore[arg-type]
                columns=claim.columns,
                share_max=claim.share_max,
                pattern=claim.value if claim.kind == "pattern" else "",
                valid_values=claim.value if claim.kind == "enumeration" else (),
                description=claim.description,
                severity=claim.severity,
            )
            self.metrics.append(rule)
            return ""
        if claim.kind in _SIGNS and self._types[claim.columns[0]][0] == "timestamp":
            return "a limit on a moment can only refuse, for every row alike"
        bad_when = str(claim.value) if claim.kind == "predicate" else _predicate(claim)
        why = predicate_problem(bad_when, self._columns)
        if not why:
            sql = SqlRule(
                name=self._named(claim),
                bad_when=bad_when,
                share_max=claim.share_max,
                description=claim.description,
                severity=claim.severity,
            )
            self.sql.append(sql)
        return why

    def _named(self, claim: Claim) -> str:
        stem = "_".join((*claim.columns, claim.kind) if claim.columns else (claim.kind,))[:NAME_CHARACTERS_MAX]
        name = next(n for n in (stem, *(f"{stem}_{number}" for number in range(2, len(self._names) + 3))) if n not in self._names)
        self._names.add(name)
        return name


def _predicate(claim: Claim) -> str:
    """What is true of a row that breaks the claim."""
    column = sql_name(claim.columns[0])
    if claim.kind == "excluded":
        return f"{column} IN ({', '.join(map(_literal, claim.value))})"
    if claim.kind == "not_pattern":
        return f"REGEXP_LIKE({column}, {_literal(claim.value)})"
    measured = f"LENGTH({column})" if claim.kind.startswith("length") else column
    return f"{measured} {_SIGNS[claim.kind]} {_literal(claim.value)}"


def sql_name(column: str) -> str:
    """A column's name as a predicate writes it; in quotes where it would mean something else.

    >>> sql_name("amount"), sql_name("order")
    ('amount', '"order"')
    """
    try:
        bare = sql_columns(column) == {column} and pl.sql_expr(column).meta.is_column()
    except pl.exceptions.PolarsError:
        bare = False
    escaped = column.replace('"', '""')
    return column if bare else f'"{escaped}"'


def _literal(value: Any) -> str:
    if isinstance(value, str):
        escaped = value.replace("'", "''")
        return f"'{escaped}'"
    return ("TRUE" if value else "FALSE") if isinstance(value, bool) else repr(value)
