"""For whom is it good: the same metrics on subsets of rows that share a value."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from leverframe.core.errors import Fault, SchemaMismatch
from leverframe.core.evaluation import Metric
from leverframe.evaluation.metrics import HIGHER_IS_BETTER, checked, measure

SLICE_ROWS_SMALL = 100
"""Below this a slice is shown but marked: its interval is wide and its normal approximation rough."""

SLICES_MAX = 50
"""Slices shown a column, largest first; the rows of all others are one slice named ``(other)``."""

MISSING = "(missing)"
OTHER = "(other)"


def slice_positions(column: str, values: Sequence[object] | NDArray[np.generic]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Each slice's name and row positions, largest slice first, ties by name.

    >>> [(name, rows.tolist()) for name, rows in slice_positions("carrier", ["UA", "AA", "UA", None])]
    [('carrier=UA', [0, 2]), ('carrier=(missing)', [3]), ('carrier=AA', [1])]
    """
    texts = np.array([MISSING if v is None or v != v else str(v) for v in values], dtype=object)
    names, inverse, counts = np.unique(texts.astype(str), return_inverse=True, return_counts=True)
    by_size = sorted(range(len(names)), key=lambda i: (-int(counts[i]), str(names[i])))
    for index in by_size[:SLICES_MAX]:
        yield f"{column}={names[index]}", np.flatnonzero(inverse == index)
    if rest := by_size[SLICES_MAX:]:
        yield f"{column}={OTHER}", np.flatnonzero(np.isin(inverse, rest))


def slice_metrics(
    labels: ArrayLike, scores: ArrayLike, columns: Mapping[str, Sequence[object] | NDArray[np.generic]], rng: np.random.Generator
) -> tuple[Metric, ...]:
    """Every metric on every slice of every column.

    Parameters
    ----------
    columns: slice column name to ``rows`` values; missing ones are a slice of their own.

    Raises
    ------
    SchemaMismatch: a column has another number of rows.
    """
    y, p = checked(labels, scores)
    faults = [
        Fault(where=name, what="slice column of another length", expected=f"{len(y)} rows", got=str(len(values)))
        for name, values in columns.items()
        if len(values) != len(y)
    ]
    if faults:
        raise SchemaMismatch(
            "slice columns do not match the rows", where="evaluation", faults=faults, expected=faults[0].expected, got=faults[0].got
        )
    found: list[Metric] = []
    for name, values in columns.items():
        for slice_name, rows in slice_positions(name, values):
            small = len(rows) < SLICE_ROWS_SMALL
            found += [msgspec.structs.replace(m, small=small) for m in measure(y[rows], p[rows], rng, slice=slice_name)]
    return tuple(found)


def worst_slice(metrics: Sequence[Metric], name: str, column: str = "", *, rows_min: int = SLICE_ROWS_SMALL) -> Metric | None:
    """The slice on which metric ``name`` is worst, among those of ``column`` (empty: any) with ``rows_min`` rows; None when there is none.

    >>> m = Metric(name="roc_auc", value=0.6, low=0.5, high=0.7, n=200, slice="carrier=UA")
    >>> worst_slice([m, msgspec.structs.replace(m, value=0.8, slice="carrier=AA")], "roc_auc").slice
    'carrier=UA'
    """
    chosen = [m for m in metrics if m.name == name and m.n >= rows_min and m.slice.startswith(f"{column}=" if column else "")]
    if not chosen:
        return None
    if name not in HIGHER_IS_BETTER:
        return max(chosen, key=lambda m: abs(m.value))
    return min(chosen, key=lambda m: m.value) if HIGHER_IS_BETTER[name] else max(chosen, key=lambda m: m.value)
