"""``lever models diff``: two versions side by side."""

from typing import TYPE_CHECKING, Annotated

import typer

from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.output import Json, print_json, print_table, say

if TYPE_CHECKING:
    from leverframe.core.evaluation import Metric


def diff(
    before: Annotated[str, typer.Argument(help="A version, such as flight-delay@v1.")],
    after: Annotated[str, typer.Argument(help="The version it is compared with.")],
    json_output: Json = False,
) -> None:
    """What is different about two versions: figures, gates, signature, features, data, code, environment."""
    with connect() as client:
        found = client.training.compare(before, after)
    if json_output:
        print_json(found)
        return
    say(f"{found.before} -> {found.after}", *(f"note: {note}" for note in found.notes))
    rows = ((r.name, _figure(r.before), _figure(r.after), _moved(r.before, r.after), "yes" if r.apart else "") for r in found.figures)
    print_table(
        "Figures (95 % intervals)", ("metric", f"#{found.before}", f"#{found.after}", "#moved", "intervals apart"), rows, empty="none."
    )
    changes = ((c.section, c.name, c.before or "–", c.after or "–") for c in found.changes)
    print_table("Changes", ("what", "name", found.before, found.after), changes, empty="none.")
    say("equal: " + ", ".join(f"{count} {section}" for section, count in found.same.items() if count))


def _figure(metric: "Metric | None") -> str:
    return "–" if metric is None else f"{metric.value:.4f} [{metric.low:.4f}, {metric.high:.4f}]"


def _moved(before: "Metric | None", after: "Metric | None") -> str:
    return "" if before is None or after is None else f"{after.value - before.value:+.4f}"


def register(models: typer.Typer) -> None:
    """Add the verb to the group ``models``."""
    models.command("diff")(diff)
