"""``lever plan`` and ``lever apply``: a team's folder of declarations, shown before it is sent."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from leverframe.apps.cli.commands_data import PANEL, Folder
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.exit_codes import REFUSED
from leverframe.apps.cli.output import Json, print_json, print_table, say

if TYPE_CHECKING:
    from leverframe.apps.platform.views import Backfill, ProjectPlan

CHANGE_WORDS = {
    "added": "added",
    "unchanged": "stays",
    "words": "changed: words only",
    "values": "changed: values",
    "breaking": "BREAKING",
}


def plan(project_dir: Folder, json_output: Json = False) -> None:
    """Show what applying a project would change, whom it would break, what must be filled anew at what cost; run its feature tests."""
    from leverframe.apps.cli import feature_tests
    from leverframe.apps.cli import project as projects

    found = projects.load_project(project_dir)
    results = feature_tests.run_tests(found)
    with connect() as client:
        shown = client.projects.plan(found.declarations)
    hold = all(result.holds for result in results)
    if json_output:
        print_json({"plan": shown, "tests": results})
    else:
        print_plan(shown, str(project_dir))
        if results:
            feature_tests.print_results(results)
        if shown.differs and not shown.faults and hold:
            say(f"next: lever apply {project_dir} --plan {shown.digest}")
    if not hold or shown.faults:
        raise typer.Exit(REFUSED)


def apply(
    project_dir: Folder,
    plan: Annotated[str, typer.Option("--plan", help="Digest of the plan that was shown; anything else is refused.")] = "",
    allow_breaking: Annotated[
        bool, typer.Option("--allow-breaking", help="Also take away what others read; the refusal names every one of them.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json_output: Json = False,
) -> None:
    """Send a project's contracts, entities, feature views, services and models, after showing what would change."""
    from leverframe.apps.cli import project as projects

    declared = projects.load_project(project_dir).declarations
    with connect() as client:
        shown = client.projects.plan(declared)
        if not json_output:
            print_plan(shown, str(project_dir))
        asks = shown.differs and not (dry_run or yes or json_output or plan)
        if asks and not typer.confirm("Apply?", default=False):
            raise typer.Exit(0)
        # What the person saw is what is applied: between showing and applying the digest holds the state still.
        applied = None if dry_run else client.projects.apply(declared, plan=plan or shown.digest, allow_breaking=allow_breaking)
    if json_output:
        print_json({"plan": shown, "applied": applied.said if applied else ()})
    elif not dry_run:
        say(f"Applied: {sum(s.change != 'unchanged' for s in shown.steps)} changes." if shown.differs else "Nothing differs.")


def print_plan(shown: "ProjectPlan", folder: str) -> None:
    """A plan as tables: each declaration, who breaks, what must be filled, and in the end its digest."""
    rows = ((s.kind, s.name, CHANGE_WORDS[s.change], ", ".join(s.fields)) for s in shown.steps)
    print_table(f"Plan for {folder}", ("kind", "name", "change", "what differs"), rows, empty="it declares nothing.")
    if shown.breaks:
        print_table("Breaks", ("what", "how", "read by"), ((b.where, b.what, ", ".join(b.consumers)) for b in shown.breaks))
    if shown.backfills:
        columns = ("view", "version", "source", "#rows", "#days", "takes", "measured on")
        print_table("To be filled: lever features materialize", columns, _backfill_rows(shown.backfills))
    for sentence in shown.behind:
        say(sentence)
    if shown.stays:
        say(f"stays, not in this project: {', '.join(shown.stays)}")
    if shown.faults:
        faults = ((f.where, f.what, f.expected, f.got) for f in shown.faults)
        print_table("Would be refused", ("where", "what", "expected", "got"), faults)
    say(f"plan {shown.digest}")


def _backfill_rows(backfills: "tuple[Backfill, ...]") -> Iterator[tuple[object, ...]]:
    from leverframe.apps.console.words import duration
    from leverframe.core.digest import short

    for b in backfills:
        takes = "not measured yet" if b.seconds is None else f"about {duration(round(b.seconds * 1e6))}"
        takes += f", {b.cost:.4g} by the price of a core hour" if b.cost is not None else ""
        yield b.view, short(b.view_version), b.source, b.rows, b.days, takes if b.rows else "nothing was ingested yet", b.measured_on


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    app.command(rich_help_panel=PANEL)(plan)
    app.command(rich_help_panel=PANEL)(apply)
