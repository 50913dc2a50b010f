"""The engine of feature tests that runs on Spark; rows go there and back through Parquet files."""

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl

from leverframe.core.feature import FeatureView
from leverframe.features.definition_tests import AT, Engine, Values
from leverframe.features.spark.spark_rows import read_rows
from leverframe.features.spark.spark_training_set import spark_training_set


def spark_engine(session: Any, folder: Path) -> Engine:
    """The training set that Spark computes, in ``session``; files are written into ``folder``, which is the caller's to remove."""
    numbers = count()

    def values(view: FeatureView, rows: pl.DataFrame, asked: pl.DataFrame) -> Values:
        place = folder / f"test-{next(numbers)}"
        place.mkdir()
        rows.write_parquet(place / "rows.parquet")
        asked.write_parquet(place / "asked.parquet")
        source, questions = read_rows(session, [place / "rows.parquet"]), read_rows(session, [place / "asked.parquet"])
        answered = spark_training_set(questions, AT, [(view, source)])
        answered.coalesce(1).write.parquet(str(place / "answered"))
        frame = pl.read_parquet(place / "answered" / "*.parquet")
        found: dict[str, Sequence[float | None]] = {feature: frame[f"{view.name}.{feature}"].to_list() for feature in view.features}
        return found

    return values
