"""``lever data``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leverframe.apps.cli.commands_contracts import apply as apply_contracts
from leverframe.apps.cli.commands_contracts import read
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.exit_codes import REFUSED
from leverframe.apps.cli.ingest_report import print_report
from leverframe.apps.cli.output import Json, print_json, print_list, say
from leverframe.core.errors import InvalidInput

if TYPE_CHECKING:
    from leverframe.apps.client import Client
    from leverframe.apps.platform.views import DatasetView, IngestView

PANEL = "Data and features"
data = typer.Typer(help="Datasets: contracts, checked snapshots, and what was refused.", no_args_is_help=True)
contracts = typer.Typer(help="The same as lever contracts apply.", no_args_is_help=True)
contracts.command("apply")(apply_contracts)
data.add_typer(contracts, name="contracts")

PROGRESS_BYTES_MIN = 4_000_000
NO_DATA = "none yet. next: lever contracts apply FILE, then lever data ingest DATASET FILE"

Folder = Annotated[Path, typer.Argument(help="The project's folder.", exists=True, file_okay=False)]


@data.command("ingest")
def ingest(
    dataset: Annotated[str, typer.Argument(help="Name of the dataset.")],
    files: Annotated[list[Path] | None, typer.Argument(help="Parquet, CSV or JSON lines files; none with --source.")] = None,
    format: Annotated[str, typer.Option(help="parquet, csv or jsonl; by default from the file's ending.")] = "",
    append: Annotated[
        bool, typer.Option("--append", help="Add the rows to the newest snapshot; without, a file is the whole dataset.")
    ] = False,
    made_by: Annotated[
        list[str] | None, typer.Option("--made-by", help="A version whose predictions are among the rows, such as risk@v3; repeatable.")
    ] = None,
    source: Annotated[str, typer.Option(help="Fetch what is new in this registered source.")] = "",
    pattern: Annotated[str, typer.Option(help="Which objects of the source, such as 2026-05/*.parquet.")] = "",
    full: Annotated[bool, typer.Option("--full", help="Fetch all of the source, in the place of what is there.")] = False,
    take_over: Annotated[bool, typer.Option("--take-over", help="End a fetch into the dataset that is under way.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start fetching and return at once.")] = False,
    json_output: Json = False,
) -> None:
    """Offer files, or fetch a source: it becomes an immutable snapshot, or is quarantined with every fault listed (exit code 3)."""
    paths = files or []
    if bool(paths) == bool(source):
        got = "both" if paths else "neither"
        raise InvalidInput("take in what?", where="lever data ingest", expected="files, or --source NAME", got=got)
    if source:
        from leverframe.apps.cli.fetch_progress import conclude, followed

        with connect() as client:
            job = client.sources.fetch(dataset, source, pattern=pattern, full=full, take_over=take_over)
            conclude(client, job if detach else followed(client, job, quiet=json_output), json_output)
        return
    if len(paths) > 1 and not append:
        what = "each file would replace the one before"
        got = f"{len(paths)} files"
        raise InvalidInput(what, where="lever data ingest", expected="--append, or one file", got=got, next_step="add --append")
    formats = [_format_of(path, format) for path in paths]
    became = []
    with connect() as client:
        for path, chosen in zip(paths, formats, strict=True):
            became.append(_offer(client, dataset, path, format=chosen, append=append, made_by=tuple(made_by or ())))
            if not json_output:
                print_report(became[-1])
            if not became[-1].accepted:
                break
    if json_output:
        print_json(became if len(paths) > 1 else became[0])
    if not became[-1].accepted:
        raise typer.Exit(REFUSED)


def _offer(client: "Client", dataset: str, path: Path, **how: Any) -> "IngestView":
    """Send one file; a terminal sees that a large one is under way."""
    from leverframe.apps.cli.output import console

    data = read(path)
    if len(data) < PROGRESS_BYTES_MIN or not console().is_terminal:
        return client.data.ingest(dataset, data, **how)
    with console().status(f"{path.name}: {len(data) / 1e6:,.0f} MB under way, then checked"):
        return client.data.ingest(dataset, data, **how)


def _format_of(path: Path, told: str) -> str:
    chosen = told or path.suffix.removeprefix(".").lower()
    chosen = {"ndjson": "jsonl", "pq": "parquet"}.get(chosen, chosen)
    if chosen not in ("parquet", "csv", "jsonl"):
        expected = "parquet, csv or jsonl"
        raise InvalidInput("unknown file format", where=str(path), expected=expected, got=chosen, next_step="add --format parquet")
    return chosen


@data.command("list")
def list_datasets(json_output: Json = False) -> None:
    """Every dataset with its contract and newest snapshot."""
    with connect() as client:
        found = client.data.datasets()
    columns = ("dataset", "state", "team", "contract", "#rows", "#snapshots", "#set aside", "owner")
    print_list(found, json_output, "Datasets", columns, _row, empty=NO_DATA)


def _row(d: "DatasetView") -> tuple[object, ...]:
    rows = d.latest.rows if d.latest else "–"
    return d.name, d.state, d.team, d.contract_version, rows, d.snapshots_total, d.quarantined_total, d.owner


@data.command("show")
def show(dataset: Annotated[str, typer.Argument(help="Name of the dataset.")], json_output: Json = False) -> None:
    """What a dataset's contract promises, how that fared, who relies on it, and how it came to be."""
    from leverframe.apps.cli.contract_sheet import print_contract

    with connect() as client:
        shown = client.data.dataset(dataset)
    if json_output:
        print_json(shown)
    else:
        print_contract(shown)


@data.command("reports")
def reports(dataset: Annotated[str, typer.Argument(help="Name of the dataset.")], json_output: Json = False) -> None:
    """What became of each file offered to a dataset, newest first."""
    from leverframe.apps.console.words import moment

    with connect() as client:
        found = client.data.reports(dataset)
    if json_output:
        print_json(found)
    else:
        for became in found:
            print_report(became, when=moment(became.report.checked_at_us))
        if not found:
            say(f"no file was offered to {dataset} yet", f"next: lever data ingest {dataset} FILE")


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    app.add_typer(data, name="data", rich_help_panel=PANEL)
