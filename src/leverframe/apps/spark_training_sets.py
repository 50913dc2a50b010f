"""A run's training set on Spark: the questions' keys and moments go there in a file, their features come back in files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from leverframe.apps.spark_session import spark_for
from leverframe.core.dataset import Snapshot
from leverframe.core.feature import FeatureView
from leverframe.data.snapshots.snapshots import erased
from leverframe.features.training_sets.point_in_time import TrainingSet
from leverframe.governance.artifacts import ArtifactStore


def snapshot_files(artifacts: ArtifactStore, snapshot: Snapshot) -> list[Path]:
    """The Parquet files that hold the rows of ``snapshot``, in order, each checked against its digest now; a remote store's are copied.

    Raises
    ------
    Refused: rows of it were deleted for good since.    Integrity, NotFound, Unavailable: the bytes cannot be had.
    """
    if snapshot.erased is not None:
        raise erased(snapshot)
    return [artifacts.local_path(part.digest) for part in snapshot.blobs]


def joined_on_spark(
    master: str,
    home: Path,
    questions: pl.DataFrame,
    asked_at: str,
    views: Sequence[tuple[FeatureView, Sequence[Path]]],
    options: Mapping[str, str] | None = None,
) -> TrainingSet:
    """``training_set`` computed by Spark: the same frame and the same report, cell for cell.

    Parameters
    ----------
    master: where Spark runs (``LEVER_SPARK_MASTER``); its executors must see ``home`` and the files of ``views``.
    questions: in memory, as training needs them; only their keys and moments are sent.

    Raises
    ------
    Unavailable: Spark or its Java is not installed, or does not start.    SchemaMismatch, InvalidInput: as ``spark_training_set``.
    """
    keys = dict.fromkeys((asked_at, *(key for view, _ in views for key in view.entity)))
    folder = home / "spark"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with spark_for(master, home, options) as session, TemporaryDirectory(dir=folder) as place:
        from leverframe.features.spark.spark_training_files import write_spark_training_set

        asked = Path(place) / "questions.parquet"
        questions.select(*keys).write_parquet(asked)
        written = write_spark_training_set(session, [asked], asked_at, views, Path(place) / "joined")
        features = [f"{view.name}.{feature}" for view, _ in views for feature in view.features]
        frame = pl.concat([pl.read_parquet(part, columns=features) for part in written.parts], rechunk=True)
    return TrainingSet(frame=questions.hstack(frame), matches=written.matches)
