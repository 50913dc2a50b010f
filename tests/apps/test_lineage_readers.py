"""Who loses something with a column: only those, down to the endpoints, and the same inside and outside of a change."""

from typing import Any

import msgspec
import pytest

from leverframe.apps.platform.lineage_bundles import Frozen
from leverframe.apps.platform.lineage_readers import build
from leverframe.core.consumers import consumers_of
from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.core.feature_service import FeatureService, ServedFeature
from leverframe.core.model import ModelSpec, ModelVersion
from leverframe.core.route import Arm, Endpoint, Fallback
from leverframe.core.schema import InputColumn, RequestField, Signature
from leverframe.data.contract.contracts import Column, Contract
from leverframe.features.declared.definitions import view_version

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
GAP = InputColumn(name="dryness", source="view", view="weather", feature="gap")
WIND = InputColumn(name="w", source="view", view="weather", feature="wind")


def model(name: str, **facts: object) -> ModelSpec:
    plain = {"description": "d", "owner": "o", "team": "t", "runbook": "r", "dataset": "flights", "label": "late", "request": ()}
    return ModelSpec(name=name, **{**plain, **facts})  # type: ignore[arg-type]


BY_SERVICE = model("by_service", service="at_origin")
BY_VIEW = model("by_view", columns=(WIND,))
BY_ROWS = model(
    "by_rows",
    columns=(InputColumn(name="speed", source="request", field="distance"),),
    request=(RequestField(name="distance", datatype="FP64"),),
    prepare={"speed": "distance / hours"},
)


def version(spec: ModelSpec) -> ModelVersion:
    return ModelVersion(
        model=spec.name,
        number=1,
        bundle=spec.name,
        envelope="",
        run_id="r",
        created_by="ana",
        created_at_us=0,
        risk_tier="low",
        gates="pass",
    )


def endpoint(name: str, spec: ModelSpec) -> Endpoint:
    return Endpoint(name=name, arms=(Arm(version=f"{spec.name}@v1", bundle=spec.name, envelope="", weight=100.0, role="live"),))


OLDER = msgspec.structs.replace(WEATHER, expressions=(WEATHER.expressions[0], Expression(name="wind", sql="breeze")))
TRAINED = {"by_service": (BY_SERVICE, GAP, WEATHER), "by_view": (BY_VIEW, WIND, OLDER)}


def frozen(version: ModelVersion | Arm) -> Frozen:
    """What each bundle says; by_view was trained when the wind was still made of another column."""
    spec, column, view = TRAINED[version.bundle]
    return Frozen(
        spec=spec,
        signature=Signature(request=(), columns=(column,)),
        snapshots={},
        feature_views={view.name: view_version(view)},
        views={view.name: view},
        imported=False,
    )


def contract(dataset: str, *columns: str) -> Contract:
    described = tuple(Column(name=c, logical_type="string", physical_type="string") for c in columns)
    return Contract(name=dataset, version="1.0.0", dataset=dataset, owner="o", team="t", columns=described)


class Declared:
    """Records by kind and id, found as a ledger finds them."""

    def __init__(self, records: dict[str, dict[str, Any]]) -> None:
        self._records = records

    def find(self, kind: str, type: Any, *, prefix: str = "") -> list[Any]:
        return [record for id, record in self._records.get(kind, {}).items() if id.startswith(prefix)]


LEDGER = Declared(
    {
        "contract": {
            "observations": contract(
                "observations", "temp", "dewp", "wind", "gust", "pressure", "quality", "origin", "seen_at", "known_at"
            ),
            "departures": contract("departures", "delay", "left_at", "origin"),
            "flights": contract("flights", "late", "hours", "distance", "origin"),
        },
        "view": {"weather": WEATHER, "delays": DELAYS},
        "feature_service": {"at_origin": SERVICE},
        "model": {m.name: m for m in (BY_SERVICE, BY_VIEW, BY_ROWS)},
        "model_version": {"by_service/1": version(BY_SERVICE), "by_view/1": version(BY_VIEW)},
        "endpoint": {"prod/main": endpoint("main", BY_SERVICE), "prod/trial": endpoint("trial", BY_VIEW), "test/x": endpoint("x", BY_VIEW)},
    }
)


def readers(dataset: str, *columns: str) -> dict[str, str]:
    graph, _ = build(LEDGER, frozen, "prod")
    return {consumer.name: consumer.through for consumer in consumers_of(graph, dataset, columns)}


@pytest.mark.parametrize(
    ("dataset", "columns", "names"),
    [
        (
            "observations",
            ["dewp"],
            ["feature weather.gap", "service at_origin", "model by_service", "endpoint prod/main"],
        ),
        ("observations", ["gust"], ["feature weather.wind", "model by_view"]),
        ("observations", ["breeze"], ["endpoint prod/trial"]),
        ("observations", ["pressure"], []),
        ("observations", [], []),
        ("departures", ["delay"], ["feature delays.mean_2h"]),
        ("departures", ["left_at"], ["feature delays.count_2h", "feature delays.mean_2h"]),
        ("flights", ["hours"], ["model by_rows"]),
        ("flights", ["late"], ["model by_rows", "model by_service", "model by_view"]),
        ("nowhere", ["*"], []),
    ],
)
def test_those_who_lose_a_column_are_named_and_no_others(dataset: str, columns: list[str], names: list[str]) -> None:
    """A version in service reads what its bundle says, not what its model's declaration became; one that learned from a label goes on."""
    assert list(readers(dataset, *columns)) == names


@pytest.mark.parametrize("column", ["quality", "origin", "known_at", "*"])
def test_keys_moments_and_filters_are_read_by_every_feature(column: str) -> None:
    found = readers("observations", column)
    assert list(found) == [
        "feature weather.gap",
        "feature weather.wind",
        "service at_origin",
        "model by_service",
        "model by_view",
        "endpoint prod/main",
        "endpoint prod/trial",
    ]
    assert (found["service at_origin"], found["model by_service"]) == ("weather.gap", "at_origin.dryness")
    assert found["endpoint prod/trial"] == "by_view@v1"


def test_a_version_whose_bundle_is_damaged_hides_nobody_else() -> None:
    graph, _ = build(LEDGER, lambda version: None if version.bundle == "by_service" else frozen(version), "prod")
    names = [consumer.name for consumer in consumers_of(graph, "observations", ["quality"])]
    assert "endpoint prod/trial" in names
    assert "endpoint prod/main" not in names, "what a damaged bundle reads is not known; its model is named all the same"
    assert "model by_service" in names


def test_the_version_to_fall_back_on_is_a_reader_too() -> None:
    main = msgspec.structs.replace(endpoint("main", BY_SERVICE), fallback=Fallback(last_good=endpoint("x", BY_VIEW).arms[0]))
    ledger = Declared({**LEDGER._records, "endpoint": {"prod/main": main}})
    graph, _ = build(ledger, frozen, "prod")
    assert [consumer.name for consumer in consumers_of(graph, "observations", ["breeze"])] == ["endpoint prod/main"]
