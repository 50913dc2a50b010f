"""``lever reproduce``."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from leverframe.apps.cli.commands_training import PANEL
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.exit_codes import INTERNAL, REFUSED
from leverframe.apps.cli.output import Json, console, print_json, say

if TYPE_CHECKING:
    from leverframe.training.reproduction_commands import ReproductionRecord

LOOK_SECONDS = 0.5


def reproduce(
    version: Annotated[str, typer.Argument(help="A version that was trained here, such as flight-delay@v2.")],
    show: Annotated[bool, typer.Option("--show", help="What came of it last time.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start and return at once.")] = False,
    json_output: Json = False,
) -> None:
    """Make a version again from its lineage: bit-identical, or what differs (exit code 3), or which of its rows were deleted since (3)."""
    with connect() as client:
        found = client.training.reproduction(version) if show else client.training.reproduce(version)
        try:
            with console().status(f"{version} is made again; Ctrl-C leaves it running"):
                while found.status == "running" and not (show or detach):
                    time.sleep(LOOK_SECONDS)
                    found = client.training.reproduction(version)
        except KeyboardInterrupt:
            typer.echo(f"\nit goes on.\nnext: lever reproduce {version} --show", err=True)
            raise typer.Exit(0) from None
    if json_output:
        print_json(found)
    else:
        _print(found)
    if found.status == "failed":
        raise typer.Exit(INTERNAL)
    if found.status in ("differs", "rows_deleted"):
        raise typer.Exit(REFUSED)


def _print(found: "ReproductionRecord") -> None:
    from leverframe.apps.console.words import reproduction_sentence

    say(f"{found.version}: {reproduction_sentence(found)}")
    for title, lines in (
        ("deleted since", found.deleted),
        ("differs", found.differences),
        ("changed around it", found.changes),
        ("still proven", found.proven),
    ):
        if lines:
            say(title, *(f"  {line}" for line in lines))
    if found.status == "running":
        say(f"next: lever reproduce {found.version} --show")


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command(rich_help_panel=PANEL)(reproduce)
