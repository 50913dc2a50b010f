"""One thread and event loop for every child of this process, so that whoever loads or asks a model needs no loop of its own.

A child dies with the *thread* that started it (``PR_SET_PDEATHSIG``); this one lives as long as the process.
"""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
_lock = threading.Lock()
_loops: list[asyncio.AbstractEventLoop] = []


def _loop() -> asyncio.AbstractEventLoop:
    with _lock:
        if not _loops:
            loop = asyncio.SelectorEventLoop()
            threading.Thread(target=loop.run_forever, name="isolated", daemon=True).start()
            _loops.append(loop)
        return _loops[0]


def keep(work: Coroutine[Any, Any, T]) -> Future[T]:
    """Run ``work`` on the keeper's loop."""
    return asyncio.run_coroutine_threadsafe(work, _loop())
