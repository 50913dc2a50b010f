"""``lever features materialize`` and ``jobs``: the online store, filled by durable jobs."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from leverframe.apps.cli.commands_features import features
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.exit_codes import INTERNAL
from leverframe.apps.cli.moments import moment_us
from leverframe.apps.cli.output import Json, print_json, print_table, say
from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leverframe.apps.client import Client
    from leverframe.features.materialization.jobs import JobRecord

LOOK_SECONDS = 0.25
STEPS_US = {"": 0, "hour": HOUR_US, "day": DAY_US, "week": 7 * DAY_US}


@features.command("materialize")
def materialize(
    names: Annotated[list[str] | None, typer.Argument(help="Views (none: all).")] = None,
    to: Annotated[str, typer.Option(help="Moment (ISO 8601) to bring the online store up to; default now.")] = "",
    full: Annotated[bool, typer.Option("--full", help="Everything anew instead of what changed.")] = False,
    backfill: Annotated[str, typer.Option(help="Everything that became known from this moment on, again.")] = "",
    partition: Annotated[str, typer.Option(help="Length of the partitions of a span: hour, day or week; default: one.")] = "",
    parts: Annotated[int, typer.Option(help="Ranges of keys of a full one; default: one for each two million rows.")] = 0,
    take_over: Annotated[bool, typer.Option("--take-over", help="End a job that is under way for the same view.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start and return at once.")] = False,
    json_output: Json = False,
) -> None:
    """Bring the online store up to a moment, by durable jobs, and follow them; Ctrl-C leaves them running."""
    from leverframe.apps.platform.views import MaterializeRequest

    if full and backfill:
        raise InvalidInput("which of the two?", where="lever features materialize", expected="--full, or --backfill MOMENT")
    if partition not in STEPS_US:
        raise InvalidInput("not a partition", where="--partition", expected=", ".join(filter(None, STEPS_US)), got=partition)
    request = MaterializeRequest(
        names=tuple(names or ()),
        to_us=moment_us(to, "--to"),
        mode="full" if full else "backfill" if backfill else "incremental",
        from_us=moment_us(backfill, "--backfill"),
        step_us=STEPS_US[partition],
        parts=parts,
        take_over=take_over,
    )
    with connect() as client:
        started = client.features.start(request)
        _conclude(started if detach else _followed(client, started, quiet=json_output), json_output)


@features.command("jobs")
def jobs(
    view: Annotated[str, typer.Argument(help="Of this view (none: all).")] = "",
    attach: Annotated[str, typer.Option(help="Follow this job.")] = "",
    json_output: Json = False,
) -> None:
    """Materialisation jobs: how far, how fast, what they cost."""
    with connect() as client:
        if attach:
            _conclude(_followed(client, (client.features.job(attach),), quiet=json_output), json_output)
        elif json_output:
            print_json(client.features.jobs(view))
        else:
            _print(client.features.jobs(view))


def _followed(client: "Client", started: "Sequence[JobRecord]", *, quiet: bool) -> "tuple[JobRecord, ...]":
    """Look at the jobs until all are over, with a bar each that moves a partition at a time."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn())
    jobs = {job.id: job for job in started}
    try:
        with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
            bars = {job.id: progress.add_task(job.view, total=None) for job in started}
            while True:
                for job in jobs.values():
                    rate = f"{job.rows_per_second:,.0f} rows/s" if job.rows else job.status
                    progress.update(
                        bars[job.id], completed=job.partitions_done, total=job.partitions or None, description=f"{job.view}  {rate}"
                    )
                if all(job.status != "running" for job in jobs.values()):
                    return tuple(jobs.values())
                time.sleep(LOOK_SECONDS)
                jobs = {id: client.features.job(id) if job.status == "running" else job for id, job in jobs.items()}
    except KeyboardInterrupt:
        typer.echo("\nthey go on:", err=True)
        for job in jobs.values():
            typer.echo(f"next: lever features jobs --attach {job.id}", err=True)
        raise typer.Exit(0) from None


def _conclude(ended: "Sequence[JobRecord]", json_output: bool) -> None:
    if json_output:
        print_json(ended)
    elif not ended:
        say("there is no feature view.", "next: lever apply PROJECT_DIR")
    else:
        _print(ended)
    failed = [job for job in ended if job.status in ("failed", "superseded")]
    for job in failed:
        typer.echo(f"{job.view} {job.id} {job.status}: {job.failure}", err=True)
    if failed:
        raise typer.Exit(INTERNAL)


def _print(found: "Sequence[JobRecord]") -> None:
    from leverframe.apps.console.words import moment

    rows = (
        (
            job.id,
            job.view,
            f"{job.mode} {job.status}",
            f"{job.partitions_done}/{job.partitions}",
            f"{job.rows:,}",
            f"{job.seconds:.3g}",
            f"{job.rows_per_second:,.0f}",
            f"{job.price:.6f}",
            f"{job.entities:,}",
            moment(job.watermark_us) if job.watermark_us else "",
        )
        for job in found
    )
    columns = ("job", "view", "what", "#parts", "#rows read", "#seconds", "#rows/s", "#price", "#written", "holds what had arrived by")
    print_table("Materialisations", columns, rows, empty="none yet. next: lever features materialize")


def register(app: typer.Typer) -> None:
    """The verbs are part of ``lever features``, which ``commands_features`` adds."""
