"""``lever features leakage``."""

from typing import Annotated

import typer

from leverframe.apps.cli.commands_features import features
from leverframe.apps.cli.commands_training_set import print_matches
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
        print_matches(f"Training set of {report.model}, {report.questions:,} questions", report.matches)
        rows = ((leak.severity, leak.sentence, leak.next_step) for leak in report.leaks)
        print_table("What may leak", ("severity", "what", "next"), rows, empty="nothing found.")
        say(report.summary())
    if any(leak.severity == "error" for leak in report.leaks):
        raise typer.Exit(REFUSED)


def register(app: typer.Typer) -> None:
    """Nothing to add to ``app``: the verb stands among those of ``lever features``."""
