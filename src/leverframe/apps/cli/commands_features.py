"""``lever features``."""

from typing import Annotated

import typer

from leverframe.apps.cli.commands_data import PANEL, Folder
from leverframe.apps.cli.commands_feature_import import imports
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.exit_codes import REFUSED
from leverframe.apps.cli.output import Json, print_json, print_table, say

features = typer.Typer(help="Feature views: declared once, used offline and online.", no_args_is_help=True)
features.add_typer(imports, name="import")


@features.command("apply")
def features_apply(project_dir: Folder, json_output: Json = False) -> None:
    """Send a project's feature views only."""
    from leverframe.apps.cli import project as projects

    found = projects.load_project(project_dir)
    with connect() as client:
        said = [client.features.apply(view) for view in found.views]
    if json_output:
        print_json(said)
    else:
        say(*(f"{view.name}: {', '.join(view.features)}" for view in found.views))


@features.command("list")
def list_views(json_output: Json = False) -> None:
    """Every feature view with its freshness and consumers."""
    from leverframe.apps.console.words import duration

    with connect() as client:
        found = client.features.views()
    if json_output:
        print_json(found)
        return
    rows = (
        (
            f.view.name,
            ", ".join(f.view.entity),
            f.view.source,
            len(f.view.features),
            "not in the store" if f.freshness is None else duration(f.freshness.lag_us) + (" LATE" if f.freshness.late else ""),
            ", ".join(f.consumers),
        )
        for f in found
    )
    print_table(
        "Feature views", ("view", "entity", "source", "#features", "age", "read by"), rows, empty="none yet. next: lever apply PROJECT_DIR"
    )


@features.command("test")
def features_test(
    project_dir: Folder,
    engine: Annotated[
        list[str] | None, typer.Option("--engine", help="polars, stream or spark; repeatable; default: all installed.")
    ] = None,
    json_output: Json = False,
) -> None:
    """Run the tests that stand beside a project's feature views, here, on every engine; exit code 3 when one does not hold."""
    from leverframe.apps.cli import feature_tests
    from leverframe.apps.cli import project as projects

    results = feature_tests.run_tests(projects.load_project(project_dir), engine or feature_tests.installed_engines())
    if json_output:
        print_json(results)
    elif not results:
        say(
            "the project has no feature tests.",
            "next: write one beside its view: lf.FeatureTest(view=..., rows=..., asked=..., expected=...)",
        )
    else:
        feature_tests.print_results(results)
    if not all(result.holds for result in results):
        raise typer.Exit(REFUSED)


@features.command("show")
def show(view: Annotated[str, typer.Argument(help="Name of the view.")], json_output: Json = False) -> None:
    """One feature view: definition, age, distribution of each feature, and who reads it."""
    from leverframe.apps.cli.feature_sheet import print_view

    with connect() as client:
        shown = client.services.view(view)
    if json_output:
        print_json(shown)
    else:
        print_view(shown)


@features.command("services")
def list_services(json_output: Json = False) -> None:
    """Every feature service: what it selects, its version, and the models that take it."""
    from leverframe.core.digest import short

    with connect() as client:
        found = client.services.services()
    if json_output:
        print_json(found)
        return
    rows = (
        (
            s.service.name,
            short(s.version),
            ", ".join(f"{f.view}.{f.feature}" + (f" as {f.name}" if f.name else "") for f in s.service.features),
            s.service.owner or s.service.team,
            ", ".join(s.models),
            ", ".join(s.missing),
        )
        for s in found
    )
    columns = ("service", "version", "selects", "owner", "taken by", "declared no longer")
    print_table("Feature services", columns, rows, empty="none yet. next: declare one in features.py, then lever apply PROJECT_DIR")


@features.command("entities")
def list_entities(json_output: Json = False) -> None:
    """Every declared entity with its key and the views keyed by it."""
    with connect() as client:
        found = client.services.entities()
    if json_output:
        print_json(found)
        return
    rows = (
        (e.entity.name, ", ".join(f"{k.name} ({k.type})" for k in e.entity.keys), ", ".join(e.views), e.entity.owner, e.entity.description)
        for e in found
    )
    columns = ("entity", "key", "views", "owner", "is")
    print_table("Entities", columns, rows, empty="none declared; views name their keys all the same. next: lever apply PROJECT_DIR")


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    app.add_typer(features, name="features", rich_help_panel=PANEL)
