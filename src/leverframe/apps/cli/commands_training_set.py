"""``lever features training-set``: a training set from files to files, here, on Polars or on Spark."""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from leverframe.apps.cli.commands_data import Folder
from leverframe.apps.cli.commands_features import features
from leverframe.apps.cli.output import Json, print_json, print_table, say
from leverframe.core.errors import InvalidInput, NotFound
from leverframe.core.feature import FeatureView
from leverframe.core.training_set_report import ViewMatch

if TYPE_CHECKING:
    from leverframe.features.training_sets.training_files import WrittenTrainingSet

ENGINES = ("polars", "spark")
Sources = Sequence[tuple[FeatureView, Sequence[Path]]]


@features.command("training-set")
def training_set(
    project_dir: Folder,
    questions: Annotated[list[Path], typer.Argument(help="Parquet files of questions: entity keys, the moment asked, anything else.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write Parquet parts to; must not exist.")],
    rows: Annotated[list[str] | None, typer.Option("--rows", help="SOURCE=FILE: Parquet rows of a source; repeatable, in order.")] = None,
    asked_at: Annotated[str, typer.Option(help="Column of the moments: microseconds UTC, or datetimes with a zone.")] = "asked_at",
    view: Annotated[list[str] | None, typer.Option("--view", help="Only this view of the project; repeatable.")] = None,
    engine: Annotated[str, typer.Option(help="polars (streams through memory), or spark (where LEVER_SPARK_MASTER says).")] = "polars",
    json_output: Json = False,
) -> None:
    """Join a project's views to questions as of the moment each was asked, from files to files, here; nothing is sent."""
    from leverframe.apps.cli import project as projects

    engine_named(engine)
    sources = _sources(projects.load_project(project_dir).views, view or [], rows or [])
    written = (_on_spark if engine == "spark" else _on_polars)(questions, asked_at, sources, out)
    if json_output:
        print_json({"parts": [str(part) for part in written.parts], "rows": written.rows, "matches": written.matches})
        return
    print_matches(f"Training set of {written.rows:,} questions", written.matches)
    say(f"{len(written.parts)} part(s) in {out}.", f'next: pl.scan_parquet("{out}")')


def engine_named(engine: str) -> str:
    """``engine``, if there is one of this name.

    Raises
    ------
    InvalidInput: there is none.
    """
    if engine not in ENGINES:
        raise InvalidInput("no such engine", where="--engine", expected=", ".join(ENGINES), got=engine[:80])
    return engine


def print_matches(title: str, matches: Sequence[ViewMatch]) -> None:
    """A line a view: questions without a row and why, and the ages of the rows used."""
    from leverframe.apps.console.words import duration

    ages = [tuple("" if age is None else duration(age) for age in (m.age_us_min, m.age_us_max)) for m in matches]
    lines = (
        (m.view, m.questions, m.unmatched, m.never_known, m.known_later, m.expired, *age) for m, age in zip(matches, ages, strict=True)
    )
    columns = ("view", "#questions", "#without a row", "#never known", "#known later", "#expired", "newest", "oldest")
    print_table(title, columns, lines, empty="no view was asked.")


def _sources(views: Sequence[FeatureView], wanted: Sequence[str], rows: Sequence[str]) -> Sources:
    """Each wanted view with the files of its source."""
    known = {view.name: view for view in views}
    if unknown := [name for name in wanted if name not in known]:
        raise NotFound("no such feature view in the project", where=", ".join(unknown), expected=", ".join(known))
    files: dict[str, list[Path]] = {}
    for text in rows:
        source, equals, file = text.partition("=")
        if not equals:
            raise InvalidInput("rows are given as SOURCE=FILE", where="--rows", expected="weather=weather.parquet", got=text[:80])
        files.setdefault(source, []).append(Path(file))
    chosen = [known[name] for name in wanted] or list(views)
    missing = sorted({view.source for view in chosen} - set(files))
    if missing:
        raise InvalidInput(
            "no rows are given for a source that the views read",
            where=", ".join(missing),
            expected="--rows SOURCE=FILE for each",
            got=", ".join(files) or "none",
            next_step=f"lever data export {missing[0]} --out {missing[0]}.parquet, then add --rows {missing[0]}={missing[0]}.parquet",
        )
    absent = [str(file) for found in files.values() for file in found if not file.exists()]
    if absent:
        raise NotFound("no such file", where=", ".join(absent))
    return [(view, files[view.source]) for view in chosen]


def _on_polars(questions: Sequence[Path], asked_at: str, sources: Sources, out: Path) -> "WrittenTrainingSet":
    import polars as pl

    from leverframe.features.training_sets.training_files import write_training_set

    scanned = [(view, pl.scan_parquet(list(files))) for view, files in sources]
    return write_training_set(pl.scan_parquet(list(questions)), asked_at, scanned, out)


def _on_spark(questions: Sequence[Path], asked_at: str, sources: Sources, out: Path) -> "WrittenTrainingSet":
    from leverframe.apps.spark_session import spark_for

    with TemporaryDirectory(prefix="lever-spark-") as home, spark_for(os.environ.get("LEVER_SPARK_MASTER", ""), Path(home)) as session:
        from leverframe.features.spark.spark_training_files import write_spark_training_set

        return write_spark_training_set(session, questions, asked_at, sources, out.resolve())


def register(app: typer.Typer) -> None:
    """Nothing to add to ``app``: the verb stands among those of ``lever features``."""
