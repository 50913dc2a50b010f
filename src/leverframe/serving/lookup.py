"""Features by entity key: the shape of the online store the gateway needs, and the reading of all views of a request."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import nan
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from leverframe.core.errors import LeverframeError
from leverframe.core.schema import ViewBinding
from leverframe.serving.tensors import Column

KEYS_REMEMBERED_MAX = 16_384
"""Entity keys kept between requests: popular entities are asked for again and again."""
Float = npt.NDArray[np.float64]


class LookedUp(Protocol):
    """Values float64 ``[rows, features]`` in the binding's order, NaN where there is none or it has expired."""

    @property
    def values(self) -> Float:
        """See the class."""
        ...


class OnlineStore(Protocol):
    """Reads the newest values of entities (the features room's stores have this shape)."""

    def read(self, binding: ViewBinding, keys: Sequence[bytes], now_us: int) -> LookedUp:
        """Raises Unavailable when the store cannot be reached."""
        ...


@runtime_checkable
class ReadsEach(OnlineStore, Protocol):
    """A store that is quicker at one entity than at arrays of them."""

    def read_each(self, asked: Sequence[tuple[ViewBinding, bytes]], now_us: int) -> list[Sequence[float]]:
        """The values of one entity in each view, NaN where there is none or it has expired; the same as ``read`` gives."""
        ...


ReadEach = Callable[[Sequence[tuple[ViewBinding, bytes]], int], list[Sequence[float]]]
EntityKeys = Callable[[Sequence[Column]], list[bytes]]
"""Parallel key columns to the bytes each row is stored under (the features room's ``entity_keys``)."""


class Lookup:
    """Reads every view a model is bound to.

    Parameters
    ----------
    store, keys: injected by the gateway process; without a store every feature is missing and every view reported as unreachable.
    """

    def __init__(self, store: OnlineStore | None, keys: EntityKeys) -> None:
        self._store = store
        self._keys = keys
        self._each: ReadEach | None = store.read_each if isinstance(store, ReadsEach) else None
        # Types are part of what is remembered: 1, 1.0 and True are equal, and not one entity.
        self._key = lru_cache(KEYS_REMEMBERED_MAX, typed=True)(lambda *parts: keys([[part] for part in parts])[0])

    def read_one(
        self, bindings: Sequence[ViewBinding], columns: Mapping[str, Column], now_us: int, skip: frozenset[str]
    ) -> tuple[dict[str, Sequence[float]], list[str]]:
        """``read`` for a request of one row, each view's values as plain floats."""
        if self._each is not None:
            asked = [binding for binding in bindings if binding.view not in skip] if skip else bindings
            try:
                keyed = [(binding, self._key(*[columns[field][0] for field in binding.entity_fields])) for binding in asked]
                views = dict(zip([binding.view for binding in asked], self._each(keyed, now_us), strict=True))
            except LeverframeError:
                pass  # the general way finds out which views it is
            else:
                return views | {b.view: [nan] * len(b.features) for b in bindings if b.view in skip} if skip else views, []
        found, unreachable = self.read(bindings, columns, 1, now_us, skip)
        return {view: values[0].tolist() for view, values in found.items()}, unreachable

    def read(
        self, bindings: Sequence[ViewBinding], columns: Mapping[str, Column], rows: int, now_us: int, skip: frozenset[str]
    ) -> tuple[dict[str, Float], list[str]]:
        """Values of each view, and the views that could not be reached (their values are NaN: the columns' policy decides).

        Parameters
        ----------
        skip: views that are switched off altogether; not read, NaN.
        """
        views: dict[str, Float] = {}
        unreachable: list[str] = []
        for binding in bindings:
            if binding.view not in skip and self._store is not None:
                try:
                    keys = self._keys([columns[field] for field in binding.entity_fields])
                    views[binding.view] = self._store.read(binding, keys, now_us).values
                    continue
                except LeverframeError:
                    unreachable.append(binding.view)
            elif binding.view not in skip:
                unreachable.append(binding.view)
            views[binding.view] = np.full((rows, len(binding.features)), np.nan)
        return views, unreachable
