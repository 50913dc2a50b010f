"""``lever slo``: what an endpoint promises, and what is left of what it may fail."""

from typing import TYPE_CHECKING, Annotated

import typer

from leverframe.apps.cli.commands_release import LEVER_PANEL, EndpointName, Reason
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.output import Json, print_facts, print_json

if TYPE_CHECKING:
    from leverframe.apps.platform.views import ObjectivesView


def slo(
    endpoint: EndpointName,
    availability: Annotated[float | None, typer.Option("--availability", help="Share of answers that succeed, such as 0.9995.")] = None,
    latency_ms: Annotated[int | None, typer.Option("--latency-ms", help="An answer that takes longer is slow.", min=1)] = None,
    latency_target: Annotated[float | None, typer.Option("--latency-target", help="Share of answers that are not, such as 0.99.")] = None,
    reason: Reason = "",
    json_output: Json = False,
) -> None:
    """Set what an endpoint promises, each objective as named; without options, show it with what is left of its error budget."""
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
        print_facts(_facts(shown))


def _facts(shown: "ObjectivesView") -> list[tuple[str, str]]:
    from leverframe.apps.console.words import moment

    def left(objective: str) -> str:
        share = shown.left.get(objective, 1.0)
        return f"{share:.0%} of four weeks' budget left" if share > 0 else f"budget spent ({share:.0%})"

    since = f"{shown.by}, {moment(shown.at_us)}: {shown.reason}" if shown.declared else "nobody yet: these are the usual ones"
    return [
        ("endpoint", shown.endpoint),
        ("availability", f"{shown.availability:.6g} of answers succeed; {left('availability')}"),
        ("latency", f"{shown.latency_target:.6g} within {shown.latency_ms} ms (counted to {shown.counted_ms:g} ms); {left('latency')}"),
        ("set by", since),
    ]


def register(app: typer.Typer) -> None:
    """Add this verb to ``app``."""
    app.command(rich_help_panel=LEVER_PANEL)(slo)
