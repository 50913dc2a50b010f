"""``lever registry``: MLflow registries whose versions are released here."""

from typing import TYPE_CHECKING, Annotated

import typer

from leverframe.apps.cli.commands_training import PANEL
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.output import Environment, Json, print_facts, print_json, print_list, print_table, say
from leverframe.core.digest import short

if TYPE_CHECKING:
    from leverframe.apps.platform.views import RegistryView

registry = typer.Typer(help="MLflow registries whose versions are released here, and whose alias follows.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="What the registry is called here.")]


@registry.command("add")
def add(
    name: Name,
    url: Annotated[str, typer.Argument(help="The MLflow server; its host must be one of LEVER_EGRESS_HOSTS.")],
    source: Annotated[str, typer.Argument(help="The registered model there.")],
    team: Annotated[str, typer.Option(help="The owning team.")],
    model: Annotated[str, typer.Option(help="Name of the model here (default: as there).")] = "",
    owner: Annotated[str, typer.Option(help="Who answers for it (default: the team).")] = "",
    endpoint: Annotated[str, typer.Option(help="Endpoint that is fed (default: the model's name).")] = "",
    environment: Environment = "prod",
    strategy: Annotated[str, typer.Option(help="canary, shadow_canary or blue_green.")] = "shadow_canary",
    watch: Annotated[str, typer.Option(help="Follow the version of this alias instead of every new one.")] = "",
    alias: Annotated[str, typer.Option(help="Alias that is set back to what answers; empty: none.")] = "champion",
    risk: Annotated[str, typer.Option(help="Risk tier of a model that is not declared yet: high or low.")] = "high",
    column: Annotated[int, typer.Option(help="Which of several columns that a pyfunc answers is the score.")] = -1,
    json_output: Json = False,
) -> None:
    """Follow a registered model: a new version (or alias) is imported, evaluated where a dataset is declared, and planned."""
    from leverframe.apps.platform.views import RegistryRequest

    request = RegistryRequest(
        name=name,
        url=url,
        source=source,
        team=team,
        model=model,
        owner=owner,
        environment=environment,
        endpoint=endpoint,
        strategy=strategy,
        watch=watch,
        alias=alias,
        risk_tier=risk,
        column=column,
    )
    with connect() as client:
        added = client.registries.add(request)
    if json_output:
        print_json(added)
    else:
        what = f"alias {added.watch}" if added.watch else "every new version"
        say(f"{added.name}: {what} of {added.source} at {added.host} is planned for {added.environment}/{added.endpoint} from now on.")
        say(f"next: lever registry status {added.name}")


@registry.command("list")
def list_registries(json_output: Json = False) -> None:
    """Every registry that is followed."""
    with connect() as client:
        found = client.registries.list()
    print_list(
        found,
        json_output,
        "Registries",
        ("registry", "at", "model", "feeds", "follows", "#versions", "last"),
        lambda r: (r.name, r.host, r.source, f"{r.environment}/{r.endpoint}", r.watch or "every version", len(r.followed), _last(r)),
        empty="none yet. next: lever registry add NAME URL MODEL --team TEAM",
    )


def _last(shown: "RegistryView") -> str:
    if not shown.followed:
        return "nothing seen yet"
    newest = shown.followed[0]
    return f"version {newest.number}: {newest.failure or (newest.plan and 'planned') or newest.evaluated or newest.version or 'seen'}"


@registry.command("status")
def status(name: Name, json_output: Json = False) -> None:
    """One registry: what became of each version, and where its alias points."""
    from leverframe.apps.console.words import moment

    with connect() as client:
        shown = client.registries.one(name)
    if json_output:
        print_json(shown)
        return
    pointed = f"version {shown.alias_number} ({shown.alias_version})" if shown.alias_number else "not set by us yet"
    facts = (
        ("  model", f"{shown.source} at {shown.host}, {shown.model} here"),
        ("  feeds", f"{shown.environment}/{shown.endpoint}"),
        ("  follows", f"alias {shown.watch}" if shown.watch else "every new version"),
        (f"  alias {shown.alias}", pointed),
    )
    say(shown.name)
    print_facts(facts)
    rows = ((str(f.number), f.version, f.evaluated, short(f.plan), moment(f.at_us), f.failure) for f in shown.followed)
    columns = ("#version", "imported as", "evaluated as", "plan", "at", "stopped because")
    print_table("Versions", columns, rows, empty="none seen yet: the worker looks every LEVER_REGISTRY_INTERVAL_S.")
    if any(f.failure for f in shown.followed):
        say(f"next: lever registry look {shown.name}")


@registry.command("look")
def look(name: Name, json_output: Json = False) -> None:
    """Try again what failed."""
    with connect() as client:
        shown = client.registries.look(name)
    if json_output:
        print_json(shown)
    else:
        say(f"{shown.name}: what failed is tried again at the worker's next look.")


@registry.command("remove")
def remove(name: Name, json_output: Json = False) -> None:
    """Follow a registry no more; versions, plans and releases stay."""
    with connect() as client:
        said = client.registries.remove(name)
    if json_output:
        print_json(said)
    else:
        say(f"{name}: followed no more.")


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    app.add_typer(registry, name="registry", rich_help_panel=PANEL)
