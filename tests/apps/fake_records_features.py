"""Plausible views, jobs and parity."""

import msgspec
import numpy as np
import polars as pl
from tests.apps.fake_records_moment import NOW_US, digest
from tests.apps.fake_records_watch import monitor

from leverframe.apps.platform import views
from leverframe.core.clock import HOUR_US, MINUTE_US
from leverframe.core.feature import Expression, FeatureView
from leverframe.core.feature_page import AgePoint, EndpointReader
from leverframe.core.feature_service import Entity, EntityKey, FeatureService, ServedFeature
from leverframe.features.materialization.jobs import JobRecord
from leverframe.features.parity_verdicts import FeatureVerdict, ParityRecord, SkewExample
from leverframe.features.timelines.distribution import distributions

WEATHER = FeatureView(
    name="origin_weather",
    source="weather",
    entity=("origin",),
    event_time="observed_at",
    arrival_time="known_at",
    expressions=(Expression(name="wind_speed", sql="wind_speed", description="mph"), Expression(name="visib", sql="visib")),
    ttl_us=6 * HOUR_US,
    freshness_sla_us=2 * HOUR_US,
    owner="flight-operations",
    description="The newest hourly weather at the airport that could be known at that moment.",
)


AIRPORT = Entity(name="airport", keys=(EntityKey(name="origin"),), team="flights", owner="flight-operations", description="By IATA code.")


SERVICE = FeatureService(
    name="delay_inputs",
    team="flights",
    owner="flight-operations",
    features=(ServedFeature(view="origin_weather", feature="wind_speed", name="wind"),),
    description="What the delay models take from the weather.",
)


def feature_detail(name: str) -> views.FeatureDetailView:
    """A week of hourly materialisations, three of them missed, and values from a fixed seed."""
    seeded = np.random.default_rng(7)
    wind = pl.Series(np.where(seeded.random(4_000) < 0.03, np.nan, seeded.gamma(3.0, 4.0, 4_000))).fill_nan(None)
    ages = tuple(
        AgePoint(at_us=NOW_US - hour * HOUR_US, watermark_us=NOW_US - hour * HOUR_US - 20 * MINUTE_US)
        for hour in range(48, 0, -1)
        if hour not in (20, 21, 22)
    )
    view = msgspec.structs.replace(WEATHER, name=name)
    source = pl.LazyFrame(
        {"origin": ["JFK"] * 4_000, "observed_at": range(4_000), "known_at": range(4_000), "wind_speed": wind, "visib": wind}
    )
    return views.FeatureDetailView(
        view=view,
        version=digest("w"),
        team="flights",
        contract_version="1.0.0",
        snapshot=digest("weather1"),
        freshness=monitor().freshness[0],
        store_version=digest("w"),
        ages=ages,
        services=("delay_inputs",),
        models=("flight-delay",),
        endpoints=(
            EndpointReader(
                endpoint="prod/flight-delay", version="flight-delay@v2", view_version=digest("w"), features=("wind_speed",), current=True
            ),
            EndpointReader(
                endpoint="prod/flight-delay", version="flight-delay@v3", view_version=digest("v"), features=("wind_speed",), current=False
            ),
        ),
        distributions=distributions(view, source, hidden=("visib",)),
        in_time_share=0.972,
        jobs=(job(),),
        parity=(parity(),),
    )


def job() -> JobRecord:
    return JobRecord(
        id="mat-0001",
        view="origin_weather",
        view_version=digest("w"),
        source="weather",
        mode="incremental",
        snapshot=digest("weather"),
        from_us=0,
        to_us=NOW_US,
        started_by="ana",
        started_at_us=NOW_US,
        status="done",
        partitions=1,
        partitions_done=1,
        rows=1_000,
        bytes=500,
        seconds=0.5,
        cpu_seconds=0.4,
        price=0.00001,
        entities=3,
        watermark_us=NOW_US,
        finished_at_us=NOW_US,
    )


def parity() -> views.ParityView:
    skew = SkewExample(prediction="p-1", asked_at_us=NOW_US, served=12.0, offline=None)
    found = ParityRecord(
        view="origin_weather",
        view_version=digest("w"),
        endpoint="flight-delay",
        version="flight-delay@v2",
        at_us=NOW_US,
        questions=400,
        features=(
            FeatureVerdict(feature="wind_speed", cells=400, equal=390, late=6, answer="fail", examples=(skew,)),
            FeatureVerdict(feature="visib", cells=400, equal=400, late=0, answer="pass"),
        ),
    )
    return views.ParityView(found=found, answer=found.answer)
