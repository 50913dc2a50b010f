"""What the worker does with the prediction log's past: segments that nobody needs as segments become Parquet in the archive."""

import logging
from collections.abc import Callable

from leverframe.apps.platform.parts import Parts
from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.monitoring.compaction import Compacted, compact
from leverframe.monitoring.fold import HOURS_MAX
from leverframe.monitoring.log_archive import LogArchive
from leverframe.monitoring.log_reader import Position
from leverframe.release.experiments.records import KIND_EXPERIMENT, KIND_EXPERIMENT_OPEN, Experiment, OpenExperiment

KEPT_US = HOURS_MAX * HOUR_US + DAY_US
"""A worker that starts over counts the hours of so long again, and so the segments of so long stay; it never reads more than these."""

log = logging.getLogger("leverframe.worker")


class LogCompaction:
    """Compacts, a bounded number of segments at a time.

    Parameters
    ----------
    left_behind: where every reader of the log is past and none goes back to; None while that is not known.
    """

    def __init__(self, parts: Parts, left_behind: Callable[[], Position | None]) -> None:
        self._parts, self._left_behind = parts, left_behind
        self._archive = LogArchive(parts.settings.log_archive)
        self._damaged: tuple[str, ...] = ()

    def run(self) -> Compacted | None:
        """Turn the oldest segments into files; None when nobody knows yet what may go. Killed anywhere, the next run goes on.

        Raises
        ------
        Unavailable: a file cannot be written; nothing was removed that is not durably in place.
        """
        read_until = self._left_behind()
        if read_until is None:
            return None
        before_us = min([self._parts.clock.now_us() - KEPT_US, *self._experiments_us()])
        done = compact(self._parts.settings.log_folder, self._archive, read_until=read_until, sealed_before_us=before_us)
        if done.segments:
            log.info("prediction log: %d segments became %d files of %d records", done.segments, done.files, done.records)
        if done.damaged != self._damaged:
            log.warning("prediction log: damaged segments stay as they are: %s", ", ".join(done.damaged) or "none any more")
            self._damaged = done.damaged
        return done

    def _experiments_us(self) -> list[int]:
        """When the experiments under way began: their reports are made of segments from then on."""
        ledger = self._parts.ledger
        held = (ledger.get(KIND_EXPERIMENT, each.experiment, Experiment) for each in ledger.find(KIND_EXPERIMENT_OPEN, OpenExperiment))
        return [each.started_us for each in held if each is not None]
