"""A remote online store that holds no request up: after some failures in a row every read fails at once, until the store answers again.

A circuit breaker whose half-open probe runs in a thread of its own: no request is ever the one that tries. Source: Nygard, "Release It!",
"Circuit Breaker".
"""

import threading
from collections.abc import Sequence
from typing import Any, Protocol

from leverframe.core.errors import LeverframeError, Unavailable
from leverframe.core.schema import ViewBinding
from leverframe.features.online.online import OnlineRows, RowReader

TIMEOUT_S = 0.05
"""A read that waits longer has failed: the requests behind it wait as long."""
FAILURES_MAX = 3
"""Failures in a row after which the store counts as unreachable and is no longer asked."""
PROBE_S = 0.5
"""How often a store that is not asked is probed."""


class RemoteStore(Protocol):
    """What is guarded: the reading half of a remote store, each call bounded by a timeout of its own."""

    def read(self, binding: ViewBinding, keys: Sequence[bytes], now_us: int) -> OnlineRows:
        """See :class:`leverframe.features.online.online.OnlineStore`."""
        ...

    def reader(self, bindings: Sequence[ViewBinding]) -> RowReader:
        """One entity in each of several views."""
        ...

    def ping(self) -> None:
        """Return when the server answers; Unavailable when it does not."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class GuardedOnlineStore:
    """Reads ``store`` while it answers.

    Parameters
    ----------
    failures_max, probe_s: see ``FAILURES_MAX`` and ``PROBE_S``.
    """

    def __init__(self, store: RemoteStore, *, failures_max: int = FAILURES_MAX, probe_s: float = PROBE_S) -> None:
        self._store = store
        self._failures_max = failures_max
        self._probe_s = probe_s
        self._failures = 0
        self._stopped = threading.Event()
        self._open = False

    @property
    def open(self) -> bool:
        """Whether the store is not asked at the moment."""
        return self._open

    def read(self, binding: ViewBinding, keys: Sequence[bytes], now_us: int) -> OnlineRows:
        """What the store reads.

        Raises
        ------
        Unavailable: it does not answer, or has not answered lately.
        """
        self._check()
        try:
            found = self._store.read(binding, keys, now_us)
        except Unavailable:
            self._failed()
            raise
        self._failures = 0
        return found

    def reader(self, bindings: Sequence[ViewBinding]) -> RowReader:
        """The store's own reader, guarded likewise."""
        ask = self._store.reader(bindings)

        def read(keys: Sequence[bytes]) -> list[tuple[Any, ...]]:
            self._check()
            try:
                rows = ask(keys)
            except Unavailable:
                self._failed()
                raise
            self._failures = 0
            return rows

        return read

    def close(self) -> None:
        """Stop probing and let go of the store."""
        self._stopped.set()
        self._store.close()

    def _check(self) -> None:
        if self._open:
            raise Unavailable(
                "the online store has not answered lately and is not asked",
                where="online store",
                expected="an answer in time",
                got=f"{self._failures} failures in a row",
                next_step="check the server; it is asked again as soon as it answers a probe",
            )

    def _failed(self) -> None:
        self._failures += 1
        if self._failures >= self._failures_max and not self._open:
            self._open = True
            threading.Thread(target=self._probe, name="online-store-probe", daemon=True).start()

    def _probe(self) -> None:
        """Ask until there is an answer, then let requests through again."""
        while not self._stopped.wait(self._probe_s):
            try:
                self._store.ping()
            except LeverframeError:
                continue
            self._failures = 0
            self._open = False
            return
