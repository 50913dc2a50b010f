"""``lever up``, ``demo``, ``login``, ``status``, ``doctor``."""

from pathlib import Path
from typing import Annotated

import typer

from leverframe.apps.cli.connection import DEFAULT_URL, connect, home_folder, save
from leverframe.apps.cli.exit_codes import REFUSED
from leverframe.apps.cli.output import Json, print_json, print_table, say

HERE = "This machine"


def up(
    home: Annotated[Path | None, typer.Option(help="Folder of the installation (default: LEVER_HOME or .leverframe).")] = None,
    host: Annotated[str, typer.Option(help="Address of control API and console.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of control API and console.")] = 8400,
    gateway_port: Annotated[int, typer.Option(help="Port of the gateway.")] = 8401,
    json_output: Json = False,
) -> None:
    """Start control API, console, worker and gateway under one supervisor; prints a one-time token at the first start."""
    from leverframe.apps import supervisor

    raise typer.Exit(supervisor.up(home or home_folder(), host, port, gateway_port, json_output))


def demo(
    home: Annotated[Path | None, typer.Option(help="Folder to run in (default: a temporary one).")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running afterwards.")] = False,
    json_output: Json = False,
) -> None:
    """Run the whole ring on real flights: data, features, training, release, a bad model taken back, a broken feed named."""
    from leverframe.apps.demo import story

    raise typer.Exit(story.run(home, keep, json_output))


def login(
    url: Annotated[str, typer.Argument(help="Address of the control plane.")] = DEFAULT_URL,
    token: Annotated[str, typer.Option(help="The token; asked for when missing.", envvar="LEVER_TOKEN")] = "",
    json_output: Json = False,
) -> None:
    """Keep an address and a token for the other commands, after checking that they work."""
    from leverframe.apps.client import Client

    given = token or typer.prompt("Token", hide_input=True)
    with Client(url, given) as client:
        actor = client.access.whoami()
    path = save(home_folder(), url, given)
    if json_output:
        print_json({"url": url, "subject": actor.subject, "roles": actor.roles, "file": str(path)})
    else:
        say(f"Signed in to {url} as {actor.subject} ({', '.join(actor.roles) or 'no role'}). Kept in {path}.")


def status(json_output: Json = False) -> None:
    """Is everything all right? What changed? What needs me?"""
    from leverframe.apps.console.words import ago, deed, moment, subject

    with connect() as client:
        seen = client.status()
    if json_output:
        print_json(seen)
        return
    say(f"{'OK' if seen.ok else 'ATTENTION'}  {seen.sentence}  ({moment(seen.now_us)}, {seen.clock} clock)")
    for need in seen.needs:
        say(f"needs you: {need.get('what', '')}", *([f"  next: {need['command']}"] if need.get("command") else []))
    asked_for = {need.get("what") for need in seen.needs}
    for alert in seen.alerts:
        if alert.closed_at_us is None and alert.title not in asked_for:
            say(f"{alert.severity}: {alert.title} (opened {ago(alert.opened_at_us, seen.now_us)}; lever diagnose {alert.endpoint})")
    print_table(
        "Endpoints: desired (ledger) and running (gateway)",
        ("endpoint", "arms", "#desired", "#running", "#served", "#logged", "#dropped"),
        (
            (
                f"{e.environment}/{e.endpoint.name}",
                ", ".join(f"{arm.version} {arm.role} {arm.weight:g} %" for arm in e.endpoint.arms),
                e.generation_desired,
                "–" if e.generation_running is None else e.generation_running,
                e.served,
                e.logged,
                e.dropped,
            )
            for e in seen.endpoints
        ),
        empty="none yet. next: lever release plan MODEL@v1 --strategy initial",
    )
    print_table(
        "Last changes",
        ("#seq", "when", "who", "did", "to"),
        ((str(c.seq), moment(c.at_us), c.actor, deed(c.summary) or c.action, subject(c.resource)) for c in seen.changes),
        empty="none yet.",
    )


def doctor(json_output: Json = False) -> None:
    """Check clock, disk, durability, exposure, credentials, reachability and the age of the last route."""
    with connect() as client:
        checks = client.doctor()
    if json_output:
        print_json(checks)
    else:
        rows = (("ok" if c.ok else "LOOK", c.name, c.detail, c.fix) for c in checks)
        print_table("Health checks", ("", "check", "seen", "what to do"), rows)
    if not all(check.ok for check in checks):
        raise typer.Exit(REFUSED)


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    for verb in (up, demo, login, status, doctor):
        app.command(rich_help_panel=HERE)(verb)
