"""A model that costs as much as a test wants: a plain ONNX network with the same layer over and over."""

from collections.abc import Mapping

import msgspec
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from leverframe.core.model import GOLDEN, MODEL_ONNX, SIGNATURE, Golden
from leverframe.core.schema import InputColumn, OutputField, RequestField, Signature

WIDTH = 384
COLUMNS = 4
COSTLY = Signature(
    request=tuple(RequestField(name=f"x{i}", datatype="FP64") for i in range(COLUMNS)),
    columns=tuple(InputColumn(name=f"x{i}", source="request", field=f"x{i}") for i in range(COLUMNS)),
    outputs=(OutputField(name="probability"),),
)


def costly_model(layers: int, *, nan_above: float | None = None) -> bytes:
    """``layers`` dense layers of one shared matrix; a score in (0, 1). ``nan_above``: NaN for rows whose first value is larger."""
    rng = np.random.default_rng(5)
    weights = {
        "first": rng.normal(size=(COLUMNS, WIDTH)).astype(np.float32),
        "again": (rng.normal(size=(WIDTH, WIDTH)) / np.sqrt(WIDTH)).astype(np.float32),
        "last": rng.normal(size=(WIDTH, 1)).astype(np.float32),
    }
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["h", "again"], ["m"]),
            helper.make_node("Tanh", ["m"], ["h_next"]),
            helper.make_node("Identity", ["go"], ["go_on"]),
        ],
        "layer",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("h", TensorProto.FLOAT, [None, WIDTH]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("h_next", TensorProto.FLOAT, [None, WIDTH]),
        ],
    )
    weights |= {"layers": np.array(layers, np.int64), "yes": np.array(True)}
    nodes = [
        helper.make_node("Cast", ["x"], ["x32"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["x32", "first"], ["h0"]),
        helper.make_node("Loop", ["layers", "yes", "h0"], ["hn"], body=body),
        helper.make_node("MatMul", ["hn", "last"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["y32"]),
    ]
    last = "y32"
    if nan_above is not None:
        weights |= {"bound": np.array([nan_above], np.float32), "nan": np.array([np.nan], np.float32), "zero": np.array([0], np.int64)}
        nodes += [
            helper.make_node("Gather", ["x32", "zero"], ["x0"], axis=1),
            helper.make_node("Greater", ["x0", "bound"], ["bad"]),
            helper.make_node("Where", ["bad", "nan", "y32"], ["y32n"]),
        ]
        last = "y32n"
    nodes.append(helper.make_node("Cast", [last], ["y"], to=TensorProto.DOUBLE))
    graph = helper.make_graph(
        nodes,
        "costly",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [None, COLUMNS])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, [None, 1])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def costly_files(layers: int, *, deterministic: bool = False, nan_above: float | None = None) -> Mapping[str, bytes]:
    """A whole bundle of such a model; two golden rows."""
    model = costly_model(layers, nan_above=nan_above)
    rows = np.array([[0.1, 0.2, 0.3, 0.4], [-0.5, 0.5, 0.0, 1.0]])
    (scores,) = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": rows})
    golden = Golden(
        columns=tuple(column.name for column in COSTLY.columns),
        rows=tuple(tuple(map(float, row)) for row in rows),
        expected=tuple((float(score),) for score in scores.ravel()),
        tolerance=1e-4,
    )
    signature = msgspec.structs.replace(COSTLY, deterministic=deterministic)
    return {MODEL_ONNX: model, SIGNATURE: msgspec.json.encode(signature), GOLDEN: msgspec.json.encode(golden)}
