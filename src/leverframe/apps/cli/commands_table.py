"""``lever table``: batch tables, whose readers see one scored output until a compared and approved switch shows them another."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leverframe.apps.cli.connection import connect, home_folder, load
from leverframe.apps.cli.exit_codes import REFUSED
from leverframe.apps.cli.output import Json, print_json, print_table, say, write_file
from leverframe.core.clock import DAY_US
from leverframe.core.digest import short
from leverframe.core.errors import NotFound

if TYPE_CHECKING:
    from leverframe.apps.client import Client
    from leverframe.apps.platform.views.tables import TableView
    from leverframe.apps.scoring.tables import Batch, TableScoring
    from leverframe.core.actor import Actor
    from leverframe.core.verdict import Verdict

PANEL = "Release"
table = typer.Typer(
    help="Tables that a model scores in batches: compare a new version, switch readers to it, and back.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="The table's name.")]
PlanDigest = Annotated[str, typer.Argument(help="The plan's digest, or its first 8 hex digits.")]
Input = Annotated[Path, typer.Argument(metavar="INPUT", help="The batch, a Parquet file.")]
AsOf = Annotated[str, typer.Option("--as-of", help="Column of each row's moment: features as they were known then.")]
Now = Annotated[bool, typer.Option("--now", help="Features as the online store has them now.")]
RowId = Annotated[str, typer.Option("--id", help="Column that names a row; must be unique.")]
Keep = Annotated[list[str] | None, typer.Option("--keep", help="Further input column for the output; repeatable.")]
Workers = Annotated[int, typer.Option("--workers", help="Threads; 0: one a core.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(table, name="table", rich_help_panel=PANEL)


@contextmanager
def _opened() -> "Iterator[tuple[TableScoring, Actor]]":
    """This machine's installation, as ``lever score`` opens it."""
    from leverframe.apps.scoring.job import Scoring
    from leverframe.apps.scoring.tables import TableScoring
    from leverframe.apps.settings import Settings

    _, token = load(home_folder())
    settings = Settings()
    with Scoring(settings) as scoring:
        yield TableScoring(settings, scoring), scoring.authenticate(token)


def _batch(file: Path, as_of: str, now: bool, id_: str, keep: list[str] | None, workers: int) -> "Batch":
    from leverframe.apps.scoring.tables import Batch

    return Batch(
        file=file, as_of=as_of, now=now, id_column=id_, keep=tuple(keep or ()), workers=workers if workers > 0 else os.cpu_count() or 1
    )


def _print_verdicts(verdicts: "tuple[Verdict, ...]") -> None:
    rows = [(each.rule, each.answer, each.reason, each.next_step) for each in verdicts]
    print_table("Live and candidate side by side", ("Rule", "Answer", "Seen", "Next"), rows)


@table.command("write")
def write(
    name: Name,
    file: Input,
    version: Annotated[str, typer.Option(help="The version that begins the table, such as flight-delay@v2; later: the table's own.")] = "",
    as_of: AsOf = "",
    now: Now = False,
    id_: RowId = "",
    keep: Keep = None,
    workers: Workers = 0,
    json_output: Json = False,
) -> None:
    """Score a batch here with the version that makes the table, and let readers see it."""
    with _opened() as (tables, actor):
        written = tables.write(actor, name, _batch(file, as_of, now, id_, keep, workers), version=version)
    if json_output:
        print_json(written)
    else:
        seen = written.current
        say(f"{name}: readers see {seen.rows:,} rows ({seen.scored:,} scored) by {seen.version}", f"digest {seen.digest}")


@table.command("plan")
def make_plan(
    name: Name,
    file: Input,
    candidate: Annotated[str, typer.Option(help="The version to try, such as flight-delay@v2.")],
    as_of: AsOf = "",
    now: Now = False,
    id_: RowId = "",
    keep: Keep = None,
    workers: Workers = 0,
    missing_max: Annotated[int, typer.Option(help="Rows that one table may lack.")] = 0,
    lost_max: Annotated[float, typer.Option(help="Share of rows that may lose their answer.")] = 0.0,
    shift_mean_max: Annotated[float, typer.Option(help="Mean absolute difference of scores.")] = 0.05,
    shift_largest_max: Annotated[float, typer.Option(help="Largest absolute difference of scores.")] = 0.5,
    crossed_max: Annotated[float, typer.Option(help="Share of rows that may cross the cut.")] = 0.05,
    cut: Annotated[float, typer.Option(help="Score at which readers decide.")] = 0.5,
    brier_margin: Annotated[float, typer.Option(help="How much larger the Brier loss may be, where labels are known.")] = 0.01,
    log_loss_margin: Annotated[float, typer.Option(help="How much larger the log loss may be, where labels are known.")] = 0.03,
    confidence: Annotated[float, typer.Option(help="Of the losses' intervals.")] = 0.95,
    rows_min: Annotated[int, typer.Option(help="Fewer answered rows prove nothing.")] = 100,
    labels_min: Annotated[int, typer.Option(help="Fewer labels prove nothing.")] = 100,
    watch_days: Annotated[float, typer.Option(help="How long labels that come after the switch may take it back.")] = 14.0,
    note: Annotated[str, typer.Option(help="Kept with the plan.")] = "",
    json_output: Json = False,
) -> None:
    """Score one batch here with the table's version and the candidate, compare both, write the switch down; exit 3 unless it passes."""
    from leverframe.release.tables.limits import Limits

    limits = Limits(
        missing=missing_max,
        lost=lost_max,
        shift_mean=shift_mean_max,
        shift_largest=shift_largest_max,
        crossed=crossed_max,
        cut=cut,
        brier=brier_margin,
        log_loss=log_loss_margin,
        confidence=confidence,
        rows_min=rows_min,
        labels_min=labels_min,
    )
    with _opened() as (tables, actor):
        plan = tables.plan(
            actor, name, candidate, _batch(file, as_of, now, id_, keep, workers), limits, note=note, watch_us=round(watch_days * DAY_US)
        )
    if json_output:
        print_json({"digest": plan.digest, "answer": plan.answer, "compared": plan.compared, "plan": plan})
    else:
        say(f"Plan {short(plan.digest)}: {name} from {plan.live.version} to {plan.answers.version}", f"digest {plan.digest}")
        _print_verdicts(plan.verdicts)
        say(f"{plan.answer}; comparison {plan.compared}")
        if plan.answer == "pass":
            say(f"next: lever table approve {name} {short(plan.digest)}")
    if plan.answer != "pass":
        raise typer.Exit(REFUSED)


@table.command("list")
def list_tables(json_output: Json = False) -> None:
    """All tables, and what readers of each see."""
    with connect() as client:
        found = client.tables.list()
    if json_output:
        print_json(found)
        return
    rows = [(each.name, each.current.version, f"{each.current.rows:,}", short(each.current.digest), each.event) for each in found]
    print_table(
        "Tables", ("Table", "Version", "Rows", "Digest", "Last"), rows, empty="No table yet: lever table write NAME INPUT --version"
    )


@table.command("show")
def show(name: Name, json_output: Json = False) -> None:
    """One table: what readers see, who changed it when and why, and the plans that wait."""
    with connect() as client:
        found = client.tables.get(name)
    if json_output:
        print_json(found)
    else:
        _print_show(found)


def _print_show(found: "TableView") -> None:
    from leverframe.apps.console.words import moment

    current = found.table.current
    say(f"{found.table.name}: readers see {current.rows:,} rows by {current.version}", f"digest {current.digest}")
    if found.watched:
        say(found.watched)
    rows = [
        (moment(e.at_us), e.event, e.version, short(e.digest), e.actor, e.reason or (f"plan {short(e.plan)}" if e.plan else ""))
        for e in found.history
    ]
    print_table("History", ("When", "What", "Version", "Digest", "By", "Why"), rows)
    for waiting in found.plans:
        if waiting.switched or waiting.stale:
            continue
        say("", f"Plan {short(waiting.digest)}: to {waiting.plan.answers.version}, {waiting.answer}")
        _print_verdicts(waiting.plan.verdicts)
        say(f"approvals: {len(waiting.approvals)} of {waiting.needed} ({', '.join(waiting.approvals) or 'nobody yet'})")
        say(*(f"missing: {item}" for item in waiting.missing))


def _digest(text: str, known: "Callable[[], Iterable[str]]") -> str:
    """The one digest of ``known`` that begins like ``text``; a whole one is not looked up."""
    start = text.removeprefix("sha256:")
    if len(start) == 64:
        return f"sha256:{start}"
    found = {digest for digest in known() if len(start) >= 8 and digest.startswith(f"sha256:{start}")}
    if len(found) != 1:
        raise NotFound("not exactly one begins like this", where=text[:80], expected="at least 8 hex digits", got=f"{len(found)} of them")
    return found.pop()


def _plan_digest(client: "Client", name: str, text: str) -> str:
    return _digest(text, lambda: [plan.digest for plan in client.tables.get(name).plans])


@table.command("approve")
def approve(
    name: Name, digest: PlanDigest, note: Annotated[str, typer.Option(help="Kept with the approval.")] = "", json_output: Json = False
) -> None:
    """Approve exactly this switch."""
    with connect() as client:
        plan = client.tables.approve(name, _plan_digest(client, name, digest), note)
    if json_output:
        print_json(plan)
    else:
        say(f"Approved {plan.digest}; what readers will see is exactly this.", *(f"missing: {item}" for item in plan.missing))
        say(f"next: lever table {'approve' if plan.missing else 'switch'} {name} {short(plan.digest)}")


@table.command("switch")
def switch(name: Name, digest: PlanDigest, json_output: Json = False) -> None:
    """Let readers see what was compared and approved."""
    with connect() as client:
        found = client.tables.switch(name, _plan_digest(client, name, digest))
    _said(found, json_output)


@table.command("rollback")
def rollback(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why; the record keeps it.")],
    to: Annotated[str, typer.Option(help="Digest of an earlier output, or its first 8 hex digits; default: the one before.")] = "",
    json_output: Json = False,
) -> None:
    """Let readers see again what they saw before: no gates, one write."""
    with connect() as client:
        earlier = _digest(to, lambda: [output.digest for output in client.tables.get(name).table.earlier]) if to else ""
        found = client.tables.rollback(name, reason, to=earlier)
    _said(found, json_output)


def _said(found: "TableView", json_output: bool) -> None:
    if json_output:
        print_json(found)
        return
    current = found.table.current
    say(f"{found.table.name}: readers see {current.rows:,} rows by {current.version}", f"digest {current.digest}")


@table.command("read")
def read(
    name: Name,
    out: Annotated[Path, typer.Option("--out", "-o", help="Parquet file to write.")],
    json_output: Json = False,
) -> None:
    """Write what readers of the table see to a file."""
    from leverframe.core.digest import digest_bytes

    with connect() as client:
        data = client.tables.read(name)
    write_file(out, data)
    if json_output:
        print_json({"file": str(out), "bytes": len(data), "digest": digest_bytes(data)})
    else:
        say(f"{out}: {len(data):,} bytes, {digest_bytes(data)}")
