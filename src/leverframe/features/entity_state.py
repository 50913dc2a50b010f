"""Per-entity state that changes by steps: the newest row, or whole-number counters of windows."""

from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

import numpy as np

from leverframe.core.feature import FeatureView
from leverframe.features.definitions import aggregated_columns, windows
from leverframe.features.source_rows import SCALE

Row = tuple[int, int, int, tuple[float | int | None, ...]]
"""A prepared row: entity number, event time, arrival time, float features or fixed-point values."""


class EntityState(Protocol):
    """Per-entity state of one kind of view."""

    def deliver(self, rows: Sequence[Row], now_us: int) -> None:
        """Take rows that are known at ``now_us``."""
        ...

    def expire(self, now_us: int) -> None:
        """Take back what has left its window by ``now_us``."""
        ...

    def changed(self) -> list[int]:
        """Entities whose values or times may differ from what was last stored, in order."""
        ...

    def stored(self) -> None:
        """The changed entities have been stored."""
        ...

    def row(self, entity: int) -> tuple[int, int, Sequence[float]]:
        """Event time, arrival time and feature values of one entity."""
        ...


class NewestRows:
    """Row expressions: the newest event wins, ties go to the latest arrival, then to the later row."""

    def __init__(self) -> None:
        self._state: dict[int, tuple[int, int, tuple[float, ...]]] = {}
        self._changed: set[int] = set()

    def deliver(self, rows: Sequence[Row], now_us: int) -> None:
        """Take rows that are known at ``now_us``."""
        for entity, event_us, arrival_us, values in rows:
            held = self._state.get(entity)
            if held is None or (event_us, arrival_us) >= held[:2]:
                self._state[entity] = (event_us, arrival_us, tuple(np.nan if v is None else v for v in values))
                self._changed.add(entity)

    def expire(self, now_us: int) -> None:
        """Nothing: the TTL is applied when a value is read."""

    def changed(self) -> list[int]:
        """Entities to be stored."""
        return sorted(self._changed)

    def stored(self) -> None:
        """Forget which had changed."""
        self._changed.clear()

    def row(self, entity: int) -> tuple[int, int, Sequence[float]]:
        """Event time, arrival time, values."""
        return self._state[entity]


class WindowCounters:
    """Windowed aggregates: whole-number counters by entity, window and column, and a heap of rows waiting to leave their window."""

    def __init__(self, view: FeatureView) -> None:
        columns = aggregated_columns(view)
        self._windows = windows(view)
        # A window owns a stride of counters: rows, then for each column n and sum.
        self._stride = 1 + 2 * len(columns)
        self._width = self._stride * len(self._windows)
        self._plan = [
            (a.function, base + (1 + 2 * columns.index(a.column) if a.column else 0))
            for a in view.aggregates
            for base in [self._windows.index(a.window_us) * self._stride]
        ]
        self._counters: dict[int, list[int]] = {}
        self._times: dict[int, tuple[int, int]] = {}
        self._leaving: list[tuple[int, int, int, int, tuple[float | int | None, ...]]] = []
        # Breaks ties in the heap, whose values could not be compared with each other.
        self._serial = count()
        self._changed: set[int] = set()

    def _step(self, entity: int, window: int, values: Sequence[float | int | None], sign: int) -> None:
        counters = self._counters[entity]
        at = window * self._stride
        counters[at] += sign
        for value in values:
            if value is not None:
                counters[at + 1] += sign
                counters[at + 2] += sign * int(value)
            at += 2
        self._changed.add(entity)

    def deliver(self, rows: Sequence[Row], now_us: int) -> None:
        """Take rows that are known at ``now_us``."""
        for entity, event_us, arrival_us, values in rows:
            times = self._times.get(entity)
            if times is None:
                self._counters[entity] = [0] * self._width
                times = (event_us, arrival_us)
            self._times[entity] = (max(times[0], event_us), max(times[1], arrival_us))
            self._changed.add(entity)
            for window, window_us in enumerate(self._windows):
                leaves_us = event_us + window_us
                if leaves_us > now_us:
                    self._step(entity, window, values, +1)
                    heappush(self._leaving, (leaves_us, next(self._serial), entity, window, values))

    def expire(self, now_us: int) -> None:
        """Take back what has left its window by ``now_us``."""
        leaving = self._leaving
        while leaving and leaving[0][0] <= now_us:
            _, _, entity, window, values = heappop(leaving)
            self._step(entity, window, values, -1)

    def changed(self) -> list[int]:
        """Entities to be stored."""
        return sorted(self._changed)

    def stored(self) -> None:
        """Forget which had changed."""
        self._changed.clear()

    def row(self, entity: int) -> tuple[int, int, Sequence[float]]:
        """Event time, arrival time, values."""
        counters = self._counters[entity]
        values: list[float] = []
        for function, at in self._plan:
            if function == "count":
                values.append(float(counters[at]))
            elif function == "sum":
                values.append(counters[at + 1] / SCALE)
            else:
                values.append(counters[at + 1] / SCALE / counters[at] if counters[at] else np.nan)
        return (*self._times[entity], values)
