"""Tables of masks for ``trees.c``: for each block of trees and each position of a column's value, the leaves that remain possible.

A *position* of a number is how many of the model's distinct thresholds on its column lie below it; two more stand for zero and NaN, whose
way each decision declares for itself. A *line* is 64 bytes: one mask a tree of the block. Only the thresholds that a block's own trees use
have lines there, so that the tables of a usual model fit the processor's cache.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leverframe.serving.runtimes.trees_text import MISSING_NONE, MISSING_ZERO, Declined, Forest, Int

LINE = 64
TABLE_BYTES_MAX = 32 << 20
"""Of one model; one that would need more is left to LightGBM."""
FEATURES_MAX = 512
"""Columns that trees read; as in ``trees.c``. A model that reads more is left to LightGBM."""
_LINES_MAX = 1 << 16


@dataclass(frozen=True)
class Tables:
    """What ``trees.c`` reads; its ``Model`` says what each array is."""

    trees: int
    wide: bool
    column: npt.NDArray[np.int32]
    categories: npt.NDArray[np.int32]
    first: npt.NDArray[np.int32]
    start: npt.NDArray[np.int32]
    threshold: npt.NDArray[np.float64]
    line_of: npt.NDArray[np.uint16]
    block_line: npt.NDArray[np.int64]
    lines: npt.NDArray[Any]
    leaf: npt.NDArray[np.float64]

    @property
    def size_bytes(self) -> int:
        """Memory of the tables."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, np.ndarray))


def build_tables(forest: Forest) -> Tables:
    """The tables of a model.

    Raises
    ------
    Declined: they would be larger than the bounds, or a column is read both as a number and as a category.
    """
    trees = len(forest.leaf)
    wide = max(map(len, forest.leaf)) > 32
    dtype, bits = (np.dtype(np.uint64), 64) if wide else (np.dtype(np.uint32), 32)
    lanes = LINE // dtype.itemsize
    blocks = -(-trees // lanes)
    column, feature = np.unique(forest.column, return_inverse=True)
    features = len(column)
    block, lane, mask = forest.tree // lanes, forest.tree % lanes, np.invert(forest.left_leaves.astype(dtype))
    categories = _categories(forest, feature, features)
    numeric = categories[feature] == 0

    # The distinct thresholds of each feature, and each decision's place among them.
    pairs = _distinct(feature[numeric], forest.threshold[numeric])
    threshold_feature, threshold, place = pairs
    start = np.searchsorted(threshold_feature, np.arange(features + 1))
    width = np.where(categories > 0, categories + 1, np.diff(start) + 3)
    first = np.concatenate([[0], np.cumsum(width)])
    positions = int(first[-1])
    if features > FEATURES_MAX or blocks * positions * 2 + trees * bits * 8 > TABLE_BYTES_MAX:
        raise Declined("large tables")

    # Which of them each block uses: a segment of lines for each feature of the block, one line more than thresholds, then zero and NaN.
    used = np.zeros((blocks, positions + 1), dtype=np.int32)
    at = first[feature[numeric]] + (place - start[feature[numeric]]) + 1
    used[block[numeric], at] = 1
    below = np.cumsum(used, axis=1, dtype=np.int32)
    local = below[:, :positions] - np.repeat(below[:, first[:-1]], width, axis=1)
    last = first[:-1] + np.diff(start)  # the last counting position of a number
    own = np.where(categories > 0, 0, local[:, np.minimum(last, positions - 1)]) if features else np.zeros((blocks, 0), dtype=np.int64)
    present = np.zeros((blocks, features), dtype=bool)
    present[block, feature] = True
    size = np.where(present, np.where(categories > 0, categories + 1, own + 3), 0)
    base = 1 + np.cumsum(size, axis=1) - size  # line 0 of each block leaves everything possible
    height = 1 + size.sum(axis=1)
    total = int(height.sum())
    if (height >= _LINES_MAX).any() or total * LINE + blocks * positions * 2 + trees * bits * 8 > TABLE_BYTES_MAX:
        raise Declined("large tables")
    block_line = np.cumsum(height) - height

    lines = _aligned(total, lanes, dtype)
    start_line = block_line[block] + base[block, feature]
    line = start_line[numeric] + local[block[numeric], at]
    _remove(lines, line, lane[numeric], mask[numeric])
    for b, f in np.argwhere(present & (categories == 0)):
        counting = lines[block_line[b] + base[b, f] :][: own[b, f] + 1]
        np.bitwise_and.accumulate(counting, axis=0, out=counting)
    at_zero, at_nan = _right_when_missing(forest)
    special = start_line + own[block, feature] + 1
    for offset, right in ((0, at_zero), (1, at_nan)):
        chosen = numeric & right
        _remove(lines, special[chosen] + offset, lane[chosen], mask[chosen])
    for node, left in forest.categories.items():
        right = np.setdiff1d(np.arange(categories[feature[node]] + 1), left)
        lines[start_line[node] + right, lane[node]] &= mask[node]

    inside = np.arange(positions) - np.repeat(first[:-1], width)
    beyond = inside - np.repeat(np.diff(start), width)  # 1 at the position of zero, 2 at that of NaN
    wanted = np.where(np.repeat(categories > 0, width), inside, np.where(beyond > 0, np.repeat(own, width, axis=1) + beyond, local))
    line_of = np.where(np.repeat(present, width, axis=1), np.repeat(base, width, axis=1) + wanted, 0)
    if not ((line_of >= 0) & (line_of < height[:, None])).all():
        raise Declined("tables that do not add up")
    leaf = np.zeros((trees, bits))
    for number, values in enumerate(forest.leaf):
        leaf[number, : len(values)] = values
    return Tables(
        trees=trees,
        wide=wide,
        column=column.astype(np.int32),
        categories=categories.astype(np.int32),
        first=first[:-1].astype(np.int32),
        start=start.astype(np.int32),
        threshold=threshold,
        line_of=np.ascontiguousarray(line_of.astype(np.uint16)),
        block_line=block_line.astype(np.int64),
        lines=lines,
        leaf=leaf,
    )


def _categories(forest: Forest, feature: Int, features: int) -> Int:
    """How many categories have a position of their own, by feature; 0 where it is read as a number."""
    categories = np.zeros(features, dtype=np.int64)
    for node, left in forest.categories.items():
        categories[feature[node]] = max(categories[feature[node]], 1, *(left + 1))
    plain = np.ones(len(feature), dtype=bool)
    plain[list(forest.categories)] = False
    if (categories[feature[plain]] > 0).any():
        raise Declined("a column that is both number and category")
    return categories


def _distinct(feature: Int, threshold: npt.NDArray[np.float64]) -> tuple[Int, npt.NDArray[np.float64], Int]:
    """Distinct pairs in order of feature, then threshold, and which of them each decision has."""
    order = np.lexsort((threshold, feature))
    by_feature, by_threshold = feature[order], threshold[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (by_feature[1:] != by_feature[:-1]) | (by_threshold[1:] != by_threshold[:-1])
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.cumsum(new) - 1
    return by_feature[new], by_threshold[new], place


def _right_when_missing(forest: Forest) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Whether each decision goes right at zero, and at NaN. NaN is zero to a decision that declares no NaN."""
    plain_zero, by_default = forest.threshold < 0.0, ~forest.default_left
    at_zero = np.where(forest.missing == MISSING_ZERO, by_default, plain_zero)
    at_nan = np.where(forest.missing == MISSING_NONE, plain_zero, by_default)
    return at_zero, at_nan


def _remove(lines: npt.NDArray[Any], line: Int, lane: Int, mask: npt.NDArray[Any]) -> None:
    np.bitwise_and.at(lines, (line, lane), mask)


def _aligned(lines: int, lanes: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """``[lines, lanes]`` of masks that leave everything possible, on an address that ``trees.c`` may load whole lines from."""
    memory = np.full((lines + 1) * LINE, 0xFF, dtype=np.uint8)
    offset = -memory.ctypes.data % LINE
    return memory[offset : offset + lines * LINE].view(dtype).reshape(lines, lanes)
