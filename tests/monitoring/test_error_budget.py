"""The error budget of four weeks, out of hourly counts, and when it is written down."""

import numpy as np
import pytest
from tests.monitoring.world import ENDPOINT, shape

from leverframe.core.actor import PLATFORM, Actor
from leverframe.core.clock import HOUR_US, ManualClock
from leverframe.core.errors import Forbidden
from leverframe.governance.ledger.memory import MemoryJournal
from leverframe.governance.policy import Policy
from leverframe.monitoring.error_budget import (
    HANDLERS,
    KIND_ERROR_BUDGET,
    PERIOD_US,
    ErrorBudget,
    RecordErrorBudget,
    error_budget,
    worth_recording,
)
from leverframe.monitoring.objectives import Objectives
from leverframe.monitoring.windows import LATENCY_EDGES_US, TALLIES, Window

SHAPE = shape(days=2)
NOW_HOUR = 400_000
NOW_US = NOW_HOUR * HOUR_US
USUAL = Objectives(endpoint=ENDPOINT)
LATENCY_CELL = USUAL.latency_cell


def hour(*, requests: int = 0, errors: int = 0, fallbacks: int = 0, refused: int = 0, slow: int = 0) -> Window:
    window = Window(SHAPE)
    for name, count in (("requests", requests), ("errors", errors), ("fallbacks", fallbacks), ("refused", refused)):
        window.tally[TALLIES.index(name)] = count
    window.latency = np.zeros_like(window.latency)
    window.latency[LATENCY_CELL] = requests - slow
    window.latency[LATENCY_CELL + 1] = slow
    return window


def left(*hours: tuple[int, Window]) -> float:
    return error_budget(USUAL, hours, NOW_US).left


def test_the_share_that_is_left() -> None:
    assert left() == 1.0
    assert left((NOW_HOUR - 1, hour(requests=100_000, errors=40, fallbacks=10))) == pytest.approx(0.5)
    assert left((NOW_HOUR - 1, hour(requests=50_000, errors=50)), (NOW_HOUR - 2, hour(requests=50_000, errors=50))) == pytest.approx(0.0)
    assert left((NOW_HOUR - 1, hour(requests=10_000, slow=250))) == pytest.approx(-1.5), "latency: 99 % within about 100 ms"


def test_versions_add_up_and_old_hours_count_no_more() -> None:
    old = NOW_HOUR - PERIOD_US // HOUR_US
    two_versions = [(NOW_HOUR - 1, hour(requests=50_000, errors=25)), (NOW_HOUR - 1, hour(requests=50_000, errors=25))]
    assert left(*two_versions, (old, hour(requests=10, errors=10))) == pytest.approx(0.5)
    assert left(*two_versions, (old + 1, hour(requests=10, errors=10))) < 0.5


def test_few_bad_answers_and_refusals_spend_nothing() -> None:
    """Would be wrong if one failed request of ten at night held up a release, or if callers could spend a budget by asking nonsense."""
    assert left((NOW_HOUR - 1, hour(requests=10, errors=4))) == 1.0
    assert left((NOW_HOUR - 1, hour(requests=10_000, refused=9_000))) == 1.0


def test_a_tenth_of_a_second_is_where_slow_begins() -> None:
    assert 100_000 <= LATENCY_EDGES_US[LATENCY_CELL] < 110_000


def test_it_is_written_down_when_it_moved_or_was_spent() -> None:
    def budget(share: float) -> ErrorBudget:
        return ErrorBudget(endpoint=ENDPOINT, at_us=0, period_us=PERIOD_US, left=share, objectives=())

    moves = [(None, 0.97), (None, 0.9), (0.9, 0.87), (0.9, 0.85), (0.02, -0.01), (-0.02, -0.03), (-0.01, 0.01)]
    seen = [worth_recording(None if was is None else budget(was), budget(now)) for was, now in moves]
    assert seen == [False, True, False, True, True, False, True]


def test_the_owner_s_targets_are_what_it_is_held_against() -> None:
    hours = [(NOW_HOUR - 1, hour(requests=10_000, errors=5, slow=50))]
    lax, strict = Objectives(endpoint=ENDPOINT, availability=0.99), Objectives(endpoint=ENDPOINT, availability=0.9999)
    assert error_budget(USUAL, hours, NOW_US).left == pytest.approx(0.5)
    assert {spent.name: spent.left for spent in error_budget(lax, hours, NOW_US).objectives} == pytest.approx(
        {"availability": 0.95, "latency": 0.5}
    )
    assert error_budget(strict, hours, NOW_US).left == pytest.approx(-4.0)
    quick = error_budget(Objectives(endpoint=ENDPOINT, latency_ms=50), hours, NOW_US)
    assert quick.left == pytest.approx(-99.0), "answers of 51 to 102 ms are slow where 50 ms were promised"
    assert worth_recording(error_budget(USUAL, [], NOW_US), error_budget(lax, [], NOW_US)), "a new target is not written down"


def test_only_the_platform_counts() -> None:
    journal = MemoryJournal(ManualClock(0), Policy(), HANDLERS)
    budget = error_budget(USUAL, [(NOW_HOUR - 1, hour(requests=1_000, errors=100))], NOW_US)
    for roles in (("admin",), ("operator",), ("engineer",), ("service",)):
        with pytest.raises(Forbidden):
            journal.write(Actor(subject="x", roles=roles, teams=("*",)), RecordErrorBudget(budget=budget), key="k")
    journal.write(PLATFORM, RecordErrorBudget(budget=budget), key="k")
    assert journal.get(KIND_ERROR_BUDGET, ENDPOINT, ErrorBudget) == budget
