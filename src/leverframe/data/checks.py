"""Offered rows against their contract: every rule, in one pass over the columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from leverframe.core.clock import iso_from_us
from leverframe.core.dataset import ContractReport, RuleResult
from leverframe.data.column_types import describe, polars_type, typed
from leverframe.data.contracts import Contract
from leverframe.data.rules import OFFERED, Rule, row_rules

EXAMPLES_MAX = 3
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
    """Check offered rows against ``contract``.

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
    both = offered.rename({name: f"{OFFERED}{name}" for name in schema}).with_columns(_typed_columns(contract, schema))
    rules = row_rules(contract, schema, parents or {})
    counted, rows = pl.collect_all([both.select(_facts(rules, contract)), both.select([c.name for c in contract.columns])])
    facts = counted.row(0, named=True)
    results = (
        *_columns_present(contract, schema, facts["rows"]),
        *(_result(rule, index, facts) for index, rule in enumerate(rules)),
        *_file_results(contract, facts, now_us),
    )
    bad = counted["bad"].explode() if facts["rows"] else pl.Series("bad", [], dtype=pl.Boolean)
    report = ContractReport(
        dataset=contract.dataset,
        contract=contract.name,
        contract_version=contract.version,
        rows=facts["rows"],
        accepted=not any(not result.passed and result.severity == "refuse" for result in results),
        results=results,
        quarantined_rows=int(bad.sum()),
        checked_at_us=now_us,
    )
    return Checked(report=report, rows=rows, bad=bad)


def _typed_columns(contract: Contract, schema: Mapping[str, pl.DataType]) -> list[pl.Expr]:
    return [
        typed(column, pl.col(f"{OFFERED}{column.name}"), schema[column.name]).alias(column.name)
        if column.name in schema
        else pl.lit(None, dtype=polars_type(column)).alias(column.name)
        for column in contract.columns
    ]


def _facts(rules: Sequence[Rule], contract: Contract) -> list[pl.Expr]:
    """Everything the report needs, as one row."""
    facts = [pl.len().alias("rows")]
    for index, rule in enumerate(rules):
        facts.append(rule.broken.sum().alias(f"failing_{index}"))
        facts.append(rule.checked.alias(f"checked_{index}"))
        shown = rule.example.filter(rule.broken).unique(maintain_order=True).head(EXAMPLES_MAX)
        facts.append(shown.implode().alias(f"examples_{index}"))
    set_aside = [rule.broken for rule in rules if rule.severity == "quarantine"]
    mask = pl.any_horizontal(set_aside) if set_aside else pl.repeat(False, pl.len())
    facts.append(mask.implode().alias("bad"))
    if contract.freshness is not None:
        facts.append(pl.col(contract.freshness.column).cast(pl.Int64).max().alias("newest"))
    return facts


def _columns_present(contract: Contract, schema: Mapping[str, pl.DataType], rows: int) -> Iterator[RuleResult]:
    names = {column.name for column in contract.columns}
    for column in contract.columns:
        present = column.name in schema
        yield RuleResult(
            rule="present",
            column=column.name,
            severity="refuse" if column.required else "warn",
            passed=present,
            failing_rows=0 if present else rows,
            checked_rows=rows,
            expected=f"a column of type {describe(column)}",
        )
    for name in schema:
        if name not in names:
            yield RuleResult(
                rule="unexpected",
                column=name[:128],
                severity="warn",
                passed=False,
                failing_rows=rows,
                checked_rows=rows,
                expected="only columns the contract names (this one is dropped)",
            )


def _result(rule: Rule, index: int, facts: Mapping[str, Any]) -> RuleResult:
    failing, checked = int(facts[f"failing_{index}"] or 0), int(facts[f"checked_{index}"] or 0)
    passed = rule.verifiable and failing <= rule.share_max * checked
    return RuleResult(
        rule=rule.name,
        column=rule.column,
        severity=rule.severity,
        passed=passed,
        failing_rows=failing,
        checked_rows=checked,
        expected=rule.expected,
        examples=() if passed else tuple(str(value) for value in facts[f"examples_{index}"] or ()),
    )


def _file_results(contract: Contract, facts: Mapping[str, Any], now_us: int) -> Iterator[RuleResult]:
    """Rules about the file as a whole: volume and freshness."""
    rows = int(facts["rows"])
    if contract.volume is not None:
        volume = contract.volume
        passed = rows >= volume.rows_min and (volume.rows_max is None or rows <= volume.rows_max)
        most = "any number" if volume.rows_max is None else str(volume.rows_max)
        yield RuleResult(
            rule="volume",
            column="",
            severity=volume.severity,
            passed=passed,
            failing_rows=0 if passed else rows,
            checked_rows=rows,
            expected=f"{volume.rows_min} to {most} rows",
            examples=() if passed else (f"{rows} rows",),
        )
    if contract.freshness is not None:
        promise, newest = contract.freshness, facts["newest"]
        passed = newest is not None and now_us - newest <= promise.age_max_us
        seen = "no value" if newest is None else f"newest {iso_from_us(newest)}, {(now_us - newest) / 3.6e9:.1f} h old"
        yield RuleResult(
            rule="freshness",
            column=promise.column,
            severity=promise.severity,
            passed=passed,
            failing_rows=0 if passed else rows,
            checked_rows=rows,
            expected=f"at most {promise.age_max_us / 3.6e9:g} h old at {iso_from_us(now_us)}",
            examples=() if passed else (seen,),
        )
