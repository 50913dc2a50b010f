"""The worker's looks at experiments: their own tape of the prediction log, read only while an experiment is open."""

from collections.abc import Iterator

from leverframe.apps.log_tape import LogTape
from leverframe.apps.platform.experiment_reports import ExperimentReports
from leverframe.apps.platform.parts import Parts
from leverframe.core.prediction import LogRecord
from leverframe.release.experiments.controller import ExperimentController


class ExperimentLoop:
    """Looks at every open experiment, in a loop of its own: a long log, or a look that fails, holds up no release."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._controller = ExperimentController(parts.ledger, parts.settings.environment, ExperimentReports(parts).make)
        self._tape: LogTape | None = None

    def look(self) -> None:
        """One look.

        Raises
        ------
        Unavailable: a store did not answer; nothing is lost, look again.
        """
        if self._controller.open():
            self._controller.tick(self._since, self._parts.clock.now_us())
        elif self._tape is not None:
            self._tape = None
            self._controller.forget()

    def _since(self, since: int) -> Iterator[tuple[int, LogRecord]]:
        if self._tape is None or since == 0:
            # The release controller's marks say where in the log a route generation begins; they are read here, and written there.
            self._tape = LogTape(self._parts.settings.log_folder, self._parts.settings.home / "log.marks", self._lowest_generation)
        return self._tape.since(since)

    def _lowest_generation(self) -> int | None:
        return min((open.generation for open in self._controller.open()), default=None)
