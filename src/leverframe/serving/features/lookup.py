"""Features by entity key: the shape of the online store the gateway needs, and the reading of all views of a request."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import nan
from typing import Any, NamedTuple, Protocol, runtime_checkable

import msgspec
import numpy as np
import numpy.typing as npt

from leverframe.core.errors import LeverframeError
from leverframe.core.schema import ViewBinding
from leverframe.serving.protocol.tensors import Column

KEYS_REMEMBERED_MAX = 16_384
"""Entity keys kept between requests: popular entities are asked for again and again."""
LAST_KNOWN_MAX = 65_536
"""Rows kept for models that degrade; at the bound the one that was read longest ago goes."""
READERS_MAX = 256
"""Compiled readers kept; at the bound they are made again."""
NEVER_US = -(2**63)
"""The event time of a row that does not exist."""
Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
_encode = msgspec.json.encode
RowReader = Callable[[Sequence[bytes]], list[tuple[Any, ...]]]


class Found(Protocol):
    """Rows of a view: values and stored values float64 ``[rows, features]`` in the binding's order, event times ``[rows]``.

    ``values`` are NaN where there is none or it has expired, ``stored`` only where there is none.
    """

    @property
    def values(self) -> Float:
        """See the class."""
        ...

    @property
    def stored(self) -> Float:
        """See the class."""
        ...

    @property
    def event_us(self) -> Int:
        """See the class; ``NEVER_US`` for a row that does not exist."""
        ...


class OnlineStore(Protocol):
    """Reads the newest values of entities (the features room's stores have this shape)."""

    def read(self, binding: ViewBinding, keys: Sequence[bytes], now_us: int) -> Found:
        """Raises Unavailable when the store cannot be reached."""
        ...


@runtime_checkable
class ReadsRows(OnlineStore, Protocol):
    """A store that is quicker at one entity than at arrays of them."""

    def reader(self, bindings: Sequence[ViewBinding]) -> RowReader:
        """Reads one entity's stored row in each view: event time, arrival time, features; no TTL applied."""
        ...


EntityKeys = Callable[[Sequence[Column]], list[bytes]]
"""Parallel key columns to the bytes each row is stored under (the features room's ``entity_keys``)."""


class Gap(NamedTuple):
    """Why ``rows`` (bool ``[rows]``) of a view have no values in time: its store is ``unreachable``, or they have expired.

    ``spare`` float64 ``[rows, features]`` are the last known values, NaN where there is none, and ``over_us`` int64 ``[rows]`` is how far
    they are beyond their time: since the end of their TTL, or, of an unreachable store, since they were read if that is longer.
    """

    unreachable: bool
    rows: npt.NDArray[np.bool_]
    spare: Float
    over_us: Int


_NO_GAPS: Mapping[str, Gap] = {}
_NO_AGES: Mapping[str, int] = {}


class Looked(msgspec.Struct, gc=False):
    """What was found of a request: the values of each view, NaN where there are none in time; views with gaps; and how old each view is.

    ``values`` are float64 ``[rows, features]``, for a request of one row plain sequences of floats. ``ages_us`` is the age by event time of
    the oldest row found in each view, expired or not.
    """

    values: Mapping[str, Any]
    gaps: Mapping[str, Gap] = _NO_GAPS
    ages_us: Mapping[str, int] = _NO_AGES

    @property
    def unreachable(self) -> list[str]:
        """Views whose store could not be reached."""
        return [view for view, gap in self.gaps.items() if gap.unreachable]


class Lookup:
    """Reads every view a model is bound to.

    Parameters
    ----------
    store, keys: injected by the gateway process; without a store every feature is missing and every view reported as unreachable.
    """

    def __init__(self, store: OnlineStore | None, keys: EntityKeys) -> None:
        self._store = store
        self._keys = keys
        self._rows: ReadsRows | None = store if isinstance(store, ReadsRows) else None
        self._readers: dict[int, tuple[Sequence[ViewBinding], RowReader]] = {}
        # Types are part of what is remembered: 1, 1.0 and True are equal, and not one entity.
        self.key = lru_cache(KEYS_REMEMBERED_MAX, typed=True)(lambda *parts: keys([[part] for part in parts])[0])
        """One entity's key of its parts."""
        self._last: dict[tuple[str, str, bytes], tuple[int, int, tuple[float, ...]]] = {}
        self.newest_event_us: dict[str, int] = {}
        """The newest event time seen in each view."""

    def reader(self, bindings: Sequence[ViewBinding]) -> RowReader | None:
        """The store's quick way to one entity's rows, compiled for ``bindings``; None when it has none."""
        if self._rows is None:
            return None
        known = self._readers.get(id(bindings))
        if known is None or known[0] is not bindings:
            if len(self._readers) >= READERS_MAX:
                self._readers.clear()
            known = self._readers[id(bindings)] = (bindings, self._rows.reader(bindings))
        return known[1]

    def read_one(
        self,
        bindings: Sequence[ViewBinding],
        columns: Mapping[str, Column],
        now_us: int,
        skip: frozenset[str],
        remember: frozenset[str] = frozenset(),
    ) -> Looked:
        """``read`` for a request of one row, each view's values as plain floats."""
        reader = None if skip else self.reader(bindings)
        if reader is not None:
            try:
                keys = [self.key(*[columns[field][0] for field in binding.entity_fields]) for binding in bindings]
                rows = reader(keys)
            except LeverframeError:
                pass  # the general way finds out which views it is
            else:
                return self._one(bindings, keys, rows, now_us, remember)
        looked = self.read(bindings, columns, 1, now_us, skip, remember)
        return Looked({view: values[0].tolist() for view, values in looked.values.items()}, looked.gaps, looked.ages_us)

    def _one(
        self, bindings: Sequence[ViewBinding], keys: Sequence[bytes], rows: Sequence[tuple[Any, ...]], now_us: int, remember: frozenset[str]
    ) -> Looked:
        views: dict[str, Sequence[float]] = {}
        gaps: dict[str, Gap] = {}
        ages: dict[str, int] = {}
        newest = self.newest_event_us
        for binding, key, row in zip(bindings, keys, rows, strict=True):
            view, event_us, values = binding.view, row[0], row[2:]
            if remember and view in remember:
                self._remember(binding, key, now_us, event_us, values)
            if event_us != NEVER_US:
                ages[view] = now_us - event_us
                if event_us > newest.get(view, NEVER_US):
                    newest[view] = event_us
                if binding.ttl_us and event_us <= now_us - binding.ttl_us:
                    over = np.array([now_us - binding.ttl_us - event_us], dtype=np.int64)
                    gaps[view] = Gap(False, np.ones(1, dtype=bool), np.array([values], dtype=np.float64), over)
                    values = (nan,) * len(values)
            views[view] = values
        return Looked(views, gaps, ages)

    def read(
        self,
        bindings: Sequence[ViewBinding],
        columns: Mapping[str, Column],
        rows: int,
        now_us: int,
        skip: frozenset[str],
        remember: frozenset[str] = frozenset(),
    ) -> Looked:
        """Values of each view, and what is behind those that are not there (they are NaN: the columns' policy decides).

        Parameters
        ----------
        skip: views that are switched off altogether; not read, NaN.
        remember: views whose rows are kept, to be used when the store is unreachable.
        """
        values: dict[str, Float] = {}
        gaps: dict[str, Gap] = {}
        ages: dict[str, int] = {}
        made: dict[tuple[str, ...], list[bytes]] = {}  # views of one entity share its keys
        for binding in bindings:
            view, keep = binding.view, binding.view in remember
            if view in skip:
                values[view] = np.full((rows, len(binding.features)), np.nan)
                continue
            keys: list[bytes] = []
            try:
                keys = made.get(binding.entity_fields) or self._keys([columns[field] for field in binding.entity_fields])
                made[binding.entity_fields] = keys
                found = self._store.read(binding, keys, now_us) if self._store is not None else None
            except LeverframeError:
                found = None
            if found is None:
                values[view] = np.full((rows, len(binding.features)), np.nan)
                gaps[view] = self._unreachable(binding, keys if keep else [], rows, now_us)
                continue
            values[view], events = found.values, found.event_us
            there = events != NEVER_US
            if there.any():
                ages[view] = now_us - int(events[there].min())
                self.newest_event_us[view] = max(int(events.max()), self.newest_event_us.get(view, NEVER_US))
                if binding.ttl_us:
                    over = np.where(there, now_us - binding.ttl_us - np.where(there, events, 0), -1)
                    if (over >= 0).any():
                        gaps[view] = Gap(False, over >= 0, found.stored, over)
            if keep:
                for key, event_us, row in zip(keys, events.tolist(), found.stored.tolist(), strict=True):
                    self._remember(binding, key, now_us, event_us, tuple(row))
        return Looked(values, gaps, ages)

    def _remember(self, binding: ViewBinding, key: bytes, now_us: int, event_us: int, values: tuple[float, ...]) -> None:
        known = (binding.view, binding.view_version, key)
        self._last.pop(known, None)
        if event_us == NEVER_US:
            return
        if len(self._last) >= LAST_KNOWN_MAX:
            del self._last[next(iter(self._last))]
        self._last[known] = (now_us, event_us, values)

    def _unreachable(self, binding: ViewBinding, keys: Sequence[bytes], rows: int, now_us: int) -> Gap:
        spare = np.full((rows, len(binding.features)), np.nan)
        over = np.zeros(rows, dtype=np.int64)
        for index, key in enumerate(keys):
            last = self._last.get((binding.view, binding.view_version, key))
            if last is not None and len(last[2]) == len(binding.features):
                read_at_us, event_us, values = last
                spare[index] = values
                over[index] = max(now_us - read_at_us, now_us - binding.ttl_us - event_us if binding.ttl_us else 0)
        return Gap(True, np.ones(rows, dtype=bool), spare, over)


def freshness(ages_us: Mapping[str, int]) -> bytes:
    """The part of an answer's parameters that says how old each view's values are, in whole seconds.

    >>> freshness({"weather": 312_900_000})
    b',"freshness_s":{"weather":312}'
    """
    return b',"freshness_s":{%b}' % b",".join(b"%b:%d" % (_encode(view), max(0, age) // 1_000_000) for view, age in ages_us.items())
