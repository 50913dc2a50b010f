"""``lever backup`` and ``lever restore``."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leverframe.apps.cli.connection import home_folder
from leverframe.apps.cli.output import Json, print_json, say
from leverframe.core.clock import SECOND_US

if TYPE_CHECKING:
    from leverframe.apps.backup.manifest import Manifest

PANEL = "Record and access"
Home = Annotated[Path | None, typer.Option(help="Folder of the installation (default: LEVER_HOME or .leverframe).")]


def backup(
    folder: Annotated[Path, typer.Argument(help="Where the copy goes; what an earlier backup left there is used again.")],
    home: Home = None,
    without_keys: Annotated[bool, typer.Option("--without-keys", help="Leave the keys out; keep them elsewhere.")] = False,
    json_output: Json = False,
) -> None:
    """Copy this installation while it runs, wherever its database and its bytes are: ledger, artifacts, keys and what is published."""
    from leverframe.apps.backup.take import take
    from leverframe.apps.settings import Settings

    settings = Settings(home=home or home_folder())
    taken = take(settings, folder, now_us=int(time.time() * SECOND_US), with_keys=not without_keys)
    if json_output:
        print_json(taken.manifest)
        return
    made = taken.manifest
    say(
        f"{folder}: {made.entries:,} entries of the record, {made.artifacts_total:,} artifacts ({taken.copied:,} new), "
        f"{made.artifacts_bytes / 1e6:,.1f} MB",
        f"the record ends with {made.chain}",
        f"not in it: {', '.join(_left_out(made))}",
        f"next: lever restore {folder} --check",
    )


def restore(
    folder: Annotated[Path, typer.Argument(help="The backup.")],
    home: Home = None,
    keys: Annotated[
        Path | None, typer.Option(help="The installation's keys, kept elsewhere; without, the backup vouches for itself.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only look at every byte.")] = False,
    json_output: Json = False,
) -> None:
    """Make an installation again from a backup, in a folder (and a database, where LEVER_DATABASE_URL names one) that is empty."""
    from leverframe.apps.backup import restore as restoring
    from leverframe.apps.settings import Settings

    target = home or home_folder()
    made = restoring.check(folder, keys=keys) if check else restoring.restore(folder, Settings(home=target), keys=keys)
    if json_output:
        print_json(made)
        return
    say(f"{made.entries:,} entries, {made.artifacts_total:,} artifacts: every byte is what it was; the record ends with {made.chain}")
    say(f"next: lever restore {folder} --home FOLDER" if check else f"next: lever up --home {target}")


def _left_out(made: "Manifest") -> list[str]:
    jobs = [] if "workflows.db" in made.files else ["durable jobs under way"]
    return ["prediction log", "online store (lever features materialize --full fills it again)", *jobs]


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    for verb in (backup, restore):
        app.command(rich_help_panel=PANEL)(verb)
