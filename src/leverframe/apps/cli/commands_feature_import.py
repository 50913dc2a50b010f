"""``lever features import``: definitions out of other tools' repositories."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from leverframe.apps.cli.output import Json, print_json, print_table, say

imports = typer.Typer(help="Definitions out of other tools' repositories.", no_args_is_help=True)


@imports.command("feast")
def import_feast(
    repo_dir: Annotated[Path, typer.Argument(help="The repository: a folder with feature_store.yaml.", exists=True, file_okay=False)],
    python: Annotated[str, typer.Option("--python", help="The Python that has Feast; default: this one.")] = "",
    team: Annotated[str, typer.Option("--team", help="The owning team.")] = "default",
    out: Annotated[Path, typer.Option("--out", help="Project folder to write; nothing that exists is replaced.")] = Path("imported"),
    json_output: Json = False,
) -> None:
    """Write a Feast repository's entities, views and services as a project, and say what could not be carried over."""
    from leverframe.apps.clocks import SystemClock
    from leverframe.apps.importing_feast import import_feast as run

    done = run(repo_dir, out, python=python or sys.executable, team=team, now_us=SystemClock().now_us())
    carried = done.carried
    if json_output:
        print_json(
            {
                "entities": carried.entities,
                "views": carried.views,
                "services": carried.services,
                "not_carried": carried.left,
                "files": [str(out / name) for name in done.files],
            }
        )
        return
    kinds = (("entity", carried.entities), ("feature view", carried.views), ("feature service", carried.services))
    rows = [(kind, record.name) for kind, records in kinds for record in records]
    print_table("Carried over", ("kind", "name"), rows, empty="nothing.")
    if carried.left:
        print_table("Not carried over", ("what", "why", "got"), ((f.where, f.what, f.got) for f in carried.left))
    say(*(f"wrote {out / name}" for name in done.files))
    if carried.store is not None:
        say(f"gateways read Feast's store in place with LEVER_ONLINE_URL=feast:{out / 'feast-online.json'}")
    say(f"next: read {out / 'features.py'}, then lever plan {out}")
