"""Windowed aggregates by steps: a row enters its windows when it is delivered and leaves each of them once, at O(log n) a step.

Sums are whole numbers, so that what entered leaves without a trace. Extremes and latest values are heaps whose outdated entries are
skipped when they reach the top; a heap that is mostly outdated is rebuilt, so that memory stays in proportion to the rows inside.
"""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any

import numpy as np

from leverframe.core.feature import Aggregate, FeatureView
from leverframe.features.declared.definitions import windows
from leverframe.features.rows.aggregate_inputs import aggregate_inputs, inputs
from leverframe.features.rows.source_rows import SCALE
from leverframe.features.timelines.deviation import deviation
from leverframe.features.timelines.entity_state import Row

ROW_KEYS_MAX = 1_000_000
"""Row keys remembered after their rows have left every window. Beyond, the one longest unheard of is forgotten: an older version of it
that is delivered out of order after that would count."""
_OUTDATED_SLACK = 64

Recency = tuple[int, int, int]


class _Held:
    """A delivered row, how recent it is (event, arrival, delivery), and the windows it is inside of, as bits."""

    __slots__ = ("entity", "inside", "recency", "values")

    def __init__(self, entity: int, recency: Recency, values: tuple[Any, ...]) -> None:
        self.entity = entity
        self.recency = recency
        self.values = values
        self.inside = 0


class _Part:
    """What one window of one entity keeps of one input: number, sum, sum of squares, values with their counts, heaps."""

    __slots__ = ("heaps", "n", "squares", "total", "values")

    def __init__(self, functions: Sequence[str]) -> None:
        self.n = 0
        self.total = 0
        self.squares = 0
        self.values: dict[Any, int] = {}
        self.heaps: dict[str, list[tuple[Any, int, _Held]]] = {f: [] for f in functions if f in ("min", "max", "last")}


class WindowState:
    """The rows inside the windows of every entity, and a heap of those waiting to leave them."""

    def __init__(self, view: FeatureView) -> None:
        self._inputs = inputs(view)
        self._windows = windows(view)
        self._plan: list[tuple[Aggregate, int, int]] = [
            (aggregate, self._windows.index(aggregate.window_us), self._inputs.index(found) if found else -1)
            for aggregate, found in aggregate_inputs(view)
        ]
        self._functions = [
            [(at, found, [a.function for a, w, i in self._plan if (w, i) == (window, at)]) for at, found in enumerate(self._inputs)]
            for window in range(len(self._windows))
        ]
        self._functions = [[step for step in steps if step[2]] for steps in self._functions]
        self._keyed = bool(view.row_key)
        self._rows: dict[int, list[int]] = {}
        self._parts: dict[int, list[dict[int, _Part]]] = {}
        self._times: dict[int, tuple[int, int]] = {}
        self._versions: dict[tuple[int, Any], _Held] = {}
        self._leaving: list[tuple[int, int, int, _Held]] = []
        self._serial = count()
        self._changed: set[int] = set()

    def deliver(self, rows: Sequence[Row], now_us: int) -> None:
        """Take rows that are known at ``now_us``."""
        self.expire(now_us)
        for entity, event_us, arrival_us, values in rows:
            held = _Held(entity, (event_us, arrival_us, next(self._serial)), values)
            if self._keyed:
                counts = bool(values[-1])
                if counts:
                    self._know(entity, event_us, arrival_us)
                if not self._is_newest(held) or not counts:
                    continue
            else:
                self._know(entity, event_us, arrival_us)
            for window, window_us in enumerate(self._windows):
                if event_us + window_us > now_us:
                    self._enter(held, window)
                    heappush(self._leaving, (event_us + window_us, held.recency[2], window, held))

    def _know(self, entity: int, event_us: int, arrival_us: int) -> None:
        times = self._times.get(entity)
        if times is None:
            self._rows[entity] = [0] * len(self._windows)
            self._parts[entity] = [{at: _Part(functions) for at, _, functions in steps} for steps in self._functions]
            times = (event_us, arrival_us)
        self._times[entity] = (max(times[0], event_us), max(times[1], arrival_us))
        self._changed.add(entity)

    def _is_newest(self, held: _Held) -> bool:
        """Whether this is the latest version of its row; then the one before it leaves all windows."""
        key = held.values[-2]
        if key is None:
            return True
        before = self._versions.get((held.entity, key))
        event_us, arrival_us, serial = held.recency
        if before is not None:
            old_event_us, old_arrival_us, old_serial = before.recency
            if (arrival_us, event_us, serial) < (old_arrival_us, old_event_us, old_serial):
                return False
            for window in range(len(self._windows)):
                self._leave(before, window)
            del self._versions[held.entity, key]
        self._versions[held.entity, key] = held
        while len(self._versions) > ROW_KEYS_MAX:
            oldest = next(iter(self._versions))
            if self._versions[oldest].inside:
                break
            del self._versions[oldest]
        return True

    def _enter(self, held: _Held, window: int) -> None:
        held.inside |= 1 << window
        self._rows[held.entity][window] += 1
        self._changed.add(held.entity)
        parts = self._parts[held.entity][window]
        for at, found, _ in self._functions[window]:
            value = held.values[at]
            if value is None or value is False:
                continue
            part = parts[at]
            part.n += 1
            if found.kind == "exact":
                part.total += value
                part.squares += value * value
            elif found.kind == "value":
                part.values[value] = part.values.get(value, 0) + 1
            for function, heap in part.heaps.items():
                heappush(heap, (_rank(function, value, held), held.recency[2], held))

    def _leave(self, held: _Held, window: int) -> None:
        if not held.inside >> window & 1:
            return
        held.inside &= ~(1 << window)
        self._rows[held.entity][window] -= 1
        self._changed.add(held.entity)
        parts = self._parts[held.entity][window]
        for at, found, _ in self._functions[window]:
            value = held.values[at]
            if value is None or value is False:
                continue
            part = parts[at]
            part.n -= 1
            if found.kind == "exact":
                part.total -= value
                part.squares -= value * value
            elif found.kind == "value":
                part.values[value] -= 1
                if not part.values[value]:
                    del part.values[value]
            for heap in part.heaps.values():
                if len(heap) > 2 * part.n + _OUTDATED_SLACK:
                    heap[:] = [entry for entry in heap if entry[2].inside >> window & 1]
                    heapify(heap)

    def expire(self, now_us: int) -> None:
        """Take back what has left its window by ``now_us``."""
        leaving = self._leaving
        while leaving and leaving[0][0] <= now_us:
            _, _, window, held = heappop(leaving)
            self._leave(held, window)

    def changed(self) -> list[int]:
        """Entities to be stored."""
        return sorted(self._changed)

    def stored(self) -> None:
        """Forget which had changed."""
        self._changed.clear()

    def row(self, entity: int) -> tuple[int, int, Sequence[float]]:
        """Event time, arrival time, values."""
        rows, parts = self._rows[entity], self._parts[entity]
        values = [
            float(rows[window]) if at < 0 else _value(aggregate.function, parts[window][at], rows[window], window, at)
            for aggregate, window, at in self._plan
        ]
        return (*self._times[entity], values)


def _rank(function: str, value: Any, held: _Held) -> Any:
    """What a heap sorts by: its least entry is the one wanted."""
    if function == "last":
        return tuple(-part for part in held.recency)
    return value if function == "min" else -value


def _value(function: str, part: _Part, rows: int, window: int, at: int) -> float:
    if function == "count":
        return float(part.n)
    if function == "share":
        return part.n / rows if rows else np.nan
    if function == "sum":
        return part.total / SCALE
    if function == "mean":
        return part.total / SCALE / part.n if part.n else np.nan
    if function == "std":
        return deviation(part.n, part.total, part.squares)
    if function == "distinct":
        return float(len(part.values))
    heap = part.heaps[function]
    while heap and not heap[0][2].inside >> window & 1:
        heappop(heap)
    return float(heap[0][2].values[at]) if heap else np.nan
