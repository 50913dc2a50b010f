"""Training sets from files to files on Spark: rows are read by path and written by path, and never pass through Python."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from leverframe.core.errors import Conflict, Fault, SchemaMismatch
from leverframe.core.feature import FeatureView
from leverframe.features.spark.spark_match_report import spark_view_match
from leverframe.features.spark.spark_rows import read_rows
from leverframe.features.spark.spark_training_set import spark_training_set
from leverframe.features.training_sets.questions import MOMENT
from leverframe.features.training_sets.training_files import WrittenTrainingSet

Files = Sequence[Path | str]


def write_spark_training_set(
    session: SparkSession, questions: Files, asked_at: str, views: Sequence[tuple[FeatureView, Files]], folder: Path
) -> WrittenTrainingSet:
    """``write_training_set`` on Spark: the same parts, values and report, cell for cell.

    Parameters
    ----------
    questions: Parquet files, in order.
    views: each with the Parquet files of its source; the first file's first row is the first of ties.
    folder: must not exist yet, and is one that the driver and all executors share.

    Raises
    ------
    SchemaMismatch, InvalidInput: as ``spark_training_set``.    Conflict: the folder exists.
    """
    if folder.exists():
        raise Conflict("there is something already", where=str(folder), next_step="name a folder that does not exist, or remove this one")
    asked = read_rows(session, questions)
    _check(asked, asked_at, [view for view, _ in views])
    sources = [(view, read_rows(session, files)) for view, files in views]
    growing = folder.with_name(f".{folder.name}.growing")
    shutil.rmtree(growing, ignore_errors=True)
    growing.parent.mkdir(parents=True, exist_ok=True)
    spark_training_set(asked, asked_at, sources).write.parquet(str(growing))
    # Spark numbers its parts in the order of the rows; beside them it leaves marks and checksums of its own.
    written = sorted(path for path in growing.iterdir() if path.name.startswith("part-"))
    for path in growing.iterdir():
        if path not in written:
            path.unlink()
    names = [f"part-{number:05d}.parquet" for number in range(len(written))]
    for path, name in zip(written, names, strict=True):
        path.rename(growing / name)
    matches = tuple(spark_view_match(asked, asked_at, view, source) for view, source in sources)
    os.rename(growing, folder)
    return WrittenTrainingSet(
        parts=tuple(folder / name for name in names), rows=matches[0].questions if matches else asked.count(), matches=matches
    )


def _check(asked: DataFrame, asked_at: str, views: Sequence[FeatureView]) -> None:
    """What Polars refuses of questions is refused here too; keys are compared where each view is joined."""
    kind = asked.schema[asked_at].dataType if asked_at in asked.columns else None
    faults = []
    if kind is None or not isinstance(kind, T.IntegralType | T.TimestampType):
        what = "a local time without its zone names no moment" if isinstance(kind, T.TimestampNTZType) else "the moment of the question"
        faults.append(Fault(where=asked_at, what=what, expected=MOMENT, got=kind.simpleString() if kind else ""))
    faults += [
        Fault(where=f"{view.name}.{feature}", what="the questions already have a column of this name")
        for view in views
        for feature in view.features
        if f"{view.name}.{feature}" in asked.columns
    ]
    names = [view.name for view in views]
    faults += [Fault(where=name, what="a view is given twice") for name in dict.fromkeys(names) if names.count(name) > 1]
    if faults:
        said = "; ".join(f"{fault.where}: {fault.what}" for fault in faults)
        raise SchemaMismatch(said, where="training set", expected=faults[0].expected, got=faults[0].got, faults=faults)
