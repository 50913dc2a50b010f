"""What the worker does for data: deletes persons, lets old snapshots go, thins streams', compacts the log, deletes bytes nobody names."""

import logging
import time
from collections.abc import Callable

from leverframe.apps.log_compaction import LogCompaction
from leverframe.apps.platform.erasing import Erasing
from leverframe.apps.platform.keeping import Keeping
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.thinning import Thinning
from leverframe.core.clock import HOUR_US, SECOND_US
from leverframe.monitoring.log_reader import Position

RETENTION_EVERY_S = 600.0
LOOK_EVERY_S = 1.0
JUMP_US_MAX = HOUR_US
"""A clock that ran further than this beside the machine's own counting of seconds was set: nothing is called old by it for a while."""

log = logging.getLogger("leverframe.worker")


class DataLoop:
    """Everything it does is a command that a later look repeats or finds done, so it may be killed anywhere.

    Snapshots are let go by their age, and bytes that are gone do not come back when a clock does. So a clock has to run evenly for
    ``RETENTION_EVERY_S`` before anything is let go by it.

    Parameters
    ----------
    left_behind: up to where nobody reads the prediction log any more (None: not known).
    """

    def __init__(
        self,
        parts: Parts,
        monotonic_s: Callable[[], float] = time.monotonic,
        *,
        left_behind: Callable[[], Position | None] = lambda: None,
    ) -> None:
        self._erasing, self._keeping, self._thinning = Erasing(parts), Keeping(parts), Thinning(parts)
        # In the same loop as deletions, so that no segment becomes a file while a person is looked for in both.
        self._compaction = LogCompaction(parts, left_behind)
        self._clock, self._monotonic_s = parts.clock, monotonic_s
        self._retained_s = monotonic_s()
        self._seen: tuple[int, float] | None = None

    def look(self) -> None:
        """Deletions first: people wait for them."""
        self._erasing.carry_out_due()
        now_s = self._monotonic_s()
        if self._jumped(now_s):
            self._retained_s = now_s
        if now_s - self._retained_s >= RETENTION_EVERY_S:
            self._retained_s = now_s
            self._keeping.apply_all()
            self._thinning.apply_all()
            self._compaction.run()
        self._keeping.collect()

    def _jumped(self, now_s: float) -> bool:
        """Whether the clock was set since the last look."""
        now_us = self._clock.now_us()
        before, self._seen = self._seen, (now_us, now_s)
        if before is None:
            return False
        ahead_us = (now_us - before[0]) - (now_s - before[1]) * SECOND_US
        if abs(ahead_us) > JUMP_US_MAX:
            log.warning("data: the clock was set by %.1f h; nothing is let go by its age for %g s", ahead_us / HOUR_US, RETENTION_EVERY_S)
            return True
        return False
