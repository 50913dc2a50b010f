"""When there is more work than time: how late the event loop runs, and shedding until it has caught up."""

import asyncio

from leverframe.core.errors import Overloaded

BEAT_S = 0.02
SHED_LAG_S = 0.5
"""A loop that is this late has at least as much work waiting in its sockets: refuse quickly rather than answer late."""
RECOVERED_LAG_S = 0.1


class LoadGate:
    """Measures the loop's lateness by a heartbeat; ``shedding`` is read on the hot path."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, shed_lag_s: float = SHED_LAG_S) -> None:
        self._loop = loop
        self._shed_lag_s = shed_lag_s
        self.lag_s = 0.0
        self.shedding = False
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to measure."""
        self._due = self._loop.time() + BEAT_S
        self._timer = self._loop.call_at(self._due, self._beat)

    def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        self.observe(max(0.0, self._loop.time() - self._due))
        self.start()

    def observe(self, lag_s: float) -> None:
        """Take one measurement: shed above the bound, until lateness is back near nothing."""
        self.lag_s = lag_s
        self.shedding = lag_s > (RECOVERED_LAG_S if self.shedding else self._shed_lag_s)

    def refusal(self) -> Overloaded:
        """What a shed caller is told."""
        return Overloaded(
            "the gateway has more work than time",
            where="gateway",
            expected=f"answers within {self._shed_lag_s:g} s",
            got=f"{self.lag_s:.2f} s behind",
            next_step="ask again after a second; operators: add a worker",
        )
