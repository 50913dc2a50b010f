"""LightGBM's text format read as flat arrays for ``trees_table``, with every index checked: the text is treated as if an enemy wrote it.

Source: LightGBM 4 ``tree.cpp`` (``Tree::ToString``, ``decision_type``), ``gbdt_model_text.cpp``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from leverframe.core.errors import Integrity

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
T = TypeVar("T", int, float)

LEAVES_MAX = 64
"""A tree's leaves are bits of one mask; a model with a larger tree is left to LightGBM."""
NODES_MAX = 1_000_000
"""Decisions of one model; a larger one is left to LightGBM before anything is built."""
CATEGORIES_MAX = 4096
"""Categories of one column; a model with higher ones is left to LightGBM."""
_IDENTITY = ("regression", "regression_l1", "huber", "fair", "quantile", "mape")
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
MISSING_NONE, MISSING_ZERO = 0, 1  # and 2: NaN
_WHERE = "model.lightgbm.txt"


class Declined(Exception):
    """A sound model, but not of the kind that the masks can score; LightGBM's library can."""


@dataclass(frozen=True)
class Forest:
    """A model as arrays over its decisions ``[nodes]``, in tree order.

    ``left_leaves`` is the mask of the leaves under the left branch, leaves counted from the left; ``leaf[t]`` are tree ``t``'s values in
    that order. ``categories`` holds, for each categorical decision, the categories that go left; ``sigmoid`` is None for identity.
    """

    columns: int
    sigmoid: float | None
    leaf: tuple[list[float], ...]
    tree: Int
    column: Int
    threshold: Float
    missing: Int
    default_left: npt.NDArray[np.bool_]
    left_leaves: npt.NDArray[np.uint64]
    categories: dict[int, Int]


def read_forest(text: bytes, columns: int) -> Forest:
    """Parse a model that gives one score a row.

    Raises
    ------
    Integrity: damaged text, or a model of another width.    Declined: sound, but of a kind that is not covered.
    """
    head, *blocks = text.partition(b"\nend of trees")[0].split(b"\nTree=")
    header = _fields(head)
    try:
        if not text.startswith(b"tree\n") or int(header[b"max_feature_idx"]) + 1 != columns:
            raise _damaged(f"a model of {columns} columns", header.get(b"max_feature_idx", b"")[:40].decode(errors="replace"))
        sigmoid = _sigmoid(header)
        if int(header[b"num_tree_per_iteration"]) != 1 or int(header[b"num_class"]) != 1 or b"average_output" in head.split(b"\n"):
            raise Declined("several scores a row, or an average")
        trees = _Trees(columns)
        for number, block in enumerate(blocks):
            trees.add(number, _fields(block.partition(b"\n\n")[0]))
    except (KeyError, ValueError, OverflowError) as error:
        raise _damaged("a model as LightGBM writes it", f"{type(error).__name__} {error}"[:200]) from error
    if not blocks:
        raise _damaged("at least one tree", "none")
    return trees.forest(sigmoid)


def _damaged(expected: str, got: str) -> Integrity:
    return Integrity("damaged model text", where=_WHERE, expected=expected, got=got, next_step="build the version again")


def _fields(block: bytes) -> dict[bytes, bytes]:
    return dict(line.split(b"=", 1) for line in block.splitlines() if b"=" in line)


def _sigmoid(header: dict[bytes, bytes]) -> float | None:
    """The factor of the logistic function, or None where scores are the plain sum."""
    name, *rest = header.get(b"objective", b"none").decode().split()
    if name in _IDENTITY and "sqrt" not in rest:
        return None
    if name == "binary" and len(rest) == 1 and rest[0].startswith("sigmoid:"):
        sigmoid = float(rest[0].removeprefix("sigmoid:"))
        if not 0 < sigmoid < np.inf:
            raise _damaged("a positive sigmoid", str(sigmoid))
        return sigmoid
    raise Declined(f"objective {name[:40]}")


class _Trees:
    """Collects the decisions of all trees."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._leaf: list[list[float]] = []
        self._tree: list[int] = []
        self._column: list[int] = []
        self._threshold: list[float] = []
        self._decision: list[int] = []
        self._left_leaves: list[int] = []
        self._categories: dict[int, Int] = {}

    def add(self, number: int, fields: dict[bytes, bytes]) -> None:
        leaves = int(fields[b"num_leaves"])
        if leaves > LEAVES_MAX or int(fields.get(b"is_linear", b"0")) != 0:
            raise Declined("a large or linear tree")
        if leaves < 1 or len(self._tree) > NODES_MAX:
            raise _damaged("1 leaf or more", str(leaves)) if leaves < 1 else Declined("a large model")
        value = _numbers(fields, b"leaf_value", leaves, float)
        if not np.isfinite(value).all():
            raise _damaged("finite leaf values", "others")
        if leaves == 1:
            self._leaf.append(value)
            return
        nodes = leaves - 1
        column = _numbers(fields, b"split_feature", nodes, int)
        threshold = _numbers(fields, b"threshold", nodes, float)
        decision = _numbers(fields, b"decision_type", nodes, int)
        left, right = _numbers(fields, b"left_child", nodes, int), _numbers(fields, b"right_child", nodes, int)
        if min(column) < 0 or max(column) >= self._columns or min(decision) < 0 or max(decision) >= 12:
            raise _damaged("columns and decisions within range", f"tree {number}")
        if np.isnan(threshold).any():
            raise _damaged("thresholds", f"NaN in tree {number}")
        masks, order = _leaf_order(left, right, number)
        for node in range(nodes):
            if decision[node] & _CATEGORICAL:
                self._categories[len(self._tree) + node] = _category_set(fields, threshold[node], number)
        self._leaf.append([value[leaf] for leaf in order])
        self._tree += [number] * nodes
        self._column += column
        self._threshold += threshold
        self._decision += decision
        self._left_leaves += masks

    def forest(self, sigmoid: float | None) -> Forest:
        decision = np.array(self._decision, dtype=np.int64)
        return Forest(
            columns=self._columns,
            sigmoid=sigmoid,
            leaf=tuple(self._leaf),
            tree=np.array(self._tree, dtype=np.int64),
            column=np.array(self._column, dtype=np.int64),
            threshold=np.array(self._threshold, dtype=np.float64),
            missing=decision >> 2,
            default_left=(decision & _DEFAULT_LEFT) != 0,
            left_leaves=np.array(self._left_leaves, dtype=np.uint64),
            categories=self._categories,
        )


def _numbers(fields: dict[bytes, bytes], name: bytes, count: int, read: Callable[[bytes], T]) -> list[T]:
    values = [read(word) for word in fields[name].split()]
    if len(values) != count:
        raise _damaged(f"{count} numbers of {name.decode()}", str(len(values)))
    return values


def _leaf_order(left: list[int], right: list[int], number: int) -> tuple[list[int], list[int]]:
    """For each decision the mask of the leaves under its left branch, and the leaves from left to right.

    Raises
    ------
    Integrity: the children are no tree: out of range, met twice, or never met.
    """
    nodes = len(left)
    masks, order = [0] * nodes, list[int]()
    entered = [-1] * nodes
    # A node is put back under its left branch, and met again when all leaves of that branch have been counted.
    waiting, steps = [0], 0
    while waiting:
        at, steps = waiting.pop(), steps + 1
        if steps > 4 * nodes + 1 or not -nodes - 1 <= at < nodes:
            raise _damaged("children that form a tree", f"tree {number}")
        if at < 0:
            order.append(~at)
        elif entered[at] < 0:
            entered[at] = len(order)
            waiting += (right[at], at, left[at])
        elif masks[at]:
            raise _damaged("children that form a tree", f"tree {number}")
        else:
            masks[at] = (1 << len(order)) - (1 << entered[at])
    if len(order) != nodes + 1 or len(set(order)) != nodes + 1 or not all(masks):
        raise _damaged("children that form a tree", f"tree {number}")
    return masks, order


def _category_set(fields: dict[bytes, bytes], index: float, number: int) -> Int:
    """The categories that go left."""
    bounds = [int(word) for word in fields[b"cat_boundaries"].split()]
    words = [int(word) for word in fields[b"cat_threshold"].split()]
    if not 0 <= index < len(bounds) - 1:
        raise _damaged("a set of categories for each categorical decision", f"tree {number}")
    start, end = bounds[int(index)], bounds[int(index) + 1]
    if not 0 <= start <= end <= len(words) or not all(0 <= word < 1 << 32 for word in words[start:end]):
        raise _damaged("sets of categories within range", f"tree {number}")
    if (end - start) * 32 > CATEGORIES_MAX:
        raise Declined("many categories")
    found = [at * 32 + bit for at, word in enumerate(words[start:end]) for bit in range(32) if word >> bit & 1]
    return np.array(found, dtype=np.int64)
