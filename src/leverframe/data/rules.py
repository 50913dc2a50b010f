"""The row rules of a contract as Polars expressions: one Boolean a row each, true where the rule is broken."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from leverframe.data.column_types import describe, polars_type
from leverframe.data.contracts import Column, Contract, Severity

OFFERED = "offered:"
"""Prefix of the columns as they came in; no contract can name a column with a colon."""

EXAMPLE_CHARACTERS_MAX = 80


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule. ``broken`` never gives null; ``checked`` counts the rows it applies to; ``example`` shows a failing row."""

    name: str
    column: str
    severity: Severity
    expected: str
    broken: pl.Expr
    checked: pl.Expr
    example: pl.Expr
    share_max: float = 0.0
    verifiable: bool = True


def row_rules(contract: Contract, schema: Mapping[str, pl.DataType], parents: Mapping[str, pl.LazyFrame]) -> list[Rule]:
    """All row rules of ``contract`` for a file with columns ``schema``; rules of absent columns are left out.

    The expressions read the typed columns by name and the offered ones under ``offered:<name>``.
    """
    rules: list[Rule] = []
    for column in contract.columns:
        if column.name in schema:
            rules += _column_rules(column, schema[column.name], parents)
    key = [pl.col(name) for name in contract.primary_key]
    if key and all(name in schema for name in contract.primary_key):
        complete = pl.all_horizontal([part.is_not_null() for part in key])
        rules.append(_key_rule(contract, complete & ~pl.struct(key).is_first_distinct()))
    rules += [
        Rule(
            name=rule.name,
            column="",
            severity=rule.severity,
            expected=rule.description or f"not: {rule.bad_when}",
            broken=_definite(pl.sql_expr(rule.bad_when)),
            checked=pl.len(),
            example=_row_number(),
            share_max=rule.share_max,
        )
        for rule in contract.sql_rules
    ]
    return rules


def _definite(broken: pl.Expr) -> pl.Expr:
    """Unknown is not broken: a missing value is the business of ``required``. The sum with a row gives a scalar its height."""
    return broken.fill_null(False) & pl.repeat(True, pl.len())


def _row_number() -> pl.Expr:
    return pl.format("row {}", pl.int_range(pl.len()) + 1)


def _key_rule(contract: Contract, broken: pl.Expr) -> Rule:
    columns = [column for column in contract.columns if column.primary_key]
    severity: Severity = "refuse" if any(column.severity == "refuse" for column in columns) else columns[0].severity
    shown = _row_number() if any(column.personal for column in columns) else pl.concat_str(contract.primary_key, separator=", ")
    name = ", ".join(contract.primary_key)
    return Rule(
        name="primary_key", column=name, severity=severity, expected="each key once", broken=broken, checked=pl.len(), example=shown
    )


def _column_rules(column: Column, offered: pl.DataType, parents: Mapping[str, pl.LazyFrame]) -> list[Rule]:
    raw, value = pl.col(f"{OFFERED}{column.name}"), pl.col(column.name)
    shown = _row_number() if column.personal else _as_text(raw, offered)

    def rule(name: str, expected: str, broken: pl.Expr, example: pl.Expr = shown) -> Rule:
        checked = pl.len() if name == "required" else raw.is_not_null().sum()
        return Rule(
            name=name,
            column=column.name,
            severity=column.severity,
            expected=expected,
            broken=broken.fill_null(False),
            checked=checked,
            example=example,
        )

    rules = [rule("type", describe(column), raw.is_not_null() & value.is_null())]
    if column.required:
        rules.append(rule("required", "a value in every row", raw.is_null(), _row_number()))
    if column.unique and not column.primary_key:
        rules.append(rule("unique", "each value once", value.is_not_null() & ~value.is_first_distinct()))
    rules += [rule(name, expected, broken) for name, expected, broken in _value_rules(column, value)]
    if column.missing_share_max is not None:
        rules.append(
            Rule(
                name="missing_share",
                column=column.name,
                severity="warn",
                expected=f"at most {column.missing_share_max:.2%} missing",
                broken=raw.is_null(),
                checked=pl.len(),
                example=_row_number(),
                share_max=column.missing_share_max,
            )
        )
    if column.references:
        rules.append(_reference(column, value, shown, parents))
    return rules


def _value_rules(column: Column, value: pl.Expr) -> list[tuple[str, str, pl.Expr]]:
    """Rules about single values: name, what is expected, where it is broken."""
    length = value.str.len_chars()
    limits = (
        ("minimum", column.minimum, ">=", value.lt),
        ("maximum", column.maximum, "<=", value.gt),
        ("exclusive_minimum", column.exclusive_minimum, ">", value.le),
        ("exclusive_maximum", column.exclusive_maximum, "<", value.ge),
        ("length_min", column.length_min, "characters >=", length.lt),
        ("length_max", column.length_max, "characters <=", length.gt),
    )
    rules = [(name, f"{sign} {limit}", broken(_limit(column, limit))) for name, limit, sign, broken in limits if limit is not None]
    if column.pattern:
        rules.append(("pattern", f"matches {column.pattern}", ~value.str.contains(column.pattern)))
    if column.enumeration:
        known = pl.Series(list(column.enumeration), dtype=polars_type(column), strict=False)
        rules.append(("enumeration", f"one of {', '.join(map(str, column.enumeration))}"[:300], ~value.is_in(known.implode())))
    return rules


def _limit(column: Column, limit: int | float) -> pl.Expr:
    """A limit as a literal; on a moment it is microseconds since the epoch."""
    if column.physical_type == "timestamp[us]":
        return pl.lit(limit, dtype=pl.Int64).cast(pl.Datetime("us"))
    return pl.lit(limit)


def _reference(column: Column, value: pl.Expr, shown: pl.Expr, parents: Mapping[str, pl.LazyFrame]) -> Rule:
    dataset, _, name = column.references.rpartition(".")
    parent = parents.get(dataset)
    found = parent is not None and name in parent.collect_schema()
    if parent is None or not found:
        return Rule(
            name="reference",
            column=column.name,
            severity=column.severity,
            expected=f"a value of {column.references} (no snapshot of {dataset} with {name} was given to check against)",
            broken=pl.repeat(False, pl.len()),
            checked=pl.lit(0),
            example=shown,
            verifiable=False,
        )
    known = parent.select(pl.col(name).cast(polars_type(column)).unique()).collect().to_series()
    return Rule(
        name="reference",
        column=column.name,
        severity=column.severity,
        expected=f"a value of {column.references}",
        broken=(value.is_not_null() & ~value.is_in(known.implode())).fill_null(False),
        checked=value.is_not_null().sum(),
        example=shown,
    )


def _as_text(raw: pl.Expr, offered: pl.DataType) -> pl.Expr:
    """An offered value as bounded text; of lists, structs and bytes only the type."""
    if offered.is_nested() or offered in (pl.Binary, pl.Object, pl.Null):
        return pl.format("{}" + f" ({offered})"[:EXAMPLE_CHARACTERS_MAX].replace("{", "").replace("}", ""), _row_number())
    return raw.cast(pl.String).str.slice(0, EXAMPLE_CHARACTERS_MAX)
