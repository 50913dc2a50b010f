"""The four feature views of the flight-delay project, each declared once for training and for serving."""

from leverframe.core.clock import HOUR_US
from leverframe.core.feature import Aggregate, Expression, FeatureView

OWNER = "flight-operations"


def _delay_windows() -> tuple[Aggregate, ...]:
    """Mean and number of departure delays over the last 2 and 24 hours."""
    return tuple(
        Aggregate(
            name=f"{function}_{hours}h",
            function=function,
            column="dep_delay",
            window_us=hours * HOUR_US,
            description=f"{function} of departure delays (minutes) over {hours} h",
        )
        for hours in (2, 24)
        for function in ("mean", "count")
    )


ORIGIN_DELAYS = FeatureView(
    name="origin_delays",
    source="departures",
    entity=("origin",),
    event_time="departed_at",
    arrival_time="departed_at",
    aggregates=_delay_windows(),
    freshness_sla_us=8 * HOUR_US,
    owner=OWNER,
    description="How late flights have been leaving an airport; the airports sleep from about 1 to 5 in the morning.",
)

CARRIER_DELAYS = FeatureView(
    name="carrier_delays",
    source="departures",
    entity=("carrier",),
    event_time="departed_at",
    arrival_time="departed_at",
    aggregates=_delay_windows(),
    freshness_sla_us=8 * HOUR_US,
    owner=OWNER,
    description="How late an airline's flights have been leaving New York.",
)

ORIGIN_WEATHER = FeatureView(
    name="origin_weather",
    source="weather",
    entity=("origin",),
    event_time="observed_at",
    arrival_time="known_at",
    expressions=(
        Expression(name="temp", sql="temp", description="air temperature, °F"),
        Expression(name="dewp", sql="dewp", description="dew point, °F"),
        Expression(name="humid", sql="humid", description="relative humidity, %"),
        Expression(name="wind_speed", sql="wind_speed", description="mph"),
        Expression(name="wind_gust", sql="COALESCE(wind_gust, wind_speed)", description="mph; without a gust the steady wind"),
        Expression(name="precip", sql="precip", description="inches in the hour"),
        Expression(name="pressure", sql="pressure", description="millibar at sea level"),
        Expression(name="visib", sql="visib", description="visibility, miles"),
    ),
    ttl_us=6 * HOUR_US,
    freshness_sla_us=2 * HOUR_US,
    owner=OWNER,
    description="The newest full hour of weather at the airport of departure.",
)

PLANE_FACTS = FeatureView(
    name="plane_facts",
    source="planes",
    entity=("tailnum",),
    event_time="valid_from",
    arrival_time="valid_from",
    expressions=(
        Expression(name="age_years", sql="2013 - year", description="years since manufacture, in 2013"),
        Expression(name="seats", sql="seats"),
        Expression(name="engines", sql="engines"),
    ),
    owner=OWNER,
    description="What the registry says about an aircraft; about one flight in six flies a plane it does not list.",
)

VIEWS = (ORIGIN_DELAYS, CARRIER_DELAYS, ORIGIN_WEATHER, PLANE_FACTS)
