import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from leverframe.core.errors import Integrity, InvalidInput
from leverframe.training.export import check_self_contained, export_onnx
from leverframe.training.parity import TOLERANCE, parity, score_onnx
from leverframe.training.trainers.lightgbm import fit


def trained(seed, *, holes=True, **params):
    """A model on rounded values, so that many rows sit exactly on thresholds; column 2 never misses a value."""
    rng = np.random.default_rng(seed)
    matrix = np.round(rng.normal(size=(1_500, 3)) * 3, 1)
    labels = (matrix[:, 0] - matrix[:, 1] + rng.normal(size=1_500) > 0).astype(float)
    if holes:
        matrix[:, :2][rng.random((1_500, 2)) < 0.2] = np.nan
    model = fit(matrix, labels, column_names=("a", "b", "c"), params={"num_iterations": 25, "min_data_in_leaf": 5, **params}, seed=seed)
    return model, matrix


def hostile_rows(matrix):
    rows = matrix[:200].copy()
    rows[::3, 2] = np.nan  # a column that was never missing in training
    rows[::7] = np.nan
    rows[1::11] = np.inf
    rows[2::11] = -np.inf
    rows[3::11] = -0.0
    rows[4::11] = 1e-40
    return np.vstack([matrix, rows])


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([2, 5, 31]), st.booleans())
def test_both_runtimes_answer_alike_on_ties_holes_and_infinities(seed, leaves, holes):
    model, matrix = trained(seed, holes=holes, num_leaves=leaves)
    rows = hostile_rows(matrix)
    assert parity(export_onnx(model.text), rows, model.predict(rows)).worst <= TOLERANCE


def test_a_model_of_single_leaves_is_exported():
    model, matrix = trained(1, min_data_in_leaf=1_000_000, num_iterations=2)
    assert "num_leaves=1\n" in model.text
    answers = score_onnx(export_onnx(model.text), matrix)
    assert len(set(answers.tolist())) == 1
    np.testing.assert_allclose(answers, model.predict(matrix), atol=TOLERANCE)


def test_input_output_and_bytes_are_as_promised():
    model, matrix = trained(2)
    data = export_onnx(model.text)
    assert data == export_onnx(model.text), "the same text must give the same bytes"
    graph = onnx.load_model_from_string(data).graph
    (given_input,), (output,) = graph.input, graph.output
    assert (given_input.name, given_input.type.tensor_type.elem_type) == ("input", TensorProto.DOUBLE)
    assert given_input.type.tensor_type.shape.dim[1].dim_value == 3
    assert (output.name, output.type.tensor_type.elem_type) == ("probability", TensorProto.DOUBLE)
    for rows in (1, 2, 33):
        assert score_onnx(data, matrix[:rows]).shape == (rows,)


def test_float32_thresholds_would_take_other_branches():
    """Negative control: the usual converter, on the same model and rows, is a million times further off."""
    import lightgbm
    import onnxmltools
    import onnxruntime
    from onnxmltools.convert.common.data_types import FloatTensorType

    model, matrix = trained(3)
    booster = lightgbm.Booster(model_str=model.text)
    usual = onnxmltools.convert_lightgbm(booster, initial_types=[("input", FloatTensorType([None, 3]))], zipmap=False, target_opset=15)
    session = onnxruntime.InferenceSession(usual.SerializeToString(), providers=["CPUExecutionProvider"])
    answers = session.run(None, {"input": matrix.astype(np.float32)})[1][:, 1]
    usual_worst = np.abs(answers - model.predict(matrix)).max()
    ours = parity(export_onnx(model.text), matrix, model.predict(matrix)).worst
    assert ours < 1e-15
    assert usual_worst > 1e-8


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("objective=binary sigmoid:1", "objective=regression", "binary classifier"),
        ("objective=binary sigmoid:1", "objective=binary sigmoid:2", "binary classifier"),
        ("decision_type=", "decision_type=1 ", "cannot be exported"),
        ("is_linear=0", "is_linear=1", "linear"),
        ("left_child=", "left_child=99 ", "damaged"),
        ("threshold=", "threshold=x ", "damaged"),
    ],
)
def test_what_has_no_exact_form_is_refused(old, new, said):
    model, _ = trained(4)
    assert old in model.text
    with pytest.raises(InvalidInput, match=said):
        export_onnx(model.text.replace(old, new))


def external(tensor):
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def graph_with(initializers=(), nodes=()):
    value = helper.make_tensor_value_info("x", TensorProto.DOUBLE, [1])
    return helper.make_graph([*nodes, helper.make_node("Identity", ["x"], ["y"])], "g", [value], [], list(initializers))


@pytest.mark.parametrize(
    "graph",
    [
        lambda t: graph_with([t]),
        lambda t: graph_with(nodes=[helper.make_node("Constant", [], ["c"], value=t)]),
        lambda t: graph_with(nodes=[helper.make_node("If", ["x"], ["z"], then_branch=graph_with([t]), else_branch=graph_with())]),
    ],
)
def test_data_in_other_files_is_refused_at_any_depth(graph):
    tensor = numpy_helper.from_array(np.zeros(1), "w")
    check_self_contained(helper.make_model(graph(tensor)).SerializeToString())
    with pytest.raises(Integrity, match="other files"):
        check_self_contained(helper.make_model(graph(external(tensor))).SerializeToString())


def test_foreign_operators_and_other_bytes_are_refused():
    foreign = graph_with(nodes=[helper.make_node("PyOp", ["x"], ["z"], domain="ai.onnx.contrib")])
    with pytest.raises(Integrity, match="operators of its own"):
        check_self_contained(helper.make_model(foreign).SerializeToString())
    with pytest.raises(InvalidInput, match="not an ONNX model"):
        check_self_contained(b"\x80\x04pickle")
