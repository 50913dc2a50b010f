"""``lever score``."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leverframe.apps.cli.connection import home_folder, load
from leverframe.apps.cli.output import Json, print_json, say

if TYPE_CHECKING:
    from leverframe.serving.batch.output import Manifest
    from leverframe.serving.batch.run import Progress

PANEL = "Models"
ROWS_PER_PART = 65_536


def score(
    version: Annotated[str, typer.Argument(help="A version, such as flight-delay@v2.")],
    output: Annotated[Path, typer.Option("--output", help="Folder for the scored parts and the manifest.")],
    input_: Annotated[list[Path] | None, typer.Option("--input", help="Parquet, CSV or JSON lines; repeatable.")] = None,
    snapshot: Annotated[str, typer.Option(help="Score the newest snapshot of this dataset instead of files.")] = "",
    as_of: Annotated[str, typer.Option("--as-of", help="Column of each row's moment: features as they were known then.")] = "",
    now: Annotated[bool, typer.Option("--now", help="Features as the online store has them now.")] = False,
    id_: Annotated[str, typer.Option("--id", help="Column that names a row; must be unique.")] = "",
    keep: Annotated[list[str] | None, typer.Option("--keep", help="Further input column for the output; repeatable.")] = None,
    rows_per_part: Annotated[int, typer.Option("--rows-per-part", help="Rows of each part file.")] = ROWS_PER_PART,
    to_online: Annotated[str, typer.Option("--to-online", help="Put the scores into the online store too, under this name, by --id.")] = "",
    workers: Annotated[int, typer.Option("--workers", help="Threads; 0: one a usable core.")] = 0,
    json_output: Json = False,
) -> None:
    """Score a file or a snapshot here, into part files; repeat it after a crash and it goes on where it was."""
    from leverframe.apps.scoring.job import ScoreRequest, Scoring
    from leverframe.apps.settings import Settings

    _, token = load(home_folder())
    request = ScoreRequest(
        version=version,
        output=output,
        files=tuple(input_ or ()),
        snapshot=snapshot,
        as_of=as_of,
        now=now,
        id_column=id_,
        keep=tuple(keep or ()),
        rows_per_part=rows_per_part,
        to_online=to_online,
        workers=workers if workers > 0 else len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    )
    with Scoring(Settings()) as scoring, _Bar(version, quiet=json_output) as bar:
        manifest = scoring.run(scoring.authenticate(token), request, bar.show)
    _conclude(manifest, output, json_output)


class _Bar:
    """Rows done of all, on standard error."""

    def __init__(self, what: str, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Rich

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._rich = Rich(*columns, console=Console(stderr=True), disable=quiet)
        self._task = self._rich.add_task(f"{what}  reading", total=None)
        self._what = what

    def __enter__(self) -> "_Bar":
        self._rich.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._rich.stop()

    def show(self, progress: "Progress") -> None:
        """Move the bar."""
        found = f", {progress.rows_found:,} were there" if progress.rows_found else ""
        description = f"{self._what}  rows, {progress.parts_done} of {progress.parts} parts{found}"
        self._rich.update(self._task, completed=progress.rows_done, total=progress.rows, description=description)


def _conclude(manifest: "Manifest", output: Path, json_output: bool) -> None:
    if json_output:
        print_json(manifest)
        return
    refused = "".join(f", {count:,} {code}" for code, count in sorted(manifest.codes.items()))
    say(
        f"{manifest.rows:,} rows in and out: {manifest.scored:,} scored{refused}; {manifest.missing:,} values were missing",
        f"{len(manifest.parts)} parts and manifest.json in {output}  (job {manifest.job})",
    )


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    app.command(rich_help_panel=PANEL)(score)
