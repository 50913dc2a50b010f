"""Signatures: bound to view versions, and every wrong reference named."""

import msgspec
import pytest

from leverframe.core.errors import SchemaMismatch
from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.core.model import ModelSpec
from leverframe.core.schema import InputColumn, RequestField, ViewBinding
from leverframe.features.declared.bindings import binding, signature
from leverframe.features.declared.definitions import view_version

WEATHER = FeatureView(
    name="weather",
    source="s",
    entity=("origin",),
    event_time="e",
    arrival_time="a",
    expressions=(Expression(name="temp", sql="temp"), Expression(name="wind", sql="wind")),
    ttl_us=60,
)
DELAYS = FeatureView(
    name="delays",
    source="d",
    entity=("carrier",),
    event_time="e",
    arrival_time="a",
    aggregates=(Aggregate(name="n", function="count", window_us=5),),
    ttl_us=60,
)
SPEC = ModelSpec(
    name="m",
    description="",
    owner="o",
    team="t",
    runbook="",
    dataset="d",
    label="late",
    request=(RequestField(name="origin", datatype="BYTES", entity=True), RequestField(name="distance", datatype="FP64")),
    columns=(
        InputColumn(name="distance", source="request", field="distance"),
        InputColumn(name="t", source="view", view="weather", feature="temp"),
    ),
)


def test_a_signature_binds_the_views_its_columns_use_and_no_others() -> None:
    made = signature(SPEC, [DELAYS, WEATHER])
    version = view_version(WEATHER)
    assert made.views == (
        ViewBinding(view="weather", view_version=version, entity_fields=("origin",), features=("temp", "wind"), ttl_us=60),
    )
    assert (made.request, made.columns, made.outputs) == (SPEC.request, SPEC.columns, SPEC.outputs)


def test_aggregates_expire_by_their_window_and_not_by_ttl() -> None:
    assert binding(DELAYS).ttl_us == 0


def test_every_wrong_reference_is_named_with_the_closest_right_one() -> None:
    columns = (
        InputColumn(name="a", source="view", view="wether", feature="temp"),
        InputColumn(name="b", source="view", view="weather", feature="tmp"),
        InputColumn(name="c", source="request", field="distanse"),
        InputColumn(name="d", source="view", view="delays", feature="n"),
    )
    with pytest.raises(SchemaMismatch) as caught:
        signature(msgspec.structs.replace(SPEC, columns=columns), [DELAYS, WEATHER])
    assert [(f.where, f.what, f.expected) for f in caught.value.faults] == [
        ("a", "no such feature view", "weather"),
        ("b (weather.tmp)", "no such feature in the view", "temp"),
        ("c", "no such request field", "distance"),
        ("delays.carrier", "the request lacks the entity key", "carrier"),
    ]
