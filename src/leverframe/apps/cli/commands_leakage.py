"""``lever features leakage``."""

from typing import Annotated

import typer

from leverframe.apps.cli.commands_features import features
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.exit_codes import REFUSED
from leverframe.apps.cli.output import Json, print_json, print_table, say


@features.command("leakage")
def leakage(model: Annotated[str, typer.Argument(help="A declared model.")], json_output: Json = False) -> None:
    """What a model's training set may know too early, and which questions its views have no row for; exit code 3 on an error."""
    with connect() as client:
        report = client.features.leakage(model)
    if json_output:
        print_json(report)
    else:
        gaps = (
            (m.view, m.questions, m.unmatched, m.never_known, m.known_later, m.expired, _age(m.age_us_min), _age(m.age_us_max))
            for m in report.matches
        )
        columns = ("view", "#questions", "#without a row", "#never known", "#known later", "#expired", "newest", "oldest")
        print_table(f"Training set of {report.model}, {report.questions:,} questions", columns, gaps, empty="the model reads no view.")
        rows = ((leak.severity, leak.sentence, leak.next_step) for leak in report.leaks)
        print_table("What may leak", ("severity", "what", "next"), rows, empty="nothing found.")
        say(report.summary())
    if any(leak.severity == "error" for leak in report.leaks):
        raise typer.Exit(REFUSED)


def _age(age_us: int | None) -> str:
    from leverframe.apps.console.words import duration

    return "" if age_us is None else duration(age_us)


def register(app: typer.Typer) -> None:
    """Nothing to add to ``app``: the verb stands among those of ``lever features``."""
