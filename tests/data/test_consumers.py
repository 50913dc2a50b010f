"""Who reads a column: only those, and everyone down to the endpoints."""

import pytest

from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.core.feature_service import FeatureService, ServedFeature
from leverframe.core.model import ModelSpec
from leverframe.core.schema import InputColumn, RequestField
from leverframe.data.contract.consumers import Declared, consumers_of

WEATHER = FeatureView(
    name="weather",
    source="observations",
    entity=("origin",),
    event_time="seen_at",
    arrival_time="known_at",
    where="quality > 0",
    expressions=(Expression(name="gap", sql="temp - dewp"), Expression(name="wind", sql="coalesce(wind, gust)")),
)
DELAYS = FeatureView(
    name="delays",
    source="departures",
    entity=("origin",),
    event_time="left_at",
    arrival_time="left_at",
    aggregates=(
        Aggregate(name="mean_2h", function="mean", column="delay", window_us=1),
        Aggregate(name="count_2h", function="count", window_us=1),
    ),
)
SERVICE = FeatureService(name="at_origin", team="t", features=(ServedFeature(view="weather", feature="gap", name="dryness"),))


def model(name: str, **facts: object) -> ModelSpec:
    plain = {"description": "d", "owner": "o", "team": "t", "runbook": "r", "dataset": "flights", "label": "late", "request": ()}
    return ModelSpec(name=name, **{**plain, **facts})  # type: ignore[arg-type]


WHO = Declared(
    views=[WEATHER, DELAYS],
    services=[SERVICE],
    models=[
        model("by_service", service="at_origin"),
        model("by_view", columns=(InputColumn(name="w", source="view", view="weather", feature="wind"),)),
        model("by_rows", request=(RequestField(name="distance", datatype="FP64"),), prepare={"speed": "distance / hours"}),
    ],
    endpoints=[("prod", frozenset({"by_service", "gone"})), ("trial", frozenset({"by_view"}))],
)


@pytest.mark.parametrize(
    ("dataset", "columns", "names"),
    [
        ("observations", ["dewp"], ["feature weather.gap", "service at_origin", "model by_service", "endpoint prod"]),
        ("observations", ["gust"], ["feature weather.wind", "model by_view", "endpoint trial"]),
        ("observations", ["pressure"], []),
        ("observations", [], []),
        ("departures", ["delay"], ["feature delays.mean_2h"]),
        ("departures", ["left_at"], ["feature delays.mean_2h", "feature delays.count_2h"]),
        ("flights", ["hours"], ["model by_rows"]),
        ("flights", ["late"], ["model by_service", "model by_view", "model by_rows", "endpoint prod", "endpoint trial"]),
    ],
)
def test_those_who_read_a_column_are_named_and_no_others(dataset: str, columns: list[str], names: list[str]) -> None:
    assert [consumer.name for consumer in consumers_of(dataset, columns, WHO)] == names


@pytest.mark.parametrize("columns", [["quality"], ["origin"], ["known_at"], ["*"]])
def test_keys_moments_and_filters_are_read_by_every_feature(columns: list[str]) -> None:
    found = {consumer.name: consumer.through for consumer in consumers_of("observations", columns, WHO)}
    assert list(found) == [
        "feature weather.gap",
        "feature weather.wind",
        "service at_origin",
        "model by_service",
        "model by_view",
        "endpoint prod",
        "endpoint trial",
    ]
    assert found["model by_service"] == "weather.gap"
    assert found["endpoint prod"] == "by_service"
