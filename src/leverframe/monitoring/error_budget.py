"""What is left of an endpoint's error budget, as a record that a release's policy can be decided on.

Source: The Site Reliability Workbook (Google 2018), chapter 2, "Implementing SLOs", and appendix B, "Example Error Budget Policy": releases
wait when the budget of the last four weeks is spent.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec

from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.command import Command, Handles, Transaction
from leverframe.monitoring.objectives import Objectives
from leverframe.monitoring.slo import BAD_MIN, budget_left
from leverframe.monitoring.windows import Window

KIND_ERROR_BUDGET = "error_budget"

PERIOD_US = 28 * DAY_US
"""Four whole weeks, so that every period has as many weekends."""

STEP = 0.05
"""A budget is written down anew when it moved by so much of itself, or was spent or recovered: not at every failed answer."""


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """One objective over the period: so many good and bad answers at this target, and the share of its budget that is left."""

    name: str
    target: float
    good: int
    bad: int
    left: float


class ErrorBudget(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint's budget at ``at_us``: ``left`` is the least of its objectives' (1 untouched, 0 spent, negative overspent)."""

    endpoint: str
    at_us: int
    period_us: int
    left: float
    objectives: tuple[Spent, ...]


class RecordErrorBudget(Command, frozen=True, kw_only=True):
    """Write down what was counted; only the platform does, which counted it."""

    action: ClassVar[str] = "Monitoring.Judge"
    budget: ErrorBudget
    owning_team: str = ""

    def resource(self) -> str:
        """``endpoint/<name>``."""
        return f"endpoint/{self.budget.endpoint}"

    def team(self) -> str:
        """The team that owns the endpoint."""
        return self.owning_team


def record_error_budget(command: RecordErrorBudget, tx: Transaction) -> dict[str, Any]:
    """Put the budget."""
    tx.put(KIND_ERROR_BUDGET, command.budget.endpoint, command.budget)
    return {"endpoint": command.budget.endpoint, "left": command.budget.left}


def error_budget(objectives: Objectives, hours: Iterable[tuple[int, Window]], now_us: int) -> ErrorBudget:
    """The budget of the last four weeks out of an endpoint's windows of all versions, each with its hour since the epoch.

    Four weeks are held against the objectives as they are now, also what was answered before they were set.

    A refused request is its caller's doing and is neither good nor bad. Fewer than :data:`leverframe.monitoring.slo.BAD_MIN` bad answers
    spend nothing: of few requests, one is a large share.
    """
    first = (now_us - PERIOD_US) // HOUR_US
    chosen = [window for hour, window in hours if first < hour]
    answered = sum(window.count("requests") - window.count("refused") for window in chosen)
    failed = sum(window.count("errors") + window.count("fallbacks") for window in chosen)
    timed = sum(int(window.latency.sum()) for window in chosen)
    slow = sum(int(window.latency[objectives.latency_cell + 1 :].sum()) for window in chosen)
    spent = (
        _spent("availability", objectives.availability, answered - failed, failed),
        _spent("latency", objectives.latency_target, timed - slow, slow),
    )
    left = min(each.left for each in spent)
    return ErrorBudget(endpoint=objectives.endpoint, at_us=now_us, period_us=PERIOD_US, left=left, objectives=spent)


def _spent(name: str, target: float, good: int, bad: int) -> Spent:
    left = budget_left(good, bad, target) if bad >= BAD_MIN else 1.0
    return Spent(name=name, target=target, good=good, bad=bad, left=round(left, 6))


def worth_recording(before: ErrorBudget | None, now: ErrorBudget) -> bool:
    """Whether ``now`` says something that ``before`` does not."""
    was = 1.0 if before is None else before.left
    promised = before is not None and [each.target for each in before.objectives] != [each.target for each in now.objectives]
    return promised or abs(now.left - was) >= STEP or (now.left > 0) != (was > 0)


HANDLERS: tuple[Handles, ...] = (Handles(command=RecordErrorBudget, run=record_error_budget),)
