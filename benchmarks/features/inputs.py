"""The rows both sides get, as Parquet: every flight of 2013 as a question, and three sources to look features up in."""

import sys
from pathlib import Path

import numpy as np
import polars as pl

from leverframe.apps.demo.project.features import ORIGIN_DELAYS, PLANE_FACTS
from leverframe.apps.demo.project.prepare import datasets, moment_us
from leverframe.core.clock import HOUR_US
from leverframe.core.feature import Expression, FeatureView
from leverframe.features.point_in_time import join_timelines
from leverframe.features.source_rows import source_rows
from leverframe.features.timeline import timeline

WEATHER_COLUMNS = ("temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib")
WEATHER_TTL_US = 6 * HOUR_US
DELAYS_TTL_US = 6 * HOUR_US
WIDE_FEATURES = 20
WIDE_ENTITIES = 5_000

# The windows are computed beforehand and once an hour, for Feast's offline store can do neither windows nor every change: its join pairs
# each question with every row within the TTL before it picks one. Both sides join the same rows of (moment, values).
VIEWS = (
    FeatureView(
        name="weather",
        source="weather",
        entity=("origin",),
        event_time="event_us",
        arrival_time="arrival_us",
        expressions=tuple(Expression(name=c, sql=c) for c in WEATHER_COLUMNS),
        ttl_us=WEATHER_TTL_US,
    ),
    FeatureView(
        name="delays",
        source="delays",
        entity=("origin",),
        event_time="event_us",
        arrival_time="arrival_us",
        expressions=tuple(Expression(name=f, sql=f) for f in ORIGIN_DELAYS.features),
        ttl_us=DELAYS_TTL_US,
    ),
    FeatureView(
        name="planes",
        source="planes",
        entity=("tailnum",),
        event_time="event_us",
        arrival_time="arrival_us",
        expressions=tuple(Expression(name=f, sql=f) for f in PLANE_FACTS.features),
    ),
)
WIDE = FeatureView(
    name="wide",
    source="wide",
    entity=("entity",),
    event_time="event_us",
    arrival_time="arrival_us",
    expressions=tuple(Expression(name=f"f{i:02d}", sql=f"f{i:02d}") for i in range(WIDE_FEATURES)),
)


def write_inputs(folder: Path) -> None:
    """Write ``questions``, the three sources and ``wide`` (for online reads)."""
    data = datasets()
    questions = data["flights"].select("origin", "tailnum", "asked_at").with_row_index("row")
    questions.with_columns(_datetime("asked_at")).write_parquet(folder / "questions.parquet")
    plane_rows = source_rows(PLANE_FACTS, data["planes"].lazy())
    weather = data["weather"].filter(pl.col("origin").is_not_null()).with_columns(pl.col(WEATHER_COLUMNS).cast(pl.Float64))
    sources = {
        "weather": weather.select(
            "origin", pl.col("observed_at").alias("event_us"), pl.col("known_at").alias("arrival_us"), *WEATHER_COLUMNS
        ),
        "delays": _hourly_delays(data["departures"]),
        "planes": plane_rows,
        "wide": _wide(),
    }
    for name, frame in sources.items():
        frame.with_columns(_datetime("event_us"), _datetime("arrival_us")).write_parquet(folder / f"{name}.parquet")


def _hourly_delays(departures: pl.DataFrame) -> pl.DataFrame:
    """The delay windows of each airport as of every full hour of the year."""
    hours = pl.int_range(moment_us(1, 1), moment_us(12, 31), HOUR_US, eager=True).alias("event_us").to_frame()
    asked = hours.join(departures.select("origin").unique().sort("origin"), how="cross")
    joined = join_timelines(asked, "event_us", [(ORIGIN_DELAYS, timeline(ORIGIN_DELAYS, departures.lazy()))]).frame
    values = [pl.col(f"{ORIGIN_DELAYS.name}.{feature}").alias(feature) for feature in ORIGIN_DELAYS.features]
    return joined.select("origin", "event_us", pl.col("event_us").alias("arrival_us"), *values)


def _datetime(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Int64).cast(pl.Datetime("us", "UTC"))


def _wide() -> pl.DataFrame:
    rng = np.random.default_rng(7)
    values = rng.normal(size=(WIDE_ENTITIES, WIDE_FEATURES))
    frame = pl.DataFrame(values, schema=list(WIDE.features))
    at = np.full(WIDE_ENTITIES, 1_380_000_000_000_000)
    return frame.with_columns(
        pl.Series("entity", [f"E{i:06d}" for i in range(WIDE_ENTITIES)]), event_us=pl.Series(at), arrival_us=pl.Series(at)
    )


if __name__ == "__main__":
    write_inputs(Path(sys.argv[1]))
