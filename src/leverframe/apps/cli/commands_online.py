"""``lever features push``, ``forget``, ``drop`` and ``export``: rows into the online store, and out of it."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from leverframe.apps.cli.commands_features import features
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.moments import moment_us
from leverframe.apps.cli.output import Json, print_json, say, write_file
from leverframe.core.errors import InvalidInput

PUSH_ROWS = 5_000
"""Rows of a file go over in pushes of this many."""
View = Annotated[str, typer.Argument(help="Name of the view.")]


def _rows(file: Path) -> list[dict[str, Any]]:
    try:
        return [msgspec.json.decode(line, type=dict[str, Any]) for line in file.read_bytes().splitlines() if line.strip()]
    except (OSError, msgspec.DecodeError) as error:
        raise InvalidInput(
            "cannot be read as JSON lines", where=str(file), expected="one flat object a line", got=str(error)[:200]
        ) from error


@features.command("push")
def push(view: View, file: Annotated[Path, typer.Argument(help="JSON lines.")], json_output: Json = False) -> None:
    """Push rows of a view's source; they can be read from the online store when this returns."""
    rows = _rows(file)
    with connect() as client:
        said = [client.features.push(view, rows[at : at + PUSH_ROWS]) for at in range(0, len(rows), PUSH_ROWS)]
    if json_output:
        print_json(said)
        return
    for done in said:
        written = ", ".join(f"{name}: {entities} entities" for name, entities in done.views.items()) or "no value changed"
        say(f"{done.rows} rows for {done.source}  {written}")


@features.command("forget")
def forget(
    view: View,
    entity: Annotated[list[str], typer.Argument(help="The entity's key, a word for each entity column.")],
    json_output: Json = False,
) -> None:
    """Take an entity out of the online store, in every version of the view; a person's rows go with lever data forget."""
    with connect() as client:
        done = client.features.forget(view, entity)
    if json_output:
        print_json(done)
    else:
        say(
            f"gone from {done.versions} versions of {view}",
            "its source keeps the rows.  next: lever data forget DATASET --key COLUMN=VALUE",
        )


@features.command("drop")
def drop(
    view: View,
    version: Annotated[str, typer.Option(help="This version; default: all that are neither declared nor read by a routed model.")] = "",
    json_output: Json = False,
) -> None:
    """Drop versions that no routed model reads from the online store."""
    with connect() as client:
        gone = client.features.drop(view, version)
    if json_output:
        print_json(gone)
    else:
        say(*([f"{each}: {entities:,} entities gone" for each, entities in gone.items()] or ["there is no version that nobody reads"]))


@features.command("export")
def export(
    view: View,
    out: Annotated[Path, typer.Option("--out", "-o", help="Parquet file to write.")],
    at: Annotated[str, typer.Option(help="Values as they were known at this moment (ISO 8601); default: now.")] = "",
    online: Annotated[bool, typer.Option("--online", help="What the online store holds, with its times.")] = False,
    json_output: Json = False,
) -> None:
    """Write a view's values to a Parquet file: as of a moment, or as the online store holds them."""
    with connect() as client:
        written = client.features.export(view, moment_us(at, "--at"), online=online)
    write_file(out, written)
    if json_output:
        print_json({"file": str(out), "bytes": len(written)})
    else:
        say(f"{out}: {len(written):,} bytes")


def register(app: typer.Typer) -> None:
    """The verbs are part of ``lever features``, which ``commands_features`` adds."""
