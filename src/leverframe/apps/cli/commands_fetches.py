"""``lever data fetches``."""

from typing import TYPE_CHECKING, Annotated

import typer

from leverframe.apps.cli.commands_data import data
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.fetch_progress import conclude, followed
from leverframe.apps.cli.output import Json, print_list
from leverframe.core.digest import short

if TYPE_CHECKING:
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
    columns = ("fetch", "into", "source", "state", "began", "#rows read", "#seconds", "reached", "became")
    empty = "none yet. next: lever data ingest DATASET --source NAME"
    print_list(found, json_output, "Fetches", columns, _row, empty=empty)


def _row(job: "FetchJob") -> tuple[object, ...]:
    from leverframe.apps.console.words import moment

    what = f"{job.source} {job.pattern}".strip() + (" whole" if job.full else "")
    state, became = job.status.replace("_", " "), job.failure or short(job.snapshot)
    return job.id, job.dataset, what, state, moment(job.started_at_us), job.rows, f"{job.seconds:.3g}", job.reached, became


def register(app: typer.Typer) -> None:
    """The verb hangs under ``lever data``; ``app`` has it already."""
