"""The worker's looks at experiments: their own tape of the prediction log, read only while an experiment is open."""

import logging
from collections.abc import Iterator

from leverframe.apps.log_tape import LogTape
from leverframe.apps.platform.experiment_reports import ExperimentReports
from leverframe.apps.platform.parts import Parts
from leverframe.core.errors import LeverframeError
from leverframe.core.prediction import LogRecord
from leverframe.release.experiments.controller import ExperimentController

log = logging.getLogger("leverframe.experiments")


class ExperimentLoop:
    """Looks at every open experiment; a look that fails is logged and tried again, and holds up nothing else."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._controller = ExperimentController(parts.ledger, parts.settings.environment, ExperimentReports(parts).make)
        self._tape: LogTape | None = None

    def look(self, now_us: int) -> None:
        """One look as of ``now_us``."""
        try:
            if not self._controller.open():
                if self._tape is not None:
                    self._tape = None
                    self._controller.forget()
                return
            self._controller.tick(self._since, now_us)
        except LeverframeError as error:
            log.warning("experiments: %s", error)

    def _since(self, since: int) -> Iterator[tuple[int, LogRecord]]:
        if self._tape is None or since == 0:
            # The release controller's marks say where in the log a route generation begins; they are read here, and written there.
            self._tape = LogTape(self._parts.settings.log_folder, self._parts.settings.home / "log.marks", self._lowest_generation)
        return self._tape.since(since)

    def _lowest_generation(self) -> int | None:
        return min((open.generation for open in self._controller.open()), default=None)
