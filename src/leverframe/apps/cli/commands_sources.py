"""``lever data sources``: where rows may be fetched from."""

from typing import Annotated

import typer

from leverframe.apps.cli.commands_data import data
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.output import Json, print_json, print_list, say
from leverframe.core.errors import InvalidInput

sources = typer.Typer(help="Registered sources: object stores, PostgreSQL, Spark tables.", no_args_is_help=True)
data.add_typer(sources, name="sources")
KINDS = {"s3": "objects", "gs": "objects", "az": "objects", "file": "objects", "postgresql": "postgresql", "spark": "spark"}


@sources.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What the source is called from now on.")],
    location: Annotated[str, typer.Argument(help="s3://bucket/prefix, postgresql://user@host/database, spark://catalog …; no password.")],
    team: Annotated[str, typer.Option(help="The owning team.")],
    table: Annotated[str, typer.Option(help="[schema.]table to read.")] = "",
    query: Annotated[str, typer.Option(help="One SELECT to read instead of a table.")] = "",
    watermark: Annotated[str, typer.Option(help="A column that only grows: new rows are known by it.")] = "",
    secret: Annotated[str, typer.Option(help="Environment variable (LEVER_SOURCE_…) with the password, or key:secret.")] = "",
    endpoint: Annotated[str, typer.Option(help="Address of an object store that is not the cloud's own.")] = "",
    region: Annotated[str, typer.Option(help="Region of an object store.")] = "",
    json_output: Json = False,
) -> None:
    """Register a source, within what LEVER_SOURCES_ALLOWED allows."""
    from leverframe.data.sources.registered import Source

    kind = KINDS.get(location.partition("://")[0], "")
    if not kind:
        raise InvalidInput(
            "not a location of a source", where="LOCATION", expected=", ".join(f"{each}://" for each in KINDS), got=location[:60]
        )
    declared = Source(
        name=name,
        kind=kind,  # type: ignore[arg-type]
        team=team,
        location=location,
        table=table,
        query=query,
        watermark=watermark,
        secret=secret,
        endpoint=endpoint,
        region=region,
    )
    with connect() as client:
        held = client.sources.declare(declared)
    if json_output:
        print_json(held)
    else:
        say(f"{held.name} is registered", f"next: lever data ingest DATASET --source {held.name}")


@sources.command("list")
def list_sources(json_output: Json = False) -> None:
    """Every registered source."""
    with connect() as client:
        found = client.sources.sources()
    print_list(
        found,
        json_output,
        "Sources",
        ("source", "kind", "team", "location", "reads", "watermark", "secret"),
        lambda s: (s.name, s.kind, s.team, s.location, s.table or s.query[:60], s.watermark, s.secret),
        empty="none yet. next: lever data sources add NAME LOCATION --team TEAM",
    )


@sources.command("remove")
def remove(name: Annotated[str, typer.Argument(help="The source.")], json_output: Json = False) -> None:
    """Take a source back; what was read stays, and so does how far."""
    with connect() as client:
        held = client.sources.remove(name)
    if json_output:
        print_json(held)
    else:
        say(f"{held.name} is no source any more")


def register(app: typer.Typer) -> None:
    """These verbs hang under ``lever data``; ``app`` has it already."""
