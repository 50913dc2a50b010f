from datetime import timedelta

import pandas as pd
from feast import Entity, FeatureService, FeatureView, Field, FileSource, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Bool, Float32, Float64, Int32, Int64, String
from feast.value_type import ValueType

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64, description="who drives", tags={"area": "rides"})
city = Entity(name="city", join_keys=["city"], value_type=ValueType.STRING)
stats_source = FileSource(
    name="driver_stats", path="driver_stats.parquet", timestamp_field="event_timestamp", created_timestamp_column="created"
)
driver_stats = FeatureView(
    name="driver_hourly_stats",
    entities=[driver],
    ttl=timedelta(days=1),
    schema=[
        Field(name="conv_rate", dtype=Float32, description="share of offers taken"),
        Field(name="acc_rate", dtype=Float64),
        Field(name="trips", dtype=Int64),
        Field(name="active", dtype=Bool),
        Field(name="grade", dtype=String),
    ],
    source=stats_source,
    owner="mobility@example.org",
    tags={"team": "mobility"},
    description="what a driver did in the last hour",
)
pair_source = FileSource(name="pairs", path="pairs.parquet", timestamp_field="event_timestamp")
driver_city = FeatureView(
    name="DriverCity",
    entities=[driver, city],
    ttl=timedelta(0),
    schema=[Field(name="visits", dtype=Int32), Field(name="conv_rate", dtype=Float64)],
    source=pair_source,
)
vals = RequestSource(name="vals", schema=[Field(name="extra", dtype=Int64)])


@on_demand_feature_view(sources=[driver_stats, vals], schema=[Field(name="rate_plus", dtype=Float64)])
def rate_plus(inputs: pd.DataFrame) -> pd.DataFrame:
    out = pd.DataFrame()
    out["rate_plus"] = inputs["conv_rate"] + inputs["extra"]
    return out


activity = FeatureService(
    name="driver_activity_v1",
    features=[driver_stats[["conv_rate", "trips", "grade"]], driver_city, rate_plus],
    owner="mobility@example.org",
    description="what the eta model takes",
)
