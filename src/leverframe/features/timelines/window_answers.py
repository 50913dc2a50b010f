"""Every aggregate of a view at many points: which sweeps that takes, and what each of them needs of the rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from threading import local
from typing import Any

import numpy as np

from leverframe.core.feature import Aggregation
from leverframe.features.declared.definitions import windows
from leverframe.features.rows.aggregate_inputs import Input, aggregate_inputs, inputs
from leverframe.features.rows.numbering import Clock, Ints
from leverframe.features.rows.side_by_side import side_by_side
from leverframe.features.rows.strides import block_of
from leverframe.features.timelines.known_rows import Column, KnownRows
from leverframe.features.timelines.sweep import Bools, Floats, Points, Room, Sum, Sweep, sweep_of
from leverframe.features.timelines.sweep_c import sweep_engine

_ROWS = Column(numbers=None, there=None)
"""What an aggregate without a column counts."""


@dataclass(frozen=True)
class NumberedRows:
    """Known rows as numbers of a clock: when they come, and for each window when they leave, int64 ``[rows]``."""

    known: KnownRows
    come: Ints
    leave: tuple[Ints, ...]


def numbered_rows(known: KnownRows, codes: Ints, clock: Clock) -> NumberedRows:
    """The rows as numbers of ``clock``, which knows their moments; ``codes`` are those of the clock, in the same order as the rows'."""
    moments_us = [known.known_us, *known.leaving_us]
    block = block_of(len(moments_us), len(codes))
    come, *leave = [clock.numbers(codes, moments, out=out) for moments, out in zip(moments_us, block, strict=True)]
    return NumberedRows(known, come, tuple(leave))


def fill(rows: NumberedRows, points: Points, *, came: Ints, block: Floats, threads: int = 0) -> None:
    """Fill the points' places in ``block``, float64 ``[features, places]``, with the aggregates; NaN is no value.

    Parameters
    ----------
    came: int64 ``[points]``, how many of the rows have come by each point.
    threads: how many to use; 0: as many as Polars has.
    """
    view = rows.known.view
    asked: dict[tuple[int, Input | None], list[tuple[Aggregation, Floats]]] = {}
    for (aggregate, found), out in zip(aggregate_inputs(view), block, strict=True):
        asked.setdefault((windows(view).index(aggregate.window_us), found), []).append((aggregate.function, out))
    in_windows = side_by_side(lambda leave: _InWindow.of(rows, leave, points, came), rows.leave, threads)
    held = local()

    def run(call: Callable[[Room], None]) -> None:
        """In this thread's room."""
        if not hasattr(held, "room"):
            held.room = Room()
        call(held.room)

    side_by_side(run, [call for (window, found), of in asked.items() for call in in_windows[window].calls(found, of)], threads)


@dataclass(frozen=True)
class _InWindow:
    """One window: the rows that take part (``counting``, None: all), and their sweep."""

    known: KnownRows
    counting: Bools | None
    sweep: Sweep

    @classmethod
    def of(cls, rows: NumberedRows, leave: Ints, points: Points, came: Ints) -> "_InWindow":
        # A row that leaves before it is known never counts.
        counting = leave > rows.come
        if counting.all():
            return cls(rows.known, None, sweep_of(sweep_engine(), rows.come, leave, points, came))
        return cls(rows.known, counting, sweep_of(sweep_engine(), rows.come[counting], leave[counting], points))

    def calls(self, found: Input | None, asked: Sequence[tuple[Aggregation, Floats]]) -> Iterator[Callable[[Room], None]]:
        """What is asked of one column: one call for all that adds up, one for each of the others."""
        column = self.known.columns[inputs(self.known.view).index(found)] if found else _ROWS
        engine, numbers, there = sweep_engine(), self._part(column.numbers), self._part(column.there)
        together: dict[Sum, Floats] = {}
        for function, out in asked:
            if function == "last":
                yield partial(engine.last, self.sweep, self._recency(), numbers, there, out)
            elif function == "distinct":
                yield partial(engine.distinct, self.sweep, numbers, there, out)
            elif function == "min" or function == "max":
                yield partial(engine.extreme, self.sweep, numbers, there, 1.0 if function == "max" else -1.0, out)
            elif function in together:
                yield partial(engine.sums, self.sweep, numbers, there, {function: out})
            else:
                together[function] = out
        if together:
            yield partial(engine.sums, self.sweep, numbers, there, together)

    def _part(self, values: Any) -> Any:
        return values if self.counting is None or values is None else values[self.counting]

    def _recency(self) -> Ints:
        """Of the rows that take part, numbered without gaps."""
        if self.counting is None:
            return self.known.recency
        recency = np.empty(self.sweep.rows, dtype=np.int64)
        recency[np.argsort(self._part(self.known.recency))] = np.arange(self.sweep.rows)
        return recency
