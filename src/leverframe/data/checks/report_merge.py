"""One report of several batches, and of what was found beside the rules."""

from collections.abc import Sequence

import msgspec

from leverframe.core.dataset import ContractReport, RuleResult
from leverframe.data.checks.report import EXAMPLES_MAX
from leverframe.data.contract.contracts import Severity


def said(rule: str, column: str, severity: Severity, failing_rows: int, checked_rows: int, expected: str) -> RuleResult:
    """A result that passes when nothing failed."""
    return RuleResult(
        rule=rule,
        column=column,
        severity=severity,
        passed=failing_rows == 0,
        failing_rows=failing_rows,
        checked_rows=checked_rows,
        failing_share=failing_rows / checked_rows if checked_rows else 0.0,
        expected=expected,
    )


def with_rule(report: ContractReport, result: RuleResult) -> ContractReport:
    """``report`` with one result more; a broken refuse rule refuses."""
    accepted = report.accepted and (result.passed or result.severity != "refuse")
    return msgspec.structs.replace(report, accepted=accepted, results=(*report.results, result))


def merged(first: ContractReport, second: ContractReport) -> ContractReport:
    """Both as one: rows add up, and a rule is kept when both kept it (freshness: when one did, since one newest row is enough)."""
    results = {(result.rule, result.column): result for result in first.results}
    for result in second.results:
        before = results.get((result.rule, result.column))
        results[result.rule, result.column] = result if before is None else _both(before, result)
    return msgspec.structs.replace(
        first,
        rows=first.rows + second.rows,
        accepted=not any(not result.passed and result.severity == "refuse" for result in results.values()),
        results=tuple(results.values()),
        quarantined_rows=first.quarantined_rows + second.quarantined_rows,
    )


def _both(one: RuleResult, other: RuleResult) -> RuleResult:
    if one.rule == "freshness":
        return other if other.passed or not one.passed else one
    checked = one.checked_rows + other.checked_rows
    return msgspec.structs.replace(
        one,
        passed=one.passed and other.passed,
        failing_rows=one.failing_rows + other.failing_rows,
        checked_rows=checked,
        failing_share=(one.failing_rows + other.failing_rows) / checked if checked else 0.0,
        examples=(*one.examples, *other.examples)[:EXAMPLES_MAX],
        example_rows=(*one.example_rows, *other.example_rows)[:EXAMPLES_MAX],
    )


def without_names(report: ContractReport, offered: Sequence[str]) -> ContractReport:
    """``report`` with columns the contract does not name shown by their place: a file without header has values there."""
    places = {name[:128]: f"column {index + 1}" for index, name in enumerate(offered)}
    results = tuple(
        msgspec.structs.replace(result, column=places.get(result.column, "a column")) if result.rule == "unexpected" else result
        for result in report.results
    )
    return msgspec.structs.replace(report, results=results)
