"""What became of an offered file, on a terminal."""

from typing import TYPE_CHECKING

from leverframe.apps.cli.output import print_table, say

if TYPE_CHECKING:
    from leverframe.apps.platform.views import IngestView


def print_report(became: "IngestView", *, when: str = "") -> None:
    """What became of an offered file (``when``), and every rule that does not hold."""
    begins = f"{when}  " if when else ""
    if became.snapshot is not None:
        held = f", {became.snapshot.rows:,} in the dataset" if became.snapshot.rows != became.report.rows else ""
        say(f"{begins}accepted: {became.report.rows:,} rows as {became.snapshot.digest}{held}")
    else:
        say(f"{begins}refused: {became.report.rows:,} rows quarantined as {became.quarantine}")
    failing = [result for result in became.report.results if not result.passed]
    if failing:
        rows = (
            (r.rule, r.column, r.severity, f"{r.failing_rows:,}/{r.checked_rows:,}", r.expected, ", ".join(r.examples)) for r in failing
        )
        title = "Warnings" if became.accepted else "Rules that do not hold"
        print_table(title, ("rule", "column", "severity", "#failing", "expected", "for example"), rows)
