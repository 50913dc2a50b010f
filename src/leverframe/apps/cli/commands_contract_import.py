"""``lever contracts import``: a first contract out of the suite another tool checks rows by."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leverframe.apps.cli.output import Json, print_json, say, write_new

if TYPE_CHECKING:
    from leverframe.data.importers.suite_contract import Imported

imports = typer.Typer(help="Read other tools' suites into contracts.", no_args_is_help=True)

Team = Annotated[str, typer.Option(help="The team that may change the contract.")]
Owner = Annotated[str, typer.Option(help="Who answers for it.")]
Dataset = Annotated[str, typer.Option(help="Name of the dataset; by default the suite's own.")]
Rows = Annotated[Path | None, typer.Option(help="Rows (Parquet, CSV, JSON lines) to tell the types from that the suite does not say.")]
Out = Annotated[Path | None, typer.Option(help="File to write (default: standard output).")]


@imports.command("pandera")
def pandera(
    file: Annotated[str, typer.Argument(help="A schema as pandera's YAML or JSON, or FILE.py, or FILE.py:NAME.")],
    team: Team,
    owner: Owner,
    dataset: Dataset = "",
    python: Annotated[str, typer.Option(help="The Python that has pandera, to run FILE.py; default: this one.")] = "",
    rows: Rows = None,
    out: Out = None,
    json_output: Json = False,
) -> None:
    """Write a pandera schema as a contract, and say what it cannot say, each with its reason."""
    from leverframe.apps.importing_contracts import import_pandera

    _tell(import_pandera(file, python=python or sys.executable, dataset=dataset, team=team, owner=owner, rows=rows), out, json_output)


@imports.command("great-expectations")
def great_expectations(
    file: Annotated[str, typer.Argument(help="An ExpectationSuite as JSON.")],
    team: Team,
    owner: Owner,
    dataset: Dataset = "",
    rows: Rows = None,
    out: Out = None,
    json_output: Json = False,
) -> None:
    """Write a Great Expectations suite as a contract, and say what it cannot say, each with its reason."""
    from leverframe.apps.importing_contracts import import_great_expectations

    _tell(import_great_expectations(file, dataset=dataset, team=team, owner=owner, rows=rows), out, json_output)


def _tell(imported: "Imported", out: Path | None, json_output: bool) -> None:
    if out is not None:
        write_new(out, imported.text)
    if json_output:
        print_json({"contract": imported.text, "left": imported.left, "file": str(out) if out else ""})
        return
    if out is None:
        say(imported.text.rstrip("\n"))
    else:
        say(f"wrote {out}, {len(imported.contract.columns)} columns", f"next: correct it, then lever contracts check {out} --against ROWS")
    for fault in imported.left:
        typer.echo(f"  - {fault.where}: {fault.got}: {fault.what}", err=True)
