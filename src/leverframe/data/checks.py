"""Offered rows against their contract: every rule counted in one pass, and only what fails looked at again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from leverframe.core.dataset import ContractReport
from leverframe.data.column_types import polars_type
from leverframe.data.contracts import Contract
from leverframe.data.report import EXAMPLE_ROWS_MAX, Counted, Table, contract_report, passes
from leverframe.data.rules import Rule, row_rules
from leverframe.data.rules_polars import OFFERED, PolarsRules

Parents = Mapping[str, pl.LazyFrame]
"""Dataset name to the rows of its current snapshot, for references."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a check found.

    ``rows`` holds every offered row in the promised types and column order (null where a value did not fit); ``bad`` is true for
    rows that break a quarantine rule, same length.
    """

    report: ContractReport
    rows: pl.DataFrame
    bad: pl.Series

    @property
    def good_rows(self) -> pl.DataFrame:
        """The rows that may be used, if the report accepts the file."""
        return self.rows.filter(~self.bad)


def check(frame: pl.LazyFrame | pl.DataFrame, contract: Contract, now_us: int, parents: Parents | None = None) -> Checked:
    """Check offered rows, held in memory, against ``contract``. For tables larger than memory see ``data.checks_scan``.

    Parameters
    ----------
    frame: the rows, with whatever columns and types they came in.
    now_us: the moment of the check, for freshness.
    parents: rows that references point to. A reference whose parent is not given fails: it could not be verified.

    Returns
    -------
    Checked: one result a rule. Absent columns are reported and filled with null; columns the contract does not name are reported and
    dropped, so that no unagreed value is ever stored.
    """
    offered = frame.lazy()
    schema = offered.collect_schema()
    rules = row_rules(contract, frozenset(schema))
    compiled = PolarsRules(contract, schema, known_values(contract, parents or {}))
    both = offered.rename({name: f"{OFFERED}{name}" for name in schema}).with_columns(compiled.columns).collect()
    facts = both.lazy().select(counting(rules, compiled, contract)).collect().row(0, named=True)
    counted = [counted_by(facts, index, compiled.verifiable(rule)) for index, rule in enumerate(rules)]
    looked = [index for index, rule in enumerate(rules) if not passes(rule, counted[index])]
    aside = [index for index, rule in enumerate(rules) if rule.severity == "quarantine" and counted[index].failing]
    found = both.lazy().select(_looking(rules, compiled, looked, aside)).collect()
    for index in looked:
        seen = found[f"seen_{index}"][0]
        counted[index] = Counted(**{**vars(counted[index]), "seen": tuple((one["example"], one["row"]) for one in seen)})
    bad = found["bad"].explode() if both.height and aside else pl.repeat(False, both.height, dtype=pl.Boolean, eager=True).alias("bad")
    report = contract_report(contract, table_of(facts, tuple(schema)), rules, counted, now_us=now_us, quarantined_rows=int(bad.sum()))
    return Checked(report=report, rows=both.select([c.name for c in contract.columns]), bad=bad)


def known_values(contract: Contract, parents: Parents) -> dict[str, pl.Series]:
    """The distinct values each reference may have; a parent that is absent or lacks the column has no entry."""
    known: dict[str, pl.Series] = {}
    for column in contract.columns:
        dataset, _, name = column.references.rpartition(".")
        parent = parents.get(dataset) if column.references else None
        if parent is not None and name in parent.collect_schema():
            distinct = parent.select(pl.col(name).cast(polars_type(column)).unique())
            known[column.references] = distinct.collect(engine="streaming").to_series().drop_nulls()
    return known


def counting(rules: Sequence[Rule], compiled: PolarsRules, contract: Contract, *, leave: frozenset[int] = frozenset()) -> list[pl.Expr]:
    """How many rows break each rule, and what the report says of the table, as one row. ``leave``: rules that are counted elsewhere."""
    facts = [pl.len().alias("rows")]
    for index, rule in enumerate(rules):
        if index not in leave:
            facts.append(compiled.failing(rule).alias(f"failing_{index}"))
        facts.append(compiled.checked(rule).alias(f"checked_{index}"))
    if contract.freshness is not None:
        facts.append(pl.col(contract.freshness.column).cast(pl.Int64).max().alias("newest"))
    return facts


def counted_by(facts: Mapping[str, Any], index: int, verifiable: bool) -> Counted:
    """What ``counting`` found of one rule."""
    return Counted(failing=int(facts[f"failing_{index}"] or 0), checked=int(facts[f"checked_{index}"] or 0), verifiable=verifiable)


def table_of(facts: Mapping[str, Any], columns: tuple[str, ...]) -> Table:
    """What ``counting`` found of the table."""
    return Table(rows=int(facts["rows"]), columns=columns, newest_us=facts.get("newest"))


def looking(rule: Rule, compiled: PolarsRules) -> pl.Expr:
    """Example and row of the first rows that break ``rule``."""
    shown = pl.struct(compiled.example(rule).alias("example"), compiled.label().alias("row"))
    return shown.filter(compiled.broken(rule)).head(EXAMPLE_ROWS_MAX)


def _looking(rules: Sequence[Rule], compiled: PolarsRules, looked: Sequence[int], aside: Sequence[int]) -> list[pl.Expr]:
    found = [looking(rules[index], compiled).implode().alias(f"seen_{index}") for index in looked]
    if aside:
        found.append(pl.any_horizontal([compiled.broken(rules[index]) for index in aside]).implode().alias("bad"))
    return found
