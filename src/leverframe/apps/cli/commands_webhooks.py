"""``lever webhooks``."""

from typing import Annotated

import typer

from leverframe.apps.cli.commands_record import PANEL
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.output import Json, print_json, print_table, say

webhooks = typer.Typer(help="Who is told of what happens: signed CloudEvents to hosts that the operator listed.", no_args_is_help=True)


@webhooks.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    url: Annotated[str, typer.Argument(help="Where events go; its host must be one of LEVER_EGRESS_HOSTS.")],
    types: Annotated[list[str] | None, typer.Option("--type", help="Such as release.*, alert.raised or *; repeatable.")] = None,
    json_output: Json = False,
) -> None:
    """Tell an address of what happens from now on; by default of releases, approvals, contracts and alerts."""
    with connect() as client:
        added = client.webhooks.add(name, url, types or ())
    if json_output:
        print_json(added)
    else:
        say(f"{added.name}: {added.host} is told of {', '.join(added.types)} from now on.", "next: lever webhooks list")


@webhooks.command("list")
def list_webhooks(json_output: Json = False) -> None:
    """Every webhook, how its deliveries go, and its dead letters."""
    with connect() as client:
        found = client.webhooks.webhooks()
    if json_output:
        print_json(found)
        return
    rows = ((h.name, h.host, ", ".join(h.types), h.read_seq, h.waiting, h.dead, h.said) for h in found)
    columns = ("webhook", "to", "events", "#told up to entry", "#waiting", "#dead", "last failure")
    print_table("Webhooks", columns, rows, empty="none yet. next: lever webhooks add NAME URL")
    letters = [(h.name, letter.id, letter.type, letter.attempts, letter.said) for h in found for letter in h.letters]
    if letters:
        print_table("Dead letters", ("webhook", "event", "type", "#attempts", "said"), letters)
        say("next: lever webhooks retry NAME")


@webhooks.command("remove")
def remove(name: Annotated[str, typer.Argument(help="The webhook.")], json_output: Json = False) -> None:
    """Tell nobody there any more; what waits is dropped."""
    with connect() as client:
        said = client.webhooks.remove(name)
    if json_output:
        print_json(said)
    else:
        say(f"{name}: removed.")


@webhooks.command("retry")
def retry(name: Annotated[str, typer.Argument(help="The webhook.")], json_output: Json = False) -> None:
    """Try the dead letters of a webhook again."""
    with connect() as client:
        said = client.webhooks.retry(name)
    if json_output:
        print_json(said)
    else:
        say(f"{name}: its dead letters are tried again.")


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    app.add_typer(webhooks, name="webhooks", rich_help_panel=PANEL)
