"""``lever data fetches``."""

from typing import TYPE_CHECKING, Annotated

import typer

from leverframe.apps.cli.commands_data import data
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.fetch_progress import conclude, followed
from leverframe.apps.cli.output import Json, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leverframe.data.sources.fetch_jobs import FetchJob


@data.command("fetches")
def fetches(
    dataset: Annotated[str, typer.Argument(help="Into this dataset (none: all).")] = "",
    attach: Annotated[str, typer.Option(help="Follow this fetch.")] = "",
    json_output: Json = False,
) -> None:
    """Fetches of registered sources: how far, how they ended."""
    with connect() as client:
        if attach:
            conclude(client, followed(client, client.sources.fetch_job(attach), quiet=json_output), json_output)
            return
        found = client.sources.fetches(dataset)
    if json_output:
        print_json(found)
    else:
        _print(found)


def _print(found: "Sequence[FetchJob]") -> None:
    from leverframe.apps.console.words import moment

    rows = (
        (
            job.id,
            job.dataset,
            f"{job.source} {job.pattern}".strip() + (" whole" if job.full else ""),
            job.status.replace("_", " "),
            moment(job.started_at_us),
            f"{job.rows:,}",
            f"{job.seconds:.3g}",
            job.reached,
            job.failure or job.snapshot[:19],
        )
        for job in found
    )
    columns = ("fetch", "into", "source", "state", "began", "#rows read", "#seconds", "reached", "became")
    print_table("Fetches", columns, rows, empty="none yet. next: lever data ingest DATASET --source NAME")


def register(app: typer.Typer) -> None:
    """The verb hangs under ``lever data``; ``app`` has it already."""
