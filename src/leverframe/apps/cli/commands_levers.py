"""The operator's levers: one verb each, with a reason, and with ``--for`` where a lever may put itself back."""

from typing import Annotated

import typer

from leverframe.apps.cli.commands_release import LEVER_PANEL, EndpointName, Reason, followed, print_endpoint
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.output import Environment, Json, say
from leverframe.apps.web.levers import TIMED_LEVERS
from leverframe.core.clock import span_us, span_words
from leverframe.core.errors import InvalidInput

For = Annotated[str, typer.Option("--for", help="For so long, such as 4h: then it puts itself back. Without: until somebody does.")]


def for_asked(text: str) -> int:
    """Microseconds of ``--for``; 0: without an end."""
    return span_us(text, "--for") if text else 0


LEVERS = {
    "pin": ("Hold the route as it is: no release moves it.", ""),
    "unpin": ("Let releases move the route again.", ""),
    "kill": ("Stop answering with the model; callers get the fallback.", ""),
    "unkill": ("Answer with the model again.", ""),
    "disable-feature": ("Feed a feature (view.feature or view.*) as missing.", "The feature: view.feature or view.*."),
    "enable-feature": ("Use a disabled feature again.", "The feature: view.feature or view.*."),
    "freeze": ("Start no release here until unfrozen.", ""),
    "unfreeze": ("Allow releases again.", ""),
    "pause": ("Hold the release under way at its weight.", ""),
    "resume": ("Let a paused release go on.", ""),
    "abort": ("End the release under way; the champion answers everyone.", ""),
}
"""Verb to what it does, and what its argument is (empty: it takes none)."""


def _add_lever(app: typer.Typer, lever: str, what: str, argument_is: str) -> None:
    def pull(endpoint: str, argument: str, reason: str, environment: str, json_output: bool, for_: str = "") -> None:
        if lever.endswith("-feature") and not argument:
            raise InvalidInput(
                "which feature?", where=lever, expected="view.feature or view.*", next_step=f"lever {lever} {endpoint} VIEW.*"
            )
        for_us, why = for_asked(for_), reason or f"{lever} from the command line"
        with connect() as client:
            asked = client.release.operate(environment, endpoint, lever, argument, why, for_us=for_us)
            shown = followed(client, asked)
        if not json_output:
            say(f"{lever}: done" + (f", for {span_words(for_us)}" if for_us else ""))
        print_endpoint(shown, json_output)

    def plain(endpoint: EndpointName, reason: Reason = "", environment: Environment = "prod", json_output: Json = False) -> None:
        pull(endpoint, "", reason, environment, json_output)

    def with_argument(
        endpoint: EndpointName,
        argument: Annotated[str, typer.Argument(help=argument_is)] = "",
        reason: Reason = "",
        environment: Environment = "prod",
        json_output: Json = False,
    ) -> None:
        pull(endpoint, argument, reason, environment, json_output)

    def for_a_time(
        endpoint: EndpointName, for_: For = "", reason: Reason = "", environment: Environment = "prod", json_output: Json = False
    ) -> None:
        pull(endpoint, "", reason, environment, json_output, for_)

    def with_argument_for_a_time(
        endpoint: EndpointName,
        argument: Annotated[str, typer.Argument(help=argument_is)] = "",
        for_: For = "",
        reason: Reason = "",
        environment: Environment = "prod",
        json_output: Json = False,
    ) -> None:
        pull(endpoint, argument, reason, environment, json_output, for_)

    timed, untimed = (with_argument_for_a_time, with_argument) if argument_is else (for_a_time, plain)
    app.command(lever, help=what, rich_help_panel=LEVER_PANEL)(timed if lever in TIMED_LEVERS else untimed)


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    for lever, (what, argument_is) in LEVERS.items():
        _add_lever(app, lever, what, argument_is)
