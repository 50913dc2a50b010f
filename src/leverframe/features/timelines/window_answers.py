"""Every aggregate of a view at many points: which sweeps that takes, and what each of them needs of the rows."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from leverframe.core.feature import Aggregate, Aggregation
from leverframe.features.declared.definitions import windows
from leverframe.features.rows.aggregate_inputs import Input, aggregate_inputs, inputs
from leverframe.features.rows.numbering import Clock, Ints
from leverframe.features.timelines.known_rows import Column, KnownRows
from leverframe.features.timelines.sweep import Bools, Floats, Sum, Sweep
from leverframe.features.timelines.sweep_c import sweep_engine

Call = Callable[[], None]
_ROWS = Column(numbers=None, there=None)
"""What an aggregate without a column counts."""


@dataclass(frozen=True)
class NumberedRows:
    """Known rows as numbers of a clock: when they come, and for each window when they leave, int64 ``[rows]``."""

    known: KnownRows
    come: Ints
    leave: tuple[Ints, ...]


@dataclass(frozen=True)
class Points:
    """``at``, int64 ``[points]`` ascending, of the same clock; the answer to each goes to its ``place`` (None: in order)."""

    at: Ints
    place: Ints | None


def numbered_rows(known: KnownRows, codes: Ints, clock: Clock) -> NumberedRows:
    """The rows as numbers of ``clock``, which knows their moments; ``codes`` are those of the clock, in the same order as the rows'."""
    leave = tuple(clock.numbers(codes, leaving) for leaving in known.leaving_us)
    return NumberedRows(known, clock.numbers(codes, known.known_us), leave)


def answers(rows: NumberedRows, points: Points, block: Floats) -> list[Call]:
    """Calls that, in any order or side by side, fill the points' places in ``block`` (float64 ``[features, places]``; NaN: no value)."""
    known = rows.known
    asked: dict[tuple[int, Input | None], list[tuple[Aggregate, Floats]]] = {}
    for (aggregate, found), out in zip(aggregate_inputs(known.view), block, strict=True):
        asked.setdefault((windows(known.view).index(aggregate.window_us), found), []).append((aggregate, out))
    calls: list[Call] = []
    for (window, found), of_column in asked.items():
        sweep = Sweep(rows.come, rows.leave[window], points.at, points.place, block.shape[1])
        column = known.columns[inputs(known.view).index(found)] if found else _ROWS
        calls += _calls(sweep, known, column, of_column)
    return calls


def _calls(sweep: Sweep, known: KnownRows, column: Column, asked: list[tuple[Aggregate, Floats]]) -> list[Call]:
    """What is asked of one column in one window: one sweep for all that adds up, one for each of the others."""
    # A row that leaves before it is known never counts.
    counting = sweep.leave > sweep.come
    together: dict[Sum, Floats] = {}
    calls: list[Call] = []
    for aggregate, out in asked:
        function = aggregate.function
        if function in ("count", "share", "sum", "mean", "std"):
            if function in together:
                calls.append(partial(_sums, sweep, counting, column, {function: out}))
            else:
                together[function] = out
        else:
            calls.append(
                partial(_one_of_them, function, sweep, counting if column.there is None else counting & column.there, known, column, out)
            )
    return [*calls, partial(_sums, sweep, counting, column, together)] if together else calls


def _sums(sweep: Sweep, rows: Bools, column: Column, out: dict[Sum, Floats]) -> None:
    whole, there = (None if values is None else _kept(values, rows) for values in (column.numbers, column.there))
    sweep_engine().sums(sweep.of(rows), whole, there, out)


def _one_of_them(function: Aggregation, sweep: Sweep, rows: Bools, known: KnownRows, column: Column, out: Floats) -> None:
    """Of the rows that have a value, what one of them has, or how many different values they have."""
    assert column.numbers is not None, f"{function} is of values"
    values, sweep = _kept(column.numbers, rows), sweep.of(rows)
    if function == "distinct":
        sweep_engine().distinct(sweep, values, out)
    elif function == "last":
        sweep_engine().greatest(sweep, _kept(known.recency, rows).astype(np.float64), values, out)
    else:
        sweep_engine().greatest(sweep, -values if function == "min" else values, values, out)


def _kept(values: npt.NDArray[Any], rows: Bools) -> npt.NDArray[Any]:
    return values if bool(rows.all()) else values[rows]
