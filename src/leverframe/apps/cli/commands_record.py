"""``lever alerts``, ``diagnose``, ``audit`` and ``token``."""

import sys
from pathlib import Path
from typing import Annotated, get_args

import typer

from leverframe.apps.cli.connection import connect, home_folder
from leverframe.apps.cli.exit_codes import REFUSED
from leverframe.apps.cli.output import Json, print_json, print_table, say
from leverframe.core.digest import short
from leverframe.core.errors import InvalidInput
from leverframe.core.route import Priority

WATCH_PANEL = "Watch"
PANEL = "Record and access"
audit = typer.Typer(help="The hash-chained record of every change.", no_args_is_help=True)
token = typer.Typer(help="Tokens: who may do what.", no_args_is_help=True)


def alerts(open_only: Annotated[bool, typer.Option("--open", help="Only those still open.")] = False, json_output: Json = False) -> None:
    """Alerts: signals grouped by their likely origin."""
    from leverframe.apps.console.words import moment

    with connect() as client:
        found = client.monitoring.alerts(open_only)
    if json_output:
        print_json(found)
        return
    rows = (
        (a.severity, a.endpoint, a.title, len(a.signals), moment(a.opened_at_us), moment(a.closed_at_us) if a.closed_at_us else "open")
        for a in found
    )
    empty = "none is open." if open_only else "there never was one."
    print_table("Alerts", ("severity", "endpoint", "what", "#signals", "opened", "closed"), rows, empty=empty)


def diagnose(endpoint: Annotated[str, typer.Argument(help="Name of the endpoint.")], json_output: Json = False) -> None:
    """Rank what may be wrong, with the evidence and the lever to pull."""
    with connect() as client:
        found = client.monitoring.diagnose(endpoint)
    if json_output:
        print_json(found)
        return
    say(found.sentence, *([""] if found.causes else []))
    for place, cause in enumerate(found.causes, 1):
        say(f"{place}. {cause.kind.replace('_', ' ')}: {cause.subject}  ({cause.score:.2f})", *(f"     {line}" for line in cause.evidence))
        if cause.lever:
            say(f"   next: {cause.lever}")


@audit.command("list")
def list_entries(
    after: Annotated[int, typer.Option(help="Only entries after this number, oldest first.")] = 0,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=1000)] = 30,
    json_output: Json = False,
) -> None:
    """The newest entries of the record."""
    from leverframe.apps.console.words import deed, moment, subject

    with connect() as client:
        found = client.audit.entries(after=after, limit=limit, newest_first=not after)
    if json_output:
        print_json(found)
        return
    rows = ((str(e.seq), moment(e.at_us), e.actor, deed(e.summary) or e.action, subject(e.resource), short(e.hash)) for e in found)
    print_table("The record", ("#seq", "when", "who", "did", "to", "hash"), rows, empty="nothing happened yet.")


@audit.command("verify")
def verify(
    file: Annotated[Path | None, typer.Option(help="Verify this exported file, here, without any server.")] = None,
    database: Annotated[Path | None, typer.Option(help="Verify this copy of a SQLite ledger, here, without any server.")] = None,
    checkpoint: Annotated[list[Path] | None, typer.Option(help="A checkpoint kept off-host; repeatable.")] = None,
    keys: Annotated[Path | None, typer.Option(help="Folder of public keys (default: LEVER_HOME/keys). With --file or --database.")] = None,
    json_output: Json = False,
) -> None:
    """Recompute the whole chain: exit code 0 when it holds, 3 when not. A checkpoint kept elsewhere shows what was cut or rolled back."""
    from leverframe.apps.cli.offline_audit import read_envelopes, verify_copy, verify_file

    if file is not None or database is not None:
        offline = verify_file if file is not None else verify_copy
        seen = offline(file or database or Path(), keys or home_folder() / "keys", checkpoint or ())
    else:
        with connect() as client:
            seen = client.audit.verify(read_envelopes(checkpoint or ()))
    if json_output:
        print_json(seen)
    elif seen.ok:
        say(f"{seen.entries:,} entries in {seen.seconds:.3f} s: {seen.what or 'the chain holds'}.")
    else:
        typer.echo(f"The chain is broken at entry {seen.first_bad_seq}: {seen.what}", err=True)
        typer.echo("next: lever audit export > now.jsonl, and compare it with the last copy kept elsewhere", err=True)
    if not seen.ok:
        raise typer.Exit(REFUSED)


@audit.command("checkpoint")
def checkpoint_now(
    out: Annotated[Path | None, typer.Option("--output", "-o", help="File to write (default: standard output).")] = None,
    json_output: Json = False,
) -> None:
    """A signed statement of where the chain ends now; keep it on another host."""
    with connect() as client:
        envelope = client.audit.checkpoint()
    if out is not None:
        out.write_bytes(envelope)
    if json_output:
        print_json({"checkpoint": envelope.decode(), "file": str(out) if out is not None else ""})
    elif out is None:
        sys.stdout.buffer.write(envelope)
    else:
        say(f"{out}: keep it where nobody who can reach this ledger can reach it", f"next: lever audit verify --checkpoint {out}")


@audit.command("export")
def export(
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write (default: standard output).")] = None,
    json_output: Json = False,
) -> None:
    """The whole chain as JSON lines, to be kept and verified elsewhere."""
    with connect() as client:
        content = client.audit.export()
    if out is not None:
        out.write_bytes(content)
        entries = sum(line.startswith(b'{"type":"entry"') for line in content.splitlines())
        if json_output:
            print_json({"file": str(out), "entries": entries})
        else:
            say(f"{entries:,} entries in {out}", f"next: lever audit verify --file {out}")
    elif json_output:
        print_json([line.decode() for line in content.splitlines()])
    else:
        sys.stdout.buffer.write(content)


@token.command("issue")
def issue(
    subject: Annotated[str, typer.Argument(help="Whom the token speaks for.")],
    role: Annotated[list[str], typer.Option("--role", help="A role; repeatable.")],
    team: Annotated[list[str] | None, typer.Option("--team", help="A team; repeatable.")] = None,
    days: Annotated[int, typer.Option(help="Days until it expires.", min=1, max=366)] = 90,
    priority: Annotated[str, typer.Option(help="high, normal or low: whose requests a gateway with too many refuses last.")] = "normal",
    per_second: Annotated[float, typer.Option("--per-second", help="Requests a second at a gateway; 0: any number.", min=0.0)] = 0.0,
    burst: Annotated[float, typer.Option("--burst", help="Requests that may come at once; 0: one second's worth.", min=0.0)] = 0.0,
    json_output: Json = False,
) -> None:
    """Make a token; its secret is shown this once."""
    known: dict[str, Priority] = {name: name for name in get_args(Priority)}
    if priority not in known:
        raise InvalidInput("no such priority", where="--priority", expected="high, normal or low", got=priority[:40])
    with connect() as client:
        made = client.access.issue(subject, role, team or (), days=days, priority=known[priority], per_second=per_second, burst=burst)
    if json_output:
        print_json(made)
    else:
        say(f"token {made.id} for {made.subject} ({', '.join(made.roles)}), shown this once:", made.secret)


@token.command("list")
def list_tokens(json_output: Json = False) -> None:
    """Every live token, without secrets."""
    from leverframe.apps.console.endpoint_words import quota_words
    from leverframe.apps.console.words import moment

    with connect() as client:
        found = client.access.tokens()
    if json_output:
        print_json(found)
    else:
        rows = (
            (t.id, t.subject, ", ".join(t.roles), ", ".join(t.teams), t.priority, quota_words(t.quota), moment(t.expires_at_us))
            for t in found
        )
        print_table("Tokens", ("id", "subject", "roles", "teams", "priority", "quota", "expires"), rows, empty="none.")


@token.command("revoke")
def revoke(token_id: Annotated[str, typer.Argument(help="The token's id.")], json_output: Json = False) -> None:
    """End a token now."""
    with connect() as client:
        client.access.revoke(token_id)
    if json_output:
        print_json({"revoked": token_id})
    else:
        say(f"{token_id} is revoked.")


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    for verb in (alerts, diagnose):
        app.command(rich_help_panel=WATCH_PANEL)(verb)
    app.add_typer(audit, name="audit", rich_help_panel=PANEL)
    app.add_typer(token, name="token", rich_help_panel=PANEL)
