"""Offered rows against their contract: whole columns first, then the rules they do not settle in one pass, then only what fails."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import polars as pl

from leverframe.core.dataset import ContractReport
from leverframe.data.checks.report import EXAMPLE_ROWS_MAX, Counted, Table, contract_report, passes
from leverframe.data.checks.rules import REPEATS, Rule, row_rules
from leverframe.data.checks.rules_polars import OFFERED, PolarsRules
from leverframe.data.checks.screen import finite_columns, repeats, settled
from leverframe.data.contract.column_types import polars_type
from leverframe.data.contract.contracts import Contract

ROW = "row:"
"""The number of a row, from 0; no contract can name a column with a colon."""
Parents = Mapping[str, pl.LazyFrame]
"""Dataset name to the rows of its current snapshot, for references."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a check found.

    ``rows`` holds every offered row in the promised types and column order (null where a value did not fit); ``bad`` is true for
    rows that break a quarantine rule, same length; ``aside`` says for each such rule (with its column) which rows.
    """

    report: ContractReport
    rows: pl.DataFrame
    bad: pl.Series
    aside: tuple[tuple[Rule, pl.Series], ...] = ()

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
    offered = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
    schema = offered.schema
    rules = row_rules(contract, frozenset(schema))
    promised = [column.name for column in contract.columns if column.name in schema]
    known = known_values(contract, parents or {})
    compiled = PolarsRules(contract, schema, known, row=pl.col(ROW), finite=finite_columns(offered, promised))
    both = offered.rename({name: f"{OFFERED}{name}" for name in schema}).with_columns(compiled.columns).with_row_index(ROW)
    counted, masks = _counted(both, rules, compiled)
    for index, rule in enumerate(rules):
        if counted[index].failing and not passes(rule, counted[index]):
            counted[index] = msgspec.structs.replace(counted[index], seen=_seen(both, masks(index), rule, compiled))
    aside = {str(i): (rule, masks(i)) for i, rule in enumerate(rules) if rule.severity == "quarantine" and counted[i].failing}
    broken = pl.DataFrame({name: mask for name, (_, mask) in aside.items()})
    bad = broken.select(pl.any_horizontal(pl.all()).alias("bad"))["bad"] if aside else _none(both.height)
    table = Table(rows=both.height, columns=tuple(schema), newest_us=_newest(both, contract))
    report = contract_report(contract, table, rules, counted, now_us=now_us, quarantined_rows=int(bad.sum()))
    return Checked(report=report, rows=both.select([c.name for c in contract.columns]), bad=bad, aside=tuple(aside.values()))


def _counted(both: pl.DataFrame, rules: Sequence[Rule], compiled: PolarsRules) -> tuple[list[Counted], Callable[[int], pl.Series]]:
    """How many rows break each rule, and which, a bit a row; whole columns settle most rules, and those have no rows to tell."""
    kept = settled(both, rules, compiled)
    masks: dict[int, pl.Series] = {}
    for index, rule in enumerate(rules):
        again = repeats(both[rule.columns[0]]) if rule.kind in REPEATS and len(rule.columns) == 1 else None
        if again is not None:
            masks[index] = again
    by_row = [i for i, rule in enumerate(rules) if i not in kept and i not in masks and compiled.looks_at_rows(rule)]
    looked = both.select([compiled.broken(rules[index]).alias(str(index)) for index in by_row])
    masks |= {index: looked[str(index)] for index in by_row}
    facts = both.select(counting(rules, compiled, leave=kept | masks.keys())).row(0, named=True)
    facts |= {f"failing_{index}": int(found.sum()) for index, found in masks.items()}
    counted = [counted_by({f"failing_{index}": 0, **facts}, index, compiled.verifiable(rule)) for index, rule in enumerate(rules)]

    def mask(index: int) -> pl.Series:
        return masks[index] if index in masks else both.select(compiled.broken(rules[index])).to_series()

    return counted, mask


def _none(rows: int) -> pl.Series:
    return pl.repeat(False, rows, dtype=pl.Boolean, eager=True).alias("bad")


def _seen(both: pl.DataFrame, mask: pl.Series, rule: Rule, compiled: PolarsRules) -> tuple[tuple[str, str], ...]:
    """Example and row of the first rows that break ``rule``; only those rows are put into words."""
    rows = both.select(compiled.shown_columns(rule))[mask.arg_true().head(EXAMPLE_ROWS_MAX)]
    return tuple(rows.select(compiled.example(rule).alias("example"), compiled.label().alias("row")).iter_rows())


def _newest(both: pl.DataFrame, contract: Contract) -> int | None:
    newest = both[contract.freshness.column].cast(pl.Int64).max() if contract.freshness is not None else None
    assert newest is None or isinstance(newest, int)
    return newest


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


def counting(rules: Sequence[Rule], compiled: PolarsRules, *, leave: frozenset[int] = frozenset()) -> list[pl.Expr]:
    """How many rows break each rule and to how many it applies, as one row. ``leave``: rules whose failing rows are counted elsewhere."""
    facts = [pl.len().alias("rows")]
    for index, rule in enumerate(rules):
        if index not in leave:
            facts.append(compiled.failing(rule).alias(f"failing_{index}"))
        facts.append(compiled.checked(rule).alias(f"checked_{index}"))
    return facts


def counted_by(facts: Mapping[str, Any], index: int, verifiable: bool) -> Counted:
    """What ``counting`` found of one rule."""
    return Counted(failing=int(facts[f"failing_{index}"] or 0), checked=int(facts[f"checked_{index}"] or 0), verifiable=verifiable)
