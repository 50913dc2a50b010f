"""A gateway with one endpoint of each kind of signature: numbers, text and numbers, a vector, several outputs."""

from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tests.serving.installation import Installation, table

from leverframe.core.model import GOLDEN, MODEL_ONNX, SIGNATURE, Golden
from leverframe.core.route import Endpoint, RouteTable
from leverframe.core.schema import InputColumn, OutputField, RequestField, Signature

WEIGHTS = np.random.default_rng(7).normal(size=(4, 3))
SPECIES = ("setosa", "versicolor", "virginica")
CLASSES = Signature(
    request=(RequestField(name="flower", datatype="FP64", width=4),),
    columns=tuple(InputColumn(name=f"flower_{i}", source="request", field="flower", element=i) for i in range(4)),
    outputs=(
        OutputField(name="probabilities", datatype="FP64", width=3),
        OutputField(name="label", datatype="BYTES", categories=SPECIES, argmax_of="probabilities"),
    ),
)
"""A vector of four numbers in; three probabilities and the name of the likeliest class out."""
MIXED = Signature(
    request=(
        RequestField(name="carrier", datatype="BYTES", required=False, example="B6"),
        RequestField(name="distance", datatype="FP64", example=187.0),
        RequestField(name="seats", datatype="INT32", example=120),
        RequestField(name="night", datatype="BOOL"),
    ),
    columns=(
        InputColumn(name="carrier", source="request", field="carrier", categories=("AA", "B6", "UA")),
        *(InputColumn(name=name, source="request", field=name) for name in ("distance", "seats", "night")),
    ),
)
"""Text, a float, an integer and a boolean in, one score out."""


def probabilities(rows: np.ndarray) -> np.ndarray:
    """What the classifier answers, computed apart from ONNX."""
    raised = np.exp(rows @ WEIGHTS)
    return raised / raised.sum(axis=1, keepdims=True)


def classifier() -> bytes:
    """A softmax over three linear scores, in float64."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["input", "weights"], ["raw"]), helper.make_node("Softmax", ["raw"], ["probabilities"], axis=1)],
        "classes",
        [helper.make_tensor_value_info("input", TensorProto.DOUBLE, [None, 4])],
        [helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, [None, 3])],
        [numpy_helper.from_array(WEIGHTS, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def classes_files() -> dict[str, bytes]:
    """The whole bundle of the classifier."""
    rows = np.random.default_rng(8).normal(size=(8, 4))
    golden = Golden(
        columns=tuple(column.name for column in CLASSES.columns),
        rows=tuple(map(tuple, rows.tolist())),
        expected=tuple(map(tuple, probabilities(rows).tolist())),
        tolerance=1e-9,
    )
    return {MODEL_ONNX: classifier(), SIGNATURE: msgspec.json.encode(CLASSES), GOLDEN: msgspec.json.encode(golden)}


def routes(installation: Installation, *, callers: bool = True, generation: int = 1) -> RouteTable:
    """Endpoints ``plain`` (a live and a canary arm), ``mixed`` and ``classes``."""
    plain = (installation.arm("plain@v1", 1, weight=99.0), installation.arm("plain@v2", 2, role="canary", weight=1.0))
    return table(
        Endpoint(name="plain", arms=plain),
        Endpoint(name="mixed", arms=(installation.arm("mixed@v1", 3, signature=MIXED),)),
        Endpoint(name="classes", arms=(installation.bundle(classes_files(), "classes@v1"),)),
        callers=callers,
        generation=generation,
    )


def publish(home: Path, *, callers: bool = True) -> Installation:
    """An installation at ``home`` whose routes are published."""
    installation = Installation(home)
    installation.publish(routes(installation, callers=callers))
    return installation
