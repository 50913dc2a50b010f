"""LightGBM text becomes ONNX, in float64 throughout, so that both runtimes answer alike to the last bit or two.

The usual converters write float32 thresholds: a value that lies between a threshold and its rounding takes the other branch. The
operator ``TreeEnsemble`` (ai.onnx.ml 5) takes float64 thresholds and leaves, so the tree that serves is the tree that was fitted.

Source: ONNX operators, ai.onnx.ml ``TreeEnsemble`` version 5.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from leverframe.core.errors import Integrity, InvalidInput
from leverframe.training.tree_text import Tree, TreeModel, read_trees

INPUT = "input"
OUTPUT = "probability"
OPSET, OPSET_ML, IR_VERSION = 21, 5, 10
_SUM, _NO_TRANSFORM, _LESS_OR_EQUAL = 1, 0, 0


def export_onnx(text: str) -> bytes:
    """The ONNX form of a LightGBM binary classifier.

    Parameters
    ----------
    text: the model in LightGBM's text format.

    Returns
    -------
    a serialised model: input ``input`` float64 ``[rows, columns]`` (NaN is missing), output ``probability`` float64 ``[rows]``. No other
    file is needed to load it, and the same text gives the same bytes.

    Raises
    ------
    InvalidInput: the text is no model that can be exported exactly.
    """
    model = read_trees(text)
    nodes = [
        helper.make_node("TreeEnsemble", [INPUT], ["raw"], domain="ai.onnx.ml", **_attributes(model)),
        helper.make_node("Reshape", ["raw", "one_axis"], ["log_odds"]),
        helper.make_node("Sigmoid", ["log_odds"], [OUTPUT]),
    ]
    graph = helper.make_graph(
        nodes,
        "leverframe",
        [helper.make_tensor_value_info(INPUT, TensorProto.DOUBLE, [None, model.columns])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.DOUBLE, [None])],
        [numpy_helper.from_array(np.array([-1], dtype=np.int64), "one_axis")],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", OPSET_ML)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="leverframe")
    onnx.checker.check_model(proto, full_check=True)
    data: bytes = proto.SerializeToString(deterministic=True)
    check_self_contained(data)
    return data


def _attributes(model: TreeModel) -> dict[str, Any]:
    """All trees laid end to end; node and leaf numbers shift by what came before."""
    columns: dict[str, list[NDArray[Any]]] = {}
    roots, node_base, leaf_base = [], 0, 0
    for tree in model.trees:
        roots.append(node_base)
        for name, values in _tree_columns(tree, node_base, leaf_base).items():
            columns.setdefault(name, []).append(values)
        node_base += max(1, len(tree.feature))
        leaf_base += len(tree.leaf)
    joined: dict[str, Any] = {name: np.concatenate(parts) for name, parts in columns.items()}
    splits, weights = joined.pop("nodes_splits"), joined.pop("leaf_weights")
    return {
        **{name: values.tolist() for name, values in joined.items()},
        "nodes_splits": numpy_helper.from_array(splits),
        "nodes_modes": numpy_helper.from_array(np.full(node_base, _LESS_OR_EQUAL, dtype=np.uint8)),
        "leaf_weights": numpy_helper.from_array(weights),
        "leaf_targetids": [0] * leaf_base,
        "tree_roots": roots,
        "n_targets": 1,
        "aggregate_function": _SUM,
        "post_transform": _NO_TRANSFORM,
    }


def _tree_columns(tree: Tree, node_base: int, leaf_base: int) -> dict[str, NDArray[Any]]:
    if not len(tree.feature):
        # The operator knows no tree without a node: a split whose both sides are the one leaf.
        zero, one, leaf = np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.int64), np.array([leaf_base])
        return {
            "nodes_featureids": zero, "nodes_splits": np.zeros(1), "nodes_missing_value_tracks_true": zero,
            "nodes_truenodeids": leaf, "nodes_trueleafs": one, "nodes_falsenodeids": leaf, "nodes_falseleafs": one,
            "leaf_weights": tree.leaf,
        }  # fmt: skip
    return {
        "nodes_featureids": tree.feature,
        "nodes_splits": tree.threshold,
        "nodes_missing_value_tracks_true": tree.missing_left.astype(np.int64),
        "nodes_truenodeids": np.where(tree.left >= 0, node_base + tree.left, leaf_base + ~tree.left),
        "nodes_trueleafs": (tree.left < 0).astype(np.int64),
        "nodes_falsenodeids": np.where(tree.right >= 0, node_base + tree.right, leaf_base + ~tree.right),
        "nodes_falseleafs": (tree.right < 0).astype(np.int64),
        "leaf_weights": tree.leaf,
    }


def check_self_contained(data: bytes) -> None:
    """Refuse a model that names other files or brings operators from outside the standard.

    Raises
    ------
    Integrity: a tensor, at any depth, is stored in another file, or an operator is not ONNX's own.    InvalidInput: not an ONNX model.
    """
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's DecodeError lives in a module that depends on its build
        raise InvalidInput("not an ONNX model", where="model.onnx") from error
    domains = sorted({node.domain for node in _nodes(model)} - {"", "ai.onnx", "ai.onnx.ml"})
    if domains:
        raise Integrity("the model brings operators of its own", where="model.onnx", expected="ai.onnx, ai.onnx.ml", got=", ".join(domains))
    external = sorted(t.name or "unnamed" for t in _tensors(model) if t.data_location == TensorProto.EXTERNAL or t.external_data)
    if external:
        raise Integrity(
            "the model names data in other files",
            where="model.onnx",
            expected="every tensor inside the model",
            got=", ".join(external[:5]),
            next_step="save the model with all tensors inside",
        )


def _graphs(model: Any) -> Iterator[Any]:
    """The graph and every graph and function nested in it."""
    waiting = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                waiting += [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]


def _nodes(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        yield from graph.node


def _tensors(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        yield from getattr(graph, "initializer", ())
        for sparse in getattr(graph, "sparse_initializer", ()):
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                yield from attribute.tensors
                for sparse in (*attribute.sparse_tensors, attribute.sparse_tensor):
                    yield from (sparse.values, sparse.indices)
                yield attribute.t
