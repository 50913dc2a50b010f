"""Keeps the ledger's error budgets in step with what the monitor counted."""

import time
from collections.abc import Sequence

from leverframe.core.actor import PLATFORM
from leverframe.core.clock import HOUR_US
from leverframe.core.command import Journal
from leverframe.monitoring.error_budget import KIND_ERROR_BUDGET, ErrorBudget, RecordErrorBudget, error_budget, worth_recording
from leverframe.monitoring.fold import Windows
from leverframe.monitoring.monitor import Watch

EVERY_US = HOUR_US
EVERY_S = 2.0
"""A replay lives through hours in moments: it is not asked at each of them."""


class ErrorBudgets:
    """Writes an endpoint's budget down when it moved."""

    def __init__(self, journal: Journal, windows: Windows) -> None:
        self._journal = journal
        self._windows = windows
        self._looked_us: int | None = None
        self._looked_s = 0.0

    def note(self, now_us: int, watches: Sequence[Watch]) -> None:
        """Count again, at most once an hour, and record what moved."""
        now_s = time.monotonic()
        if self._looked_us is not None and (0 <= now_us - self._looked_us < EVERY_US or now_s - self._looked_s < EVERY_S):
            return
        self._looked_us, self._looked_s = now_us, now_s
        for watch in watches:
            versions = self._windows.versions(watch.endpoint)
            hours = [pair for version in versions for pair in self._windows.hours(watch.endpoint, version).items()]
            budget = error_budget(watch.objectives, hours, now_us)
            if worth_recording(self._journal.get(KIND_ERROR_BUDGET, watch.endpoint, ErrorBudget), budget):
                key = f"error-budget/{watch.endpoint}/{now_us}"
                self._journal.write(PLATFORM, RecordErrorBudget(budget=budget, owning_team=watch.team), key=key)
