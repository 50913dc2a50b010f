"""A fetch of a registered source, followed on a terminal to its end."""

import time
from typing import TYPE_CHECKING

import typer

from leverframe.apps.cli.exit_codes import INTERNAL, REFUSED
from leverframe.apps.cli.ingest_report import print_report
from leverframe.apps.cli.output import print_json, say

if TYPE_CHECKING:
    from leverframe.apps.client import Client
    from leverframe.data.sources.fetch_jobs import FetchJob

LOOK_SECONDS = 0.25


def followed(client: "Client", job: "FetchJob", *, quiet: bool) -> "FetchJob":
    """Look at a fetch until it is over, with a bar that moves a piece at a time."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=30), TimeElapsedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
            bar = progress.add_task(job.source, total=None)
            while job.status == "running":
                said = f"{job.source}  {job.rows:,} rows{f', up to {job.reached}' if job.reached else ''}"
                progress.update(bar, completed=job.pieces_done, total=job.pieces or None, description=said)
                time.sleep(LOOK_SECONDS)
                job = client.sources.fetch_job(job.id)
    except KeyboardInterrupt:
        typer.echo(f"\nit goes on.\nnext: lever data fetches --attach {job.id}", err=True)
        raise typer.Exit(0) from None
    return job


def conclude(client: "Client", job: "FetchJob", json_output: bool) -> None:
    """Say how a fetch ended: the contract's report where there is one, and the exit code that goes with it."""
    if json_output:
        print_json(job)
    elif job.status in ("done", "refused"):
        names = {job.snapshot, job.quarantine} - {""}
        told = client.data.reports(job.dataset)
        report = next((each for each in told if names & {each.snapshot.digest if each.snapshot else "", each.quarantine}), None)
        if report is not None:
            print_report(report)
    elif job.status == "nothing_new":
        say(f"nothing is new in {job.source}")
    elif job.status == "running":
        say(f"{job.id} is under way", f"next: lever data fetches --attach {job.id}")
    if job.status in ("failed", "superseded"):
        typer.echo(f"{job.id} {job.status}: {job.failure}", err=True)
        raise typer.Exit(INTERNAL)
    if job.status == "refused":
        raise typer.Exit(REFUSED)
