"""The incremental engine: source rows in as they arrive, changed entities out to the online store.

At any moment ``t`` the store holds what ``timeline`` says for ``t``: both start from ``source_rows`` and count in the same whole numbers.
A feed can be frozen (its rows wait) and resumed (they are delivered late, at the next advance).
"""

import numpy as np
import polars as pl

from leverframe.core.errors import InvalidInput, LimitExceeded
from leverframe.core.feature import FeatureView
from leverframe.features.declared.definitions import ARRIVAL, EVENT, VALID_FROM, view_version
from leverframe.features.online.online import NEVER_US, EntityRows, Float, OnlineStore, ViewMeta, entity_keys
from leverframe.features.rows.source_rows import prepared_columns, source_rows
from leverframe.features.timelines.entity_state import EntityState, NewestRows, Row
from leverframe.features.timelines.window_state import WindowState

PENDING_ROWS_MAX = 50_000_000


class ViewStream:
    """Keeps one view's newest values in ``store`` as time goes on.

    Push source rows before the moment they arrive (a replay pushes all of them at the start); each ``advance`` delivers what is
    known by then. After a restart push the same rows again and advance to now: the store ends in the same state.
    """

    def __init__(self, view: FeatureView, store: OnlineStore) -> None:
        self.view = view
        self._store = store
        self._version = view_version(view)
        self._state: EntityState = NewestRows() if view.expressions else WindowState(view)
        self._numbers: dict[bytes, int] = {}
        self._keys: list[bytes] = []
        self._waiting: list[Row] = []
        self._waiting_from_us: list[int] = []
        self._next = 0
        self._frozen = False
        self._now_us = NEVER_US
        self._newest = (NEVER_US, NEVER_US)

    @property
    def frozen(self) -> bool:
        """Whether the feed is stopped."""
        return self._frozen

    def push(self, rows: pl.LazyFrame | pl.DataFrame) -> int:
        """Hand over source rows, in any order; those already due are delivered at the next ``advance``. Returns how many can count.

        Raises
        ------
        InvalidInput: the view does not fit the rows.    LimitExceeded: more rows are waiting than the engine holds.
        """
        prepared = source_rows(self.view, rows.lazy()).with_columns(pl.max_horizontal(EVENT, ARRIVAL).alias(VALID_FROM))
        prepared = prepared.sort([VALID_FROM, EVENT, ARRIVAL], maintain_order=True)
        if len(self._waiting) - self._next + prepared.height > PENDING_ROWS_MAX:
            raise LimitExceeded("too many rows are waiting", where=self.view.name, expected=f"at most {PENDING_ROWS_MAX}")
        values = prepared_columns(self.view)
        rows_values = prepared.select(values).rows() if values else [()] * prepared.height
        fresh = list(zip(self._entities(prepared), prepared[EVENT].to_list(), prepared[ARRIVAL].to_list(), rows_values, strict=True))
        waiting = [*zip(self._waiting_from_us[self._next :], self._waiting[self._next :], strict=True)]
        offered = [*zip(prepared[VALID_FROM].to_list(), fresh, strict=True)]
        # Both runs are sorted, so this stable sort merges them; what was pushed earlier stays ahead among equals.
        merged = sorted([*waiting, *offered], key=lambda item: (item[0], item[1][1], item[1][2])) if waiting else offered
        self._waiting_from_us = [from_us for from_us, _ in merged]
        self._waiting = [row for _, row in merged]
        self._next = 0
        return prepared.height

    def _entities(self, prepared: pl.DataFrame) -> list[int]:
        """A small number for each row's entity; each distinct key is encoded once."""
        keys = list(self.view.entity)
        distinct = prepared.select(keys).unique(maintain_order=True)
        numbers = []
        for key in entity_keys([distinct[k].to_list() for k in keys]):
            if key not in self._numbers:
                self._numbers[key] = len(self._keys)
                self._keys.append(key)
            numbers.append(self._numbers[key])
        numbered = distinct.with_columns(pl.Series("__entity", numbers, dtype=pl.Int64))
        return prepared.select(keys).join(numbered, on=keys, how="left", maintain_order="left")["__entity"].to_list()

    def freeze(self) -> None:
        """Stop delivering rows; windows go on passing over those delivered before."""
        self._frozen = True

    def resume(self) -> None:
        """Deliver again; rows that became due meanwhile arrive at the next ``advance``."""
        self._frozen = False

    def advance(self, to_us: int) -> int:
        """Bring the store to ``to_us`` in one transaction; returns how many entities were written.

        Raises
        ------
        InvalidInput: ``to_us`` lies before the last advance.    Unavailable: the store refused; advance again to retry.
        """
        if to_us < self._now_us:
            raise InvalidInput("a stream cannot go back in time", where=self.view.name, expected=str(self._now_us), got=str(to_us))
        self._now_us = to_us
        if not self._frozen:
            due = self._due(to_us)
            if due:
                self._state.deliver(due, to_us)
                self._newest = (max(self._newest[0], *(r[1] for r in due)), max(self._newest[1], *(r[2] for r in due)))
        self._state.expire(to_us)
        return self._write(to_us)

    def _due(self, to_us: int) -> list[Row]:
        begin = end = self._next
        from_us = self._waiting_from_us
        while end < len(from_us) and from_us[end] <= to_us:
            end += 1
        self._next = end
        return self._waiting[begin:end]

    def _write(self, to_us: int) -> int:
        changed = self._state.changed()
        rows = [self._state.row(entity) for entity in changed]
        values: Float = np.array([r[2] for r in rows], dtype=np.float64).reshape(len(rows), len(self.view.features))
        batch = EntityRows(
            keys=[self._keys[entity] for entity in changed],
            event_us=np.array([r[0] for r in rows], dtype=np.int64),
            arrival_us=np.array([r[1] for r in rows], dtype=np.int64),
            values=values,
        )
        meta = ViewMeta(
            view=self.view.name,
            view_version=self._version,
            features=self.view.features,
            watermark_us=to_us,
            newest_event_us=self._newest[0],
            newest_arrival_us=self._newest[1],
        )
        self._store.write(batch, meta)
        self._state.stored()
        return len(changed)
