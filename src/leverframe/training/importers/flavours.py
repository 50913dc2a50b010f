"""Which of an MLflow folder's models are data: LightGBM's text, XGBoost's JSON or UBJSON, ONNX. Everything else is foreign code.

Only tables of numbers: a model that takes text knows its own categories, and a folder does not say which number stands for which.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import TensorProto

from leverframe.core.model import MODEL_LIGHTGBM, MODEL_ONNX, MODEL_XGBOOST_JSON, MODEL_XGBOOST_UBJ

_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE)
_XGBOOST_CLASSES = ("Booster", "XGBClassifier", "XGBRegressor")


@dataclass(frozen=True)
class DataModel:
    """A model that is data: the name it has in a bundle, its bytes, and its scores a row (0: as its runtime says)."""

    file: str
    content: bytes
    width: int = 1


def data_model(files: Mapping[str, bytes], flavors: Mapping[str, Any], names: Sequence[str]) -> DataModel | None:
    """The folder's model when it is data over exactly the columns ``names``, numbers all; else None."""
    for flavor, read in (("lightgbm", _lightgbm), ("xgboost", _xgboost), ("onnx", _onnx)):
        about = flavors.get(flavor)
        if isinstance(about, dict):
            content = files.get(str(about.get("data", "")), b"")
            return read(content, str(about.get("model_class", "")), names) if content else None
    return None


def _lightgbm(content: bytes, kind: str, names: Sequence[str]) -> DataModel | None:
    """A booster's text with one score a row."""
    if not kind.endswith("Booster") or not content.startswith(b"tree\n"):
        return None
    text = content[:1_000_000].decode("utf-8", "replace")
    lines = dict(line.partition("=")[::2] for line in text.splitlines()[:40])
    fits = lines.get("num_class") == "1" and lines.get("feature_names", "").split(" ") == list(names)
    return DataModel(MODEL_LIGHTGBM, content) if fits else None


def _xgboost(content: bytes, kind: str, names: Sequence[str]) -> DataModel | None:
    """A booster, or one of scikit-learn's wrappers that keeps all its trees; its columns are compared by who reads the document."""
    wrapped = not kind.endswith("Booster")
    if not kind.endswith(_XGBOOST_CLASSES) or content[:1] != b"{" or (wrapped and b"best_iteration" in content):
        return None  # the wrappers stop at the best iteration, the booster does not
    is_json = content[1:2] in (b'"', b" ", b"\n", b"\r", b"\t")
    return DataModel(MODEL_XGBOOST_JSON if is_json else MODEL_XGBOOST_UBJ, content, width=0)


def _onnx(content: bytes, kind: str, names: Sequence[str]) -> DataModel | None:
    """A model of one matrix whose last float output says its own width; of two probabilities, that of 1 is the score."""
    try:
        graph = onnx.load_from_string(content).graph
    except Exception:  # protobuf's DecodeError lives in a module that depends on its build
        return None
    outputs = [output.type.tensor_type for output in graph.output if output.type.tensor_type.elem_type in _FLOATS]
    given = {initializer.name for initializer in graph.initializer}
    if len([entry for entry in graph.input if entry.name not in given]) != 1 or not outputs:
        return None
    dims = outputs[-1].shape.dim
    if len(dims) == 1:
        return DataModel(MODEL_ONNX, content)
    width = dims[1].dim_value if len(dims) == 2 else 0
    return DataModel(MODEL_ONNX, content, 1 if width == 2 else width) if width else None
