"""One function over several things at once, on this process's threads."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import polars as pl

_T = TypeVar("_T")
_R = TypeVar("_R")


def side_by_side(function: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    """``function`` of each item, in order, on as many threads as Polars has; numpy, Polars and sweeps let go of the interpreter."""
    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        return list(pool.map(function, items))
