"""The compiled row and the matrix of core.assemble are one computation."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.installation import FLIGHT, PLAIN

from leverframe.core.assemble import assemble
from leverframe.core.errors import Refused
from leverframe.core.schema import InputColumn, RequestField, Signature
from leverframe.serving.engine.models import _without_defaults
from leverframe.serving.features.missing import missing_policy
from leverframe.serving.protocol import oip
from leverframe.serving.protocol.inputs import InputPlan, PackedTable
from leverframe.serving.protocol.row import RowPlan
from leverframe.serving.protocol.tensors import Tensor

number = st.none() | st.floats(allow_nan=False, width=64)
feature = st.just(float("nan")) | st.floats(allow_nan=False)


@given(
    carrier=st.none() | st.sampled_from(["AA", "B6", "UA", "XX", ""]),
    distance=number,
    at=st.integers(0, 4_000_000_000),
    features=st.lists(feature, min_size=4, max_size=4),
)
def test_row_equals_assemble(carrier, distance, at, features):
    request = {"origin": ["JFK"], "carrier": [carrier], "distance": [distance], "sched_dep_s": [at]}
    views = {"origin_delays": np.array([features[:2]]), "origin_weather": np.array([features[2:]])}
    plan, policy = RowPlan(FLIGHT), missing_policy(FLIGHT, ())
    row = plan.row({k: v[0] for k, v in request.items()}, {k: v[0].tolist() for k, v in views.items()})
    filled, lacking = policy.apply_row(row)
    expected = assemble(FLIGHT, request, views, 1)
    assert np.array_equal(np.array([filled]), expected, equal_nan=True)
    assert plan.pack(*filled) == expected.astype("<f8").tobytes()
    matrix, lacked = policy.apply(assemble(_without_defaults(FLIGHT), request, views, 1))
    assert np.array_equal(matrix, expected, equal_nan=True)
    assert lacked == lacking, "one row and many count missing values differently"


@given(st.lists(number, min_size=4, max_size=4))
def test_plain_rows_take_the_short_way_and_are_equal(values):
    request = {f"x{i}": [value] for i, value in enumerate(values)}
    row = RowPlan(PLAIN).row({k: v[0] for k, v in request.items()}, {})
    assert np.array_equal(np.array([row], dtype=float), assemble(PLAIN, request, {}, 1), equal_nan=True)


def test_disabled_features_are_missing_on_purpose():
    policy = missing_policy(FLIGHT, ["origin_delays.count_2h", "origin_weather.*"])
    assert policy.disabled == ("delays", "wind")
    assert policy.off_views == {"origin_weather"}
    row, lacking = policy.apply_row([1.0, 2.0, 3.0, float("nan"), 5.0, 6.0])
    assert row[:3] == [1.0, 2.0, 3.0]
    assert math.isnan(row[3])
    assert row[4] == 0.0, "a disabled feature takes its declared default"
    assert math.isnan(row[5])
    assert lacking.missing == ("delay",), "what was switched off counts as missing"
    matrix, lacked = policy.apply(np.array([[1.0, 2.0, 3.0, np.nan, 5.0, 6.0]]))
    assert np.array_equal(matrix, np.array([row]), equal_nan=True)
    assert lacked == lacking


def test_a_column_may_refuse_and_names_itself():
    signature = Signature(
        request=(RequestField(name="x", datatype="FP64"), RequestField(name="y", datatype="FP64")),
        columns=(
            InputColumn(name="x", source="request", field="x", on_missing="refuse"),
            InputColumn(name="y", source="request", field="y"),
        ),
    )
    policy = missing_policy(signature, ())
    for apply in (lambda: policy.apply_row([float("nan"), 1.0]), lambda: policy.apply(np.array([[1.0, 1.0], [np.nan, 1.0]]))):
        with pytest.raises(Refused) as caught:
            apply()
        assert [fault.where for fault in caught.value.faults] == ["x"], "a value it does not do without was missing, and it answered"


@given(st.lists(st.lists(number, min_size=4, max_size=4), min_size=2, max_size=5))
def test_a_table_is_scored_as_it_came_and_equals_its_fields(rows):
    """One tensor of several rows, and one tensor a field, make one matrix."""
    packed = oip.InferDocument([Tensor("rows", [len(rows), 4], "FP64", msgspec.Raw(msgspec.json.encode([v for row in rows for v in row])))])
    fields = oip.InferDocument(
        [Tensor(f"x{i}", [len(rows)], "FP64", msgspec.Raw(msgspec.json.encode([row[i] for row in rows]))) for i in range(4)]
    )
    table, _ = InputPlan(PLAIN).read(packed)
    columns, _ = InputPlan(PLAIN).read(fields)
    assert isinstance(table, PackedTable)
    assert dict(table).keys() == columns.keys()
    assert np.array_equal(table.table, assemble(PLAIN, columns, {}, len(rows)), equal_nan=True)
    assert np.array_equal(assemble(PLAIN, table, {}, len(rows)), table.table, equal_nan=True)


finite = st.none() | st.floats(allow_nan=False, allow_infinity=False)  # JSON has no infinity


@given(st.lists(st.tuples(st.lists(finite, min_size=3, max_size=3), finite), min_size=1, max_size=4))
def test_vectors_make_one_matrix_by_row_and_by_table_and_as_training_reads_them(rows):
    signature = Signature(
        request=(RequestField(name="e", datatype="FP64", width=3, required=False), RequestField(name="x", datatype="FP64")),
        columns=(
            InputColumn(name="e2", source="request", field="e", element=2),
            InputColumn(name="x", source="request", field="x"),
            InputColumn(name="e0", source="request", field="e", element=0, on_missing="default", default=7.0),
        ),
    )
    raw, count = _without_defaults(signature), len(rows)
    tensors = [
        Tensor("e", [count, 3], "FP64", msgspec.Raw(msgspec.json.encode([e for e, _ in rows]))),
        Tensor("x", [count], "FP64", msgspec.Raw(msgspec.json.encode([x for _, x in rows]))),
    ]
    columns, _ = InputPlan(signature).read(oip.InferDocument(tensors))
    table = assemble(raw, columns, {}, count)
    assert np.array_equal(table, assemble(raw, {"e": [e for e, _ in rows], "x": [x for _, x in rows]}, {}, count), equal_nan=True)
    for index, (e, x) in enumerate(rows):
        sent = [
            Tensor("e", [1, 3], "FP64", msgspec.Raw(msgspec.json.encode(e))),
            Tensor("x", [1], "FP64", msgspec.Raw(msgspec.json.encode([x]))),
        ]
        one, _ = InputPlan(signature).read(oip.InferDocument(sent))
        row = RowPlan(signature).row({name: column[0] for name, column in one.items()}, {})
        assert np.array_equal(np.array(row), table[index], equal_nan=True)
    absent, _ = InputPlan(signature).read(oip.InferDocument(tensors[1:]))
    assert np.isnan(assemble(raw, absent, {}, count)[:, 0]).all()
