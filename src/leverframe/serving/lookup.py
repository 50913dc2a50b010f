"""Features by entity key: the shape of the online store the gateway needs, and the reading of all views of a request."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from leverframe.core.errors import LeverframeError
from leverframe.core.schema import ViewBinding
from leverframe.serving.tensors import Column

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
