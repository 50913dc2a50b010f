"""``lever history``, ``lever release history`` and ``lever release correct``."""

from typing import TYPE_CHECKING, Annotated

import typer

from leverframe.apps.cli.commands_release import PANEL, EndpointName, release
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.moments import moment_us
from leverframe.apps.cli.output import Environment, Json, print_facts, print_json, say
from leverframe.core.errors import InvalidInput

if TYPE_CHECKING:
    from leverframe.apps.platform.views import HistoryEntry


def history(
    endpoint: EndpointName,
    at: Annotated[str, typer.Option(help="Moment (ISO 8601); default: the whole history.")] = "",
    as_known_at: Annotated[str, typer.Option("--as-known-at", help="What was believed then about --at; default: what is known now.")] = "",
    environment: Environment = "prod",
    json_output: Json = False,
) -> None:
    """What was live, when, by whose decision, on what approvals; also as it was known at an earlier moment."""
    with connect() as client:
        found = client.release.history(environment, endpoint, moment_us(at, "--at"), moment_us(as_known_at, "--as-known-at"))
    if json_output:
        print_json(found)
        return
    say(f"{environment}/{endpoint}" + (f" at {at}" if at else "") + (f", as known at {as_known_at}" if as_known_at else ""))
    for entry in found:
        _print(entry)


def _print(entry: "HistoryEntry") -> None:
    from leverframe.apps.console.words import duration, moment

    lasted = "" if entry.to_us is None else f"  ({duration(entry.to_us - entry.from_us)})"
    say("", f"{moment(entry.from_us)} to {moment(entry.to_us)}{lasted}" + ("  TOLD LATER" if entry.corrected else ""))
    facts = (
        ("  answers", ", ".join(entry.arms) or entry.version or "nobody"),
        ("  why", entry.reason or entry.action),
        ("  by", f"{entry.actor} ({entry.action}, entry {entry.seq} of the record)"),
        ("  approved by", ", ".join(entry.approvals) or "nobody"),
        ("  release", entry.release or "none"),
    )
    print_facts(facts)


def correct(
    endpoint: EndpointName,
    from_: Annotated[str, typer.Option("--from", help="First moment it was so (ISO 8601).")],
    until: Annotated[str, typer.Option(help="First moment it was so no more; not in the future.")],
    reason: Annotated[str, typer.Option("--reason", "-m", help="How it is known; the record keeps it.")],
    version: Annotated[str, typer.Option(help="The version that answered.")] = "",
    nobody: Annotated[bool, typer.Option("--nobody", help="Nothing answered.")] = False,
    environment: Environment = "prod",
    json_output: Json = False,
) -> None:
    """Tell later what really answered in a time that has passed; no route changes, and what was believed before stays readable."""
    from leverframe.apps.platform.views import CorrectionRequest

    if bool(version) == nobody:
        raise InvalidInput("who answered?", where="--version", expected="--version MODEL@vN, or --nobody")
    request = CorrectionRequest(
        version=version, from_us=moment_us(from_, "--from") or 0, until_us=moment_us(until, "--until") or 0, reason=reason
    )
    with connect() as client:
        found = client.release.correct_history(environment, endpoint, request)
    if json_output:
        print_json(found)
        return
    say("Written down; what was believed before stays readable with --as-known-at.")
    for entry in (each for each in found if each.corrected):
        _print(entry)


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    app.command(rich_help_panel=PANEL)(history)
    release.command("history")(history)
    release.command("correct")(correct)
