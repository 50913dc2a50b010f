"""The rows both sides get, as Parquet: every flight of 2013 as a question, and the sources to look features up in."""

import sys
from pathlib import Path

import numpy as np
import polars as pl

from leverframe.apps.demo.project.features import PLANE_FACTS
from leverframe.apps.demo.project.prepare import datasets, moment_us
from leverframe.core.clock import HOUR_US, MINUTE_US
from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.features.rows.source_rows import source_rows
from leverframe.features.training_sets.point_in_time import training_set

WEATHER_COLUMNS = ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")
WEATHER_TTL_US = 6 * HOUR_US
DELAYS_TTL_US = 6 * HOUR_US
DELAYS_EVERY_US = 15 * MINUTE_US
CORRECTED_SHARE = 0.1
CORRECTED_AFTER_US = 3 * HOUR_US
WIDE_FEATURES = 20
WIDE_ENTITIES = 20_000
WIDE_AT_US = 1_380_000_000_000_000
KNOWN = "known_us"
"""A feature that is its own row's arrival time: whoever answers with it says what the answer comes from."""

DELAYS = FeatureView(
    name="delays_of_departures",
    source="departures",
    entity=("origin",),
    event_time="departed_at",
    arrival_time="departed_at",
    aggregates=tuple(
        Aggregate(name=f"{function}_{hours}h", function=function, column="dep_delay", window_us=hours * HOUR_US)
        for function, hours in (*((f, h) for h in (1, 2, 6, 24) for f in ("mean", "count")), ("sum", 24))
    ),
)


def _view(name: str, key: str, features: tuple[str, ...], ttl_us: int) -> FeatureView:
    return FeatureView(
        name=name,
        source=name,
        entity=(key,),
        event_time="event_us",
        arrival_time="arrival_us",
        expressions=tuple(Expression(name=feature, sql=feature) for feature in features),
        ttl_us=ttl_us,
    )


# The windows are computed beforehand, every quarter of an hour, for Feast's offline store can do neither windows nor every change: its join
# pairs each question with every row within the TTL before it picks one. At five minutes that takes minutes and spills to disk; at every
# change the disk was full. Both sides join the same rows of (moment, values).
VIEWS = (
    _view("weather", "origin", WEATHER_COLUMNS, WEATHER_TTL_US),
    _view("delays", "origin", DELAYS.features, DELAYS_TTL_US),
    _view("planes", "tailnum", PLANE_FACTS.features, 0),
)
CORRECTED = _view("corrected", "origin", (*WEATHER_COLUMNS, KNOWN), WEATHER_TTL_US)
WIDE = _view("wide", "entity", tuple(f"f{i:02d}" for i in range(WIDE_FEATURES)), 0)
EXPIRED = _view("expired", "entity", WIDE.features, HOUR_US)
"""The rows of ``wide`` with a time to live that is over long before anybody asks."""


def write_inputs(folder: Path) -> None:
    """Write ``questions``, the sources, ``corrected`` (weather, a tenth of it issued again later) and ``wide`` (for online reads)."""
    data = datasets()
    questions = data["flights"].select("origin", "tailnum", "asked_at").sort("asked_at", maintain_order=True).with_row_index("row")
    questions.with_columns(_datetime("asked_at")).write_parquet(folder / "questions.parquet")
    weather = (
        data["weather"]
        .filter(pl.col("origin").is_not_null())
        .select(
            "origin",
            pl.col("observed_at").alias("event_us"),
            pl.col("known_at").alias("arrival_us"),
            *(pl.col(column).cast(pl.Float64) for column in WEATHER_COLUMNS),
        )
    )
    sources = {
        "weather": weather,
        "corrected": _corrected(weather),
        "delays": _regular_delays(data["departures"]),
        "planes": source_rows(PLANE_FACTS, data["planes"].lazy()),
        "wide": _wide(),
    }
    for name, frame in sources.items():
        frame.with_columns(_datetime("event_us"), _datetime("arrival_us")).write_parquet(folder / f"{name}.parquet")


def _corrected(weather: pl.DataFrame) -> pl.DataFrame:
    """Every report, and a tenth of them once more: the same hour, other values, known three hours later."""
    drawn = np.random.default_rng(5).random(weather.height) < CORRECTED_SHARE
    again = weather.filter(pl.Series(drawn)).with_columns(
        pl.col("arrival_us") + CORRECTED_AFTER_US, *(pl.col(column) + 0.5 for column in WEATHER_COLUMNS)
    )
    rows = pl.concat([weather, again]).sort("arrival_us", maintain_order=True)
    return rows.with_columns(pl.col("arrival_us").cast(pl.Float64).alias(KNOWN))


def _regular_delays(departures: pl.DataFrame) -> pl.DataFrame:
    """The delay windows of each airport as of every quarter of an hour of the year."""
    moments = pl.int_range(moment_us(1, 1), moment_us(12, 31), DELAYS_EVERY_US, eager=True).alias("event_us").to_frame()
    asked = moments.join(departures.select("origin").unique().sort("origin"), how="cross")
    joined = training_set(asked, "event_us", [(DELAYS, departures.lazy())]).frame
    values = [pl.col(f"{DELAYS.name}.{feature}").alias(feature) for feature in DELAYS.features]
    return joined.select("origin", "event_us", pl.col("event_us").alias("arrival_us"), *values)


def _datetime(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Int64).cast(pl.Datetime("us", "UTC"))


def _wide() -> pl.DataFrame:
    rng = np.random.default_rng(7)
    values = rng.normal(size=(WIDE_ENTITIES, WIDE_FEATURES))
    frame = pl.DataFrame(values, schema=list(WIDE.features))
    at = np.full(WIDE_ENTITIES, WIDE_AT_US)
    return frame.with_columns(
        pl.Series("entity", [f"E{i:06d}" for i in range(WIDE_ENTITIES)]), event_us=pl.Series(at), arrival_us=pl.Series(at)
    )


if __name__ == "__main__":
    write_inputs(Path(sys.argv[1]))
