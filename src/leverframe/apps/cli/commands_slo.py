"""``lever slo``: what an endpoint promises, and what is left of what it may fail."""

from typing import Annotated

import typer

from leverframe.apps.cli.commands_release import LEVER_PANEL, EndpointName, Reason
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.output import Json, print_facts, print_json


def slo(
    endpoint: EndpointName,
    availability: Annotated[float | None, typer.Option("--availability", help="Share of answers that succeed, such as 0.9995.")] = None,
    latency_ms: Annotated[int | None, typer.Option("--latency-ms", help="An answer that takes longer is slow.", min=1)] = None,
    latency_target: Annotated[float | None, typer.Option("--latency-target", help="Share of answers that are not, such as 0.99.")] = None,
    reason: Reason = "",
    json_output: Json = False,
) -> None:
    """Set what an endpoint promises, each objective as named; without options, show it with what is left of its error budget."""
    from leverframe.apps.console.endpoint_words import objective_words

    with connect() as client:
        if availability is None and latency_ms is None and latency_target is None:
            shown = client.monitoring.objectives(endpoint)
        else:
            shown = client.monitoring.set_objectives(
                endpoint,
                availability=availability,
                latency_target=latency_target,
                latency_ms=latency_ms,
                reason=reason or "objectives from the command line",
            )
    if json_output:
        print_json(shown)
    else:
        print_facts([("endpoint", shown.endpoint), *objective_words(shown)])


def register(app: typer.Typer) -> None:
    """Add this verb to ``app``."""
    app.command(rich_help_panel=LEVER_PANEL)(slo)
