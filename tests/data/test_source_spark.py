"""Rows of a Spark table: the same values, moments in UTC, new ones by watermark."""

from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from leverframe.core.errors import NotFound
from leverframe.data.sources import spark as source
from leverframe.data.sources.registered import Source

TABLE = Source(name="lake", kind="spark", team="rides", location="spark://spark_catalog", table="trips_lake", watermark="changed")


@pytest.mark.slow
def test_a_table_is_read_in_batches_and_from_a_watermark_on(spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "BATCH_ROWS", 2)
    rows = [(f"t{n}", n / 2, datetime(2026, 3, 29, 0, 30 + n, tzinfo=UTC), n) for n in range(5)]
    spark.createDataFrame(rows, "id string, miles double, at timestamp, changed int").createOrReplaceTempView("trips_lake")
    reading = source.SparkRows(TABLE, lambda: nullcontext(spark), ["id", "at", "miles", "absent"])
    frames = list(reading.batches())
    assert [frame.height for frame in frames] == [2, 2, 1]
    whole = pl.concat(frames)
    assert whole["at"].to_list() == [row[2].replace(tzinfo=None) for row in rows]
    assert whole["miles"].to_list() == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert reading.reached == "4"
    later = source.SparkRows(TABLE, lambda: nullcontext(spark), ["id"], since="3", again=False)
    assert pl.concat(list(later.batches()))["id"].to_list() == ["t4"]
    with pytest.raises(NotFound):
        list(source.SparkRows(TABLE, lambda: nullcontext(spark), ["nothing"]).batches())
