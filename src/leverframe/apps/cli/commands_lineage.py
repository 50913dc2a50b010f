"""``lever lineage``."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from leverframe.apps.cli.commands_data import PANEL
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.output import Json, console, print_json, print_table, say
from leverframe.core.lineage import Change


class ThingGroup(TyperGroup):
    """Takes ``lever lineage THING`` for ``lever lineage show THING``; a thing called like a verb needs its kind, ``view/impact``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that was typed, else ``show`` of what was typed."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["show", *args]
        return super().resolve_command(ctx, args)


lineage = typer.Typer(help="Where values come from, and what breaks if they change.", no_args_is_help=True, cls=ThingGroup)
At = Annotated[str, typer.Option(help="Moment (ISO 8601); default: now.")]


@lineage.command("show")
def show(
    thing: Annotated[
        str,
        typer.Argument(help="source:NAME, dataset, dataset.column, view, view.feature, service, model, model@v3, endpoint; or KIND/NAME."),
    ],
    at: At = "",
    json_output: Json = False,
) -> None:
    """What a thing is made from and who lives by it, column by column; the word show may be left out."""
    from leverframe.apps.cli.lineage_tree import trees
    from leverframe.apps.cli.moments import moment_us

    with connect() as client:
        found = client.lineage.of(thing, moment_us(at, "--at"))
    if json_output:
        print_json(found)
        return
    drawn, over = trees(found)
    for tree in drawn:
        console().print(tree)
    if over or found.cut:
        say(f"{over} lines are left out; --json has all of it" if over else "the graph is larger than can be shown; name a smaller thing")


@lineage.command("impact")
def impact(
    columns: Annotated[list[str], typer.Argument(help="Columns as dataset.column or source:NAME.column; source:NAME for all of it.")],
    remove: Annotated[bool, typer.Option("--remove", help="The column goes (the default).")] = False,
    rename: Annotated[bool, typer.Option("--rename", help="The column gets another name.")] = False,
    retype: Annotated[bool, typer.Option("--retype", help="The column gets another type.")] = False,
    at: At = "",
    json_output: Json = False,
) -> None:
    """What breaks if these columns change: features, services, models, live endpoints, whom to tell and what to type."""
    from leverframe.apps.cli.lineage_tree import impact_rows
    from leverframe.apps.cli.moments import moment_us

    if remove + rename + retype > 1:
        raise typer.BadParameter("one change at a time: --remove, --rename or --retype")
    change: Change = "rename" if rename else "retype" if retype else "remove"
    with connect() as client:
        found = client.lineage.impact(columns, change, moment_us(at, "--at"))
    if json_output:
        print_json(found)
        return
    say(found.sentence)
    if not found.hits:
        return
    print_table("Reached", ("", "what", "name", "by way of"), impact_rows(found))
    rows = [
        (f"{s.environment}/{s.endpoint}", s.version, s.arm, f"{len(s.lost)} of {s.inputs}: {', '.join(s.lost)}") for s in found.endpoints
    ]
    print_table("Inputs that go missing", ("endpoint", "version", "arm", "inputs"), rows, empty="of no version that answers now.")
    print_table("Tell", ("owner", "of"), [(owner, ", ".join(things)) for owner, things in found.owners.items()], empty="nobody is named.")
    say("Then:", *(f"  {command}" for command in found.commands))


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    app.add_typer(lineage, name="lineage", rich_help_panel=PANEL)
