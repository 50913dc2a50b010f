"""Per-entity state that changes by steps, and the simpler of its two kinds: the newest row. The other is in ``window_state.py``."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

Row = tuple[int, int, int, tuple[Any, ...]]
"""A prepared row: entity number, event time, arrival time, then what ``prepared_columns`` names."""


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
