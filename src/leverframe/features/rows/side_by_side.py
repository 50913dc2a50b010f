"""One function over several things at once, on this process's threads."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import polars as pl

_T = TypeVar("_T")
_R = TypeVar("_R")


def side_by_side(function: Callable[[_T], _R], items: Iterable[_T], threads: int = 0) -> list[_R]:
    """``function`` of each item, in order, on so many threads (0: as Polars has); numpy, Polars and sweeps let go of the interpreter."""
    threads = threads or pl.thread_pool_size()
    if threads == 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))


def both(first: Callable[[], _T], second: Callable[[], _R]) -> tuple[_T, _R]:
    """What two calls give that go side by side, the second one on a thread of its own.

    >>> both(lambda: 1, lambda: "b")
    (1, 'b')
    """
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(second)
        return first(), beside.result()
