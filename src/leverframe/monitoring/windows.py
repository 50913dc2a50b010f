"""Counts of what was answered, hour by hour: each record is summarised once, and windows of any length are sums.

Every figure is an integer, so that adding is exact: however the records are split into batches, the same window has the same counts.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from leverframe.core.clock import HOUR_US
from leverframe.core.errors import InvalidInput
from leverframe.core.profile import ColumnProfile, ReferenceProfile
from leverframe.core.statistics.binning import bin_positions

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SCORE_CELLS = 200
"""Equal cells of the score's range 0 to 1 in which labels are counted: ROC AUC from them is right to about 0.001."""

LATENCY_EDGES_US = tuple(round(50 * 2 ** (step / 2)) for step in range(40))
"""Upper ends of the latency cells: 50 µs to about 37 s, two a doubling."""

UNIT = 1_000_000_000
"""Losses are kept as integers in billionths, so that sums of them are exact."""

TALLIES = ("requests", "rows", "shadows", "errors", "fallbacks", "refused", "missing", "disabled", "malformed", "labels", "positives")
"""Plain counters of a window: answers by what became of them, values that were absent or switched off, and labels."""


class Shape(msgspec.Struct, frozen=True, dict=True):
    """What monitoring must know of a model version to count its answers: its input columns in order, and its profile."""

    version: str
    columns: tuple[str, ...]
    profile: ReferenceProfile

    @cached_property
    def column_profiles(self) -> tuple[ColumnProfile | None, ...]:
        """The profile of each input column, None where the bundle has none."""
        by_name = {column.name: column for column in self.profile.columns}
        return tuple(by_name.get(name) for name in self.columns)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Where the counts of each column begin; the score's begin after the last, and the final entry is the length of all."""
        sizes = [len(column.counts) if column else 2 for column in self.column_profiles]
        return tuple(np.cumsum([0, *sizes, len(self.profile.score.counts)]).tolist())


class Window:
    """Additive counts of one version's answers over some time.

    ``bins`` holds the counts of every column and of the score in the order of :class:`Shape`; ``disabled`` how many of each column's
    values were switched off by an operator (those are in no bin). ``cells`` ``[2, SCORE_CELLS]`` counts labelled rows by label and score,
    ``scores`` ``[SCORE_CELLS]`` all rows. ``losses`` are sums over labelled rows in units of 1e-9: Brier, squared, log loss, squared.
    """

    __slots__ = ("bins", "cells", "disabled", "latency", "losses", "scores", "shape", "tally")

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.bins: Ints = np.zeros(shape.offsets[-1], dtype=np.int64)
        self.disabled: Ints = np.zeros(len(shape.columns), dtype=np.int64)
        self.cells: Ints = np.zeros((2, SCORE_CELLS), dtype=np.int64)
        self.scores: Ints = np.zeros(SCORE_CELLS, dtype=np.int64)
        self.latency: Ints = np.zeros(len(LATENCY_EDGES_US) + 1, dtype=np.int64)
        self.losses: Ints = np.zeros(4, dtype=np.int64)
        self.tally: Ints = np.zeros(len(TALLIES), dtype=np.int64)

    @classmethod
    def of(cls, shape: Shape, numbers: Ints) -> "Window":
        """A window from what :meth:`numbers` gave.

        Raises
        ------
        InvalidInput: another count of numbers than a window of this shape has.
        """
        window = cls(shape)
        parts = [getattr(window, name) for name in _COUNTED]
        sizes = [part.size for part in parts]
        if numbers.size != sum(sizes):
            raise InvalidInput("numbers of another window", where=shape.version, expected=str(sum(sizes)), got=str(numbers.size))
        for part, held in zip(parts, np.split(numbers, np.cumsum(sizes)[:-1]), strict=True):
            part[...] = held.reshape(part.shape)
        return window

    def numbers(self) -> Ints:
        """Every count, one after the other: int64 ``[numbers of the shape]``."""
        return np.concatenate([getattr(self, name).ravel() for name in _COUNTED])

    def add(self, other: "Window") -> None:
        """Add another window of the same version to this one.

        Raises
        ------
        InvalidInput: a window of another version, whose bins mean something else.
        """
        if other.shape.version != self.shape.version:
            raise InvalidInput(
                "windows of two versions have different bins", where="window", expected=self.shape.version, got=other.shape.version
            )
        for name in _COUNTED:
            getattr(self, name).__iadd__(getattr(other, name))

    def count(self, name: str) -> int:
        """One of :data:`TALLIES`."""
        return int(self.tally[TALLIES.index(name)])

    def column(self, index: int) -> Ints:
        """Counts of input column ``index`` in the layout of its profile; index -1 is the score."""
        offsets = self.shape.offsets
        start = offsets[-2] if index == -1 else offsets[index]
        return self.bins[start : offsets[-1] if index == -1 else offsets[index + 1]]

    def latency_us(self, share: float) -> int:
        """The latency that ``share`` of the answers stayed below, as the upper end of its cell in µs; 0 without answers."""
        total = int(self.latency.sum())
        if not total:
            return 0
        cell = int(np.searchsorted(np.cumsum(self.latency), share * total))
        return LATENCY_EDGES_US[min(cell, len(LATENCY_EDGES_US) - 1)]


_COUNTED = tuple(name for name in Window.__slots__ if name != "shape")


def total(shape: Shape, windows: Iterable[Window]) -> Window:
    """The sum of windows of one version."""
    summed = Window(shape)
    for window in windows:
        summed.add(window)
    return summed


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Answered rows of one version, ready to be counted.

    ``hours`` int64 ``[rows]`` (hours since the epoch), ``matrix`` float64 ``[rows, columns]``, ``scores`` float64 ``[rows]``,
    ``disabled`` bool ``[rows]``: whether an operator had columns switched off when the row was answered.
    """

    hours: Ints
    matrix: Floats
    scores: Floats
    disabled: NDArray[np.bool_]


def count_rows(shape: Shape, batch: Batch, disabled_columns: Sequence[int]) -> dict[int, Window]:
    """Count a batch into one window an hour; a value missing because its column is switched off is counted as disabled, not as missing."""
    hours, position = np.unique(batch.hours, return_inverse=True)
    windows = {int(hour): Window(shape) for hour in hours}
    width = shape.offsets[-1]
    bins = np.zeros(len(hours) * width, dtype=np.int64)
    base = position * width
    off = set(disabled_columns)
    for index, column in enumerate((*shape.column_profiles, shape.profile.score)):
        is_score = index == len(shape.columns)
        values = batch.scores if is_score else batch.matrix[:, index]
        cells = bin_positions(values, column.edges, column.low, column.high) if column else np.isfinite(values).astype(np.int64)
        flat = base + shape.offsets[index] + cells
        if index in off:
            switched_off = batch.disabled & np.isnan(values)
            flat = flat[~switched_off]
            for row, hour in enumerate(hours):
                windows[int(hour)].disabled[index] = int(np.count_nonzero(switched_off & (position == row)))
        bins += np.bincount(flat, minlength=len(bins))
    cells = score_cell(batch.scores)
    for row, (hour, counted) in enumerate(zip(hours, bins.reshape(len(hours), width), strict=True)):
        window = windows[int(hour)]
        window.bins[:] = counted
        here = position == row
        window.scores[:] = np.bincount(cells[here & (cells >= 0)], minlength=SCORE_CELLS)
        window.tally[TALLIES.index("rows")] = int(np.count_nonzero(here))
    return windows


def count_labels(shape: Shape, hours: Ints, scores: Floats, labels: Floats) -> dict[int, Window]:
    """Count labelled rows into one window an hour (the hour of the *question*). Scores are probabilities, labels 0 or 1."""
    windows: dict[int, Window] = {}
    cells = score_cell(scores)
    clipped = np.clip(scores, 1e-6, 1.0 - 1e-6)
    brier = np.rint((scores - labels) ** 2 * UNIT).astype(np.int64)
    loss = np.rint(-np.where(labels > 0.5, np.log(clipped), np.log1p(-clipped)) * UNIT).astype(np.int64)
    sums = np.stack([brier, np.rint(brier / UNIT * brier).astype(np.int64), loss, np.rint(loss / UNIT * loss).astype(np.int64)])
    for hour in np.unique(hours):
        here = (hours == hour) & (cells >= 0)
        window = windows[int(hour)] = Window(shape)
        for label in (0, 1):
            window.cells[label] = np.bincount(cells[here & ((labels > 0.5) == bool(label))], minlength=SCORE_CELLS)
        window.losses[:] = sums[:, here].sum(axis=1)
        window.tally[TALLIES.index("labels")] = int(window.cells.sum())
        window.tally[TALLIES.index("positives")] = int(window.cells[1].sum())
    return windows


def score_cell(scores: Floats) -> Ints:
    """The cell of each probability; -1 for what is no probability.

    >>> score_cell(np.array([0.0, 0.5, 1.0, 2.0, np.nan])).tolist()
    [0, 100, 199, -1, -1]
    """
    valid = (scores >= 0.0) & (scores <= 1.0)
    cells = np.minimum((np.where(valid, scores, 0.0) * SCORE_CELLS).astype(np.int64), SCORE_CELLS - 1)
    return np.where(valid, cells, -1)


def hour_of(at_us: int) -> int:
    """Hours since the epoch."""
    return at_us // HOUR_US
