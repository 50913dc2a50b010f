"""``lever features parity``: was what we served what we knew?"""

from typing import Annotated

import typer

from leverframe.apps.cli.commands_features import features
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.exit_codes import REFUSED
from leverframe.apps.cli.output import Json, print_json, print_table


@features.command("parity")
def parity(view: Annotated[str, typer.Argument(help="Of this view (none: all).")] = "", json_output: Json = False) -> None:
    """Served feature values against the offline ones of the same moments, a verdict a feature; exit code 3 when one fails."""
    from leverframe.apps.console.words import moment

    with connect() as client:
        found = client.features.parity(view)
    if json_output:
        print_json(found)
    else:
        rows = (
            (
                f"{each.found.view}.{feature.feature}",
                f"{each.found.endpoint} {each.found.version}",
                feature.answer,
                feature.cells,
                feature.cells - feature.equal - feature.late,
                feature.late,
                "; ".join(_example(e.served, e.offline, moment(e.asked_at_us), e.masked) for e in feature.examples[:1]),
            )
            for each in found
            for feature in each.found.features
        )
        columns = ("feature", "served by", "verdict", "#compared", "#wrong", "#late", "for example")
        print_table("Parity", columns, rows, empty="nothing was compared yet: the worker does it every LEVER_PARITY_INTERVAL_S seconds.")
    if any(each.answer == "fail" for each in found):
        raise typer.Exit(REFUSED)


def _example(served: float | None, offline: float | None, when: str, masked: bool) -> str:
    if masked:
        return f"personal, not shown ({when})"
    return f"served {'nothing' if served is None else f'{served:g}'}, was {'nothing' if offline is None else f'{offline:g}'} ({when})"


def register(app: typer.Typer) -> None:
    """The verb is part of ``lever features``, which ``commands_features`` adds."""
