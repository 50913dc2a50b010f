"""Entities and feature services: what handlers put and refuse, and whom a change would break."""

import msgspec
import pytest
from tests.features.test_commands import Rows

from leverframe.core.errors import Conflict, InvalidInput, NotFound, Refused, SchemaMismatch
from leverframe.core.feature import Expression, FeatureView
from leverframe.core.feature_service import (
    KIND_SERVICE,
    Entity,
    EntityKey,
    FeatureService,
    ServedFeature,
    service_version,
    with_service,
)
from leverframe.core.model import ModelSpec
from leverframe.core.schema import InputColumn, RequestField
from leverframe.features.commands import KIND_VIEW, ApplyView, apply_view
from leverframe.features.services import ApplyEntity, ApplyService, apply_entity, apply_service, check_keys
from leverframe.training.commands import ApplyModel, apply_model

replace = msgspec.structs.replace

VIEW = FeatureView(
    name="weather",
    source="hours",
    entity=("origin",),
    event_time="e",
    arrival_time="a",
    expressions=(Expression(name="wind", sql="w"), Expression(name="rain", sql="r")),
)
SERVICE = FeatureService(
    name="inputs",
    team="flights",
    owner="ops",
    features=(ServedFeature(view="weather", feature="wind"), ServedFeature(view="weather", feature="rain", name="rain_mm")),
)
SPEC = ModelSpec(
    name="late",
    description="d",
    owner="ops",
    team="flights",
    runbook="r",
    dataset="flights",
    label="late",
    request=(RequestField(name="origin", datatype="BYTES", entity=True),),
    service="inputs",
)


@pytest.fixture
def rows() -> Rows:
    held = Rows()
    held.put(KIND_VIEW, "weather", VIEW)
    return held


def test_a_service_is_recorded_with_a_version_that_words_do_not_change(rows: Rows) -> None:
    said = apply_service(ApplyService(service=SERVICE), rows)
    assert said == {"service": "inputs", "version": service_version(SERVICE)}
    assert rows.held[KIND_SERVICE, "inputs"] == SERVICE
    assert service_version(replace(SERVICE, owner="others", description="words", tags=("x",))) == service_version(SERVICE)
    assert service_version(replace(SERVICE, features=SERVICE.features[:1])) != service_version(SERVICE)
    plain = replace(SERVICE.features[0], name="wind")
    assert service_version(replace(SERVICE, features=(plain, SERVICE.features[1]))) == service_version(SERVICE), "the same name, stated"


def test_every_fault_of_a_service_is_named_with_what_is_closest(rows: Rows) -> None:
    faulty = replace(
        SERVICE,
        name="In puts",
        features=(
            ServedFeature(view="wether", feature="wind"),
            ServedFeature(view="weather", feature="winds"),
            ServedFeature(view="weather", feature="rain", name="winds"),
        ),
    )
    with pytest.raises(InvalidInput) as refused:
        apply_service(ApplyService(service=faulty), rows)
    assert [(f.what, f.expected) for f in refused.value.faults] == [
        ("not a name", "lower-case letters, digits, underscores; up to 63"),
        ("two share a name: rename one", ""),
        ("no such feature view", "weather"),
        ("no such feature of weather", "wind"),
    ]


def test_a_model_takes_a_service_and_keeps_what_it_states_itself(rows: Rows) -> None:
    apply_service(ApplyService(service=SERVICE), rows)
    stated = InputColumn(name="wind", source="view", view="weather", feature="wind", on_missing="default", default=3.0)
    columns = with_service(replace(SPEC, columns=(stated,)), {"inputs": SERVICE}).columns
    assert [(c.name, c.feature, c.on_missing) for c in columns] == [("wind", "wind", "default"), ("rain_mm", "rain", "nan")]
    assert apply_model(ApplyModel(spec=replace(SPEC, baseline="rain_mm")), rows) == {"model": "late"}
    with pytest.raises(InvalidInput, match="no such input column"):
        apply_model(ApplyModel(spec=replace(SPEC, baseline="rain")), rows)
    with pytest.raises(NotFound, match="no such feature service"):
        apply_model(ApplyModel(spec=replace(SPEC, service="nowhere")), rows)


def test_a_column_that_a_model_takes_goes_only_when_that_was_said(rows: Rows) -> None:
    apply_service(ApplyService(service=SERVICE), rows)
    apply_model(ApplyModel(spec=SPEC), rows)
    less = replace(SERVICE, features=SERVICE.features[:1])
    other = replace(SERVICE, features=(SERVICE.features[0], ServedFeature(view="weather", feature="wind", name="rain_mm")))
    with pytest.raises(Refused, match=r"inputs\.rain_mm: the column goes \(read by model late\)"):
        apply_service(ApplyService(service=less), rows)
    with pytest.raises(Refused, match=r"becomes weather\.wind instead of weather\.rain"):
        apply_service(ApplyService(service=other), rows)
    assert rows.held[KIND_SERVICE, "inputs"] == SERVICE
    apply_service(ApplyService(service=less, allow_breaking=True), rows)
    assert rows.held[KIND_SERVICE, "inputs"] == less


def test_a_feature_that_a_service_or_a_model_reads_goes_only_when_that_was_said(rows: Rows) -> None:
    apply_service(ApplyService(service=SERVICE), rows)
    apply_model(ApplyModel(spec=SPEC), rows)
    with pytest.raises(Refused, match=r"weather\.rain: the feature goes \(read by service inputs, model late\)"):
        apply_view(ApplyView(view=replace(VIEW, expressions=VIEW.expressions[:1])), rows)
    with pytest.raises(Refused, match="the key changes"):
        apply_view(ApplyView(view=replace(VIEW, entity=("dest",))), rows)
    more = replace(VIEW, expressions=(*VIEW.expressions, Expression(name="snow", sql="s")))
    apply_view(ApplyView(view=more), rows)
    apply_view(ApplyView(view=VIEW), rows)  # nobody reads snow: it may go
    apply_view(ApplyView(view=replace(VIEW, expressions=VIEW.expressions[:1]), allow_breaking=True), rows)


def test_a_service_stays_with_its_team(rows: Rows) -> None:
    apply_service(ApplyService(service=SERVICE), rows)
    with pytest.raises(Conflict, match="another team"):
        apply_service(ApplyService(service=replace(SERVICE, team="hotels")), rows)


def test_an_entity_is_checked_and_says_which_type_its_key_has(rows: Rows) -> None:
    airport = Entity(name="airport", keys=(EntityKey(name="origin"),), team="flights")
    assert apply_entity(ApplyEntity(entity=airport), rows) == {"entity": "airport"}
    with pytest.raises(InvalidInput, match="named twice"):
        apply_entity(ApplyEntity(entity=replace(airport, keys=airport.keys * 2)), rows)
    check_keys([airport], "origin", "text", "view weather")
    check_keys([airport], "carrier", "integer", "view other")
    with pytest.raises(SchemaMismatch, match="expected text, got integer"):
        check_keys([airport], "origin", "integer", "view weather")
