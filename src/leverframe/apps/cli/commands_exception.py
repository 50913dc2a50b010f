"""``lever exception``: from one rule, on one plan, for some days, with a reason."""

from typing import Annotated

import typer

from leverframe.apps.cli.commands_release import PANEL, PlanDigest, digest_of
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.output import Json, print_json, print_table, say

exception = typer.Typer(help="Exceptions from rules that plans must meet: who granted them, why, until when.", no_args_is_help=True)

Rule = Annotated[str, typer.Argument(help="The rule, as `lever release show` names it, such as evidence-runbook.")]


@exception.command("grant")
def grant(
    digest: PlanDigest,
    rule: Rule,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why; audit, evidence and console keep it.")],
    days: Annotated[float, typer.Option(help="How many days it is good for, at most 14.")] = 3.0,
    json_output: Json = False,
) -> None:
    """Let exactly this plan run although it does not meet exactly this rule; an approver's, and never the plan's author's."""
    from leverframe.apps.console.words import moment

    with connect() as client:
        granted = client.exceptions.grant(digest_of(client, digest), rule, reason, days=days)
    if json_output:
        print_json(granted)
    else:
        say(f"{granted.rule} does not hold up {granted.release} until {moment(granted.expires_us)}, by {granted.granter}'s word.")


@exception.command("list")
def list_exceptions(json_output: Json = False) -> None:
    """Every exception that was granted, in force or not."""
    from leverframe.apps.console.words import moment

    with connect() as client:
        found = client.exceptions.list()
    if json_output:
        print_json(found)
        return
    rows = (
        (
            e.release,
            e.rule,
            e.granter,
            moment(e.at_us),
            moment(e.expires_us),
            "yes" if e.in_force else "withdrawn" if e.withdrawn else "no",
            e.reason,
        )
        for e in found
    )
    print_table("Exceptions", ("plan", "rule", "granted by", "at", "until", "in force", "because"), rows, empty="none was granted.")


@exception.command("withdraw")
def withdraw(digest: PlanDigest, rule: Rule, json_output: Json = False) -> None:
    """End an exception now; the rule holds again."""
    with connect() as client:
        ended = client.exceptions.withdraw(digest_of(client, digest), rule)
    if json_output:
        print_json(ended)
    else:
        say(f"{ended.rule} holds for {ended.release} again.")


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    app.add_typer(exception, name="exception", rich_help_panel=PANEL)
