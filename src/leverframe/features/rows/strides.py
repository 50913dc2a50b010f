"""Many rows without much fresh memory, for to be given it takes longer than to fill it.

What is computed on the way is computed in parts, whose memory is held already. Columns that stay are cut from one block: the kernel hands
out few large pages in a fraction of the time of many small ones.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

STRIDE_ROWS = 32_768


def strides(rows: int, of: int = STRIDE_ROWS) -> list[slice]:
    """All rows in parts of so many, at least one part.

    >>> strides(40_000)
    [slice(0, 32768, None), slice(32768, 40000, None)]
    """
    return [slice(start, min(start + of, rows)) for start in range(0, max(rows, 1), of)]


def block_of(columns: int, rows: int) -> npt.NDArray[np.int64]:
    """Room for columns of 8 bytes a row, int64 ``[columns, rows]``, holding anything."""
    return np.empty((columns, rows), dtype=np.int64)


def gathered(columns: Sequence[npt.NDArray[Any]], order: npt.NDArray[np.int64]) -> list[npt.NDArray[Any]]:
    """Int64 or float64 columns ``[rows]``, each in this order.

    >>> [column.tolist() for column in gathered([np.array([5, 6]), np.array([0.5, 0.25])], np.array([1, 0]))]
    [[6, 5], [0.25, 0.5]]
    """
    block = [row.view(column.dtype) for row, column in zip(block_of(len(columns), len(order)), columns, strict=True)]
    for row, column in zip(block, columns, strict=True):
        # Every place is there; any mode but the usual one writes straight into the block.
        np.take(column, order, out=row, mode="clip")
    return block
