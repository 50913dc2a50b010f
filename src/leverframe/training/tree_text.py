"""LightGBM's text format read as plain arrays: numbers in, numbers out, no learner needed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leverframe.core.errors import InvalidInput

TREES_MAX = 20_000
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_NONE, _MISSING_ZERO, _MISSING_NAN = 0, 1, 2


@dataclass(frozen=True)
class Tree:
    """One tree. Node ``i`` goes left when ``x[feature[i]] <= threshold[i]``; a child >= 0 is a node, a child < 0 is leaf ``~child``.

    ``missing_left`` says where a missing value goes. A tree that is a single leaf has no nodes.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    leaf: NDArray[np.float64]


@dataclass(frozen=True)
class TreeModel:
    """A sum of trees whose logistic function is the probability."""

    columns: int
    trees: tuple[Tree, ...]


def read_trees(text: str) -> TreeModel:
    """Parse a binary classifier from LightGBM's text format.

    Raises
    ------
    InvalidInput: the text is no such model, or uses what has no exact counterpart: categorical or linear splits, averaging,
        zero-as-missing, another objective.
    """
    head, *blocks = text.split("\nTree=")
    header = _fields(head)
    if header.get("objective") != "binary sigmoid:1" or "average_output" in head or header.get("num_tree_per_iteration") != "1":
        raise InvalidInput(
            "only a boosted binary classifier can be exported",
            where="model text",
            expected="objective=binary sigmoid:1",
            got=header.get("objective", "none"),
        )
    if not 0 < len(blocks) <= TREES_MAX:
        raise InvalidInput("number of trees out of range", where="model text", expected=f"1 to {TREES_MAX}", got=str(len(blocks)))
    try:
        trees = tuple(_tree(_fields(block.split("\n\n", 1)[0]), number) for number, block in enumerate(blocks))
        return TreeModel(columns=int(header["max_feature_idx"]) + 1, trees=trees)
    except (KeyError, ValueError) as error:
        raise InvalidInput("damaged model text", where="model text", got=str(error), next_step="train the model again") from error


def _fields(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _integers(text: str) -> NDArray[np.int64]:
    return np.array(text.split(), dtype=np.int64)


def _floats(text: str) -> NDArray[np.float64]:
    return np.array(text.split(), dtype=np.float64)


def _tree(fields: dict[str, str], number: int) -> Tree:
    if fields.get("is_linear", "0") != "0":
        raise InvalidInput("linear trees cannot be exported", where=f"tree {number}")
    leaf = _floats(fields["leaf_value"])
    none = np.empty(0, dtype=np.int64)
    if int(fields["num_leaves"]) == 1:
        return Tree(none, np.empty(0), none, none, none.astype(np.bool_), leaf)
    decision = _integers(fields["decision_type"])
    missing = (decision >> 2) & 3
    if (decision & _CATEGORICAL).any() or (missing == _MISSING_ZERO).any():
        raise InvalidInput("categorical splits and zero-as-missing cannot be exported", where=f"tree {number}")
    threshold = _floats(fields["threshold"])
    # A column that was never missing in training reads NaN as 0.0; otherwise the tree learnt where NaN goes.
    missing_left = np.where(missing == _MISSING_NAN, (decision & _DEFAULT_LEFT) > 0, threshold >= 0.0)
    left, right = _integers(fields["left_child"]), _integers(fields["right_child"])
    nodes = len(leaf) - 1
    children = np.concatenate([left, right])
    if len(threshold) != nodes or len(children) != 2 * nodes or children.max() >= nodes or children.min() < -len(leaf):
        raise InvalidInput("damaged model text", where=f"tree {number}", expected=f"{nodes} nodes", got=str(len(threshold)))
    return Tree(_integers(fields["split_feature"]), threshold, left, right, missing_left, leaf)
