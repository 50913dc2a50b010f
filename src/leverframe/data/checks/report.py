"""From what an engine counted to the report: the same for every engine."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from leverframe.core.clock import iso_from_us
from leverframe.core.dataset import ContractReport, RuleResult
from leverframe.data.checks.rules import Rule
from leverframe.data.contract.column_types import describe
from leverframe.data.contract.contracts import Contract

EXAMPLES_MAX = 3
EXAMPLE_ROWS_MAX = 256
"""Distinct examples are looked for in so many of the first failing rows of a rule."""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule counted. ``seen``: example and row of the first failing rows. ``verifiable``: there was something to check against."""

    failing: int
    checked: int
    seen: tuple[tuple[str, str], ...] = ()
    verifiable: bool = True


@dataclass(frozen=True, kw_only=True)
class Table:
    """The table as a whole: its rows, its columns' names, and the newest value of the freshness column (microseconds)."""

    rows: int
    columns: tuple[str, ...]
    newest_us: int | None = None


def passes(rule: Rule, counted: Counted) -> bool:
    """Whether so many failing rows are tolerated."""
    return counted.verifiable and counted.failing <= max(rule.share_max * counted.checked, rule.rows_max)


def contract_report(
    contract: Contract, table: Table, rules: Sequence[Rule], counted: Sequence[Counted], *, now_us: int, quarantined_rows: int = 0
) -> ContractReport:
    """Every rule's result: columns present, rules about rows, volume and freshness.

    Parameters
    ----------
    counted: one a rule, in the order of ``rules``.
    now_us: the moment of the check, for freshness.
    """
    results = (
        *_columns_present(contract, table),
        *(_result(rule, seen) for rule, seen in zip(rules, counted, strict=True)),
        *_about_the_table(contract, table, now_us),
    )
    return ContractReport(
        dataset=contract.dataset,
        contract=contract.name,
        contract_version=contract.version,
        rows=table.rows,
        accepted=not any(not result.passed and result.severity == "refuse" for result in results),
        results=results,
        quarantined_rows=quarantined_rows,
        checked_at_us=now_us,
    )


def _columns_present(contract: Contract, table: Table) -> Iterator[RuleResult]:
    for column in contract.columns:
        present = column.name in table.columns
        yield RuleResult(
            rule="present",
            column=column.name,
            severity="refuse" if column.required else "warn",
            passed=present,
            failing_rows=0 if present else table.rows,
            checked_rows=table.rows,
            failing_share=0.0 if present else 1.0,
            expected=f"a column of type {describe(column)}",
        )
    names = {column.name for column in contract.columns}
    for name in table.columns:
        if name not in names:
            yield RuleResult(
                rule="unexpected",
                column=name[:128],
                severity="warn",
                passed=False,
                failing_rows=table.rows,
                checked_rows=table.rows,
                failing_share=1.0,
                expected="only columns the contract names (this one is dropped)",
            )


def _result(rule: Rule, counted: Counted) -> RuleResult:
    passed = passes(rule, counted)
    shown = () if passed else tuple(distinct(counted.seen).items())
    missing = "" if counted.verifiable else f" (no rows of {rule.text.rpartition('.')[0]} with that column were given to check against)"
    return RuleResult(
        rule=rule.name,
        column=rule.column,
        severity=rule.severity,
        passed=passed,
        failing_rows=counted.failing,
        checked_rows=counted.checked,
        failing_share=counted.failing / counted.checked if counted.checked else 0.0,
        share_max=rule.share_max,
        rows_max=rule.rows_max,
        expected=rule.expected + missing,
        examples=tuple(example for example, _ in shown),
        example_rows=tuple(row for _, row in shown),
    )


def distinct(seen: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """The first few distinct examples with the first row of each."""
    found: dict[str, str] = {}
    for example, row in seen:
        if len(found) < EXAMPLES_MAX:
            found.setdefault(example, row)
    return found


def _about_the_table(contract: Contract, table: Table, now_us: int) -> Iterator[RuleResult]:
    """Rules about the file as a whole: volume and freshness."""
    rows = table.rows
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
        promise, newest = contract.freshness, table.newest_us
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
