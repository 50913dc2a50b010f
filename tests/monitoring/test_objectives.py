"""Objectives are set by the endpoint's owner, kept in the record, and what burn-rate alerts go by."""

import pytest
from tests.monitoring.world import ENDPOINT

from leverframe.core.actor import Actor
from leverframe.core.clock import HOUR_US, MINUTE_US, ManualClock
from leverframe.core.errors import Forbidden, InvalidInput
from leverframe.core.prediction import PredictionRecord
from leverframe.governance.ledger.memory import MemoryJournal
from leverframe.governance.policy import Policy
from leverframe.monitoring.commands import HANDLERS as MONITORING
from leverframe.monitoring.monitor import Monitor, Watch
from leverframe.monitoring.objectives import HANDLERS, KIND_OBJECTIVES, Objectives, SetObjectives

ANA = Actor(subject="ana", roles=("engineer",), teams=("flights",))
START_US = 1_000_000 * HOUR_US


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal(ManualClock(7), Policy(), (*HANDLERS, *MONITORING))


def wanted(**given: object) -> SetObjectives:
    return SetObjectives(**({"endpoint": ENDPOINT, "reason": "promised", "owning_team": "flights"} | given))


def test_what_is_not_given_stays_as_it_is(journal: MemoryJournal) -> None:
    journal.write(ANA, wanted(availability=0.9995), key="1")
    journal.write(ANA, wanted(latency_ms=50, reason="and quick"), key="2")
    held = journal.get(KIND_OBJECTIVES, ENDPOINT, Objectives)
    assert held == Objectives(endpoint=ENDPOINT, availability=0.9995, latency_ms=50, reason="and quick", by="ana", at_us=7)
    assert (held.counted_us, held.declared, Objectives(endpoint="x").declared) == (51_200, True, False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"availability": 1.0},
        {"availability": 0.4},
        {"latency_target": float("nan")},
        {"latency_ms": 0},
        {"latency_ms": 30_001},
        {"reason": "  "},
        {"reason": "x" * 501},
    ],
)
def test_what_cannot_be_promised_is_refused(journal: MemoryJournal, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as refused:
        journal.write(ANA, wanted(**wrong), key="1")
    assert [fault.where for fault in refused.value.faults] == list(wrong)
    assert journal.get(KIND_OBJECTIVES, ENDPOINT, Objectives) is None


def test_an_endpoint_of_another_team_is_not_theirs_to_promise(journal: MemoryJournal) -> None:
    for actor in (Actor(subject="bo", roles=("engineer",), teams=("rides",)), Actor(subject="vi", roles=("viewer",), teams=("flights",))):
        with pytest.raises(Forbidden):
            journal.write(actor, wanted(availability=0.9), key="1")


def answers(minutes: int, latency_us: int, failed: int = 0) -> list[PredictionRecord]:
    """A hundred answers a minute, so many of them failed."""
    return [
        PredictionRecord(
            id=f"{minute}-{n}",
            endpoint=ENDPOINT,
            tenant="t",
            version="m@v1",
            role="live",
            generation=1,
            outputs=(0.5,),
            status="error" if n < failed else "ok",
            asked_at_us=START_US + minute * MINUTE_US,
            latency_us=latency_us,
        )
        for minute in range(minutes)
        for n in range(100)
    ]


def kinds(journal: MemoryJournal, records: list[PredictionRecord], promised: Objectives | None) -> list[tuple[str, str]]:
    """What kinds of signals hold after an hour of ``records``, each with the severity of its alert."""
    monitor = Monitor(journal, lambda endpoint, version: None)
    watch = Watch(endpoint=ENDPOINT, version="m@v1", promised=promised, team="flights")
    monitor.tick(START_US, records=(), watches=(watch,))
    report = monitor.tick(START_US + HOUR_US, records=records, watches=(watch,))
    return [(signal.kind, alert.severity) for alert in report.alerts for signal in alert.signals]


def test_a_slow_endpoint_pages_where_its_owner_said_what_slow_is(journal: MemoryJournal) -> None:
    slow = answers(60, 80_000)
    promised = Objectives(endpoint=ENDPOINT, latency_ms=50, by="ana")
    assert kinds(journal, slow, promised) == [("latency", "page")]
    assert kinds(journal, slow, Objectives(endpoint=ENDPOINT, latency_ms=100, by="ana")) == []
    assert kinds(journal, slow, None) == [], "nobody promised anything, and somebody was woken"


def test_failures_burn_the_budget_that_the_owner_set(journal: MemoryJournal) -> None:
    failing = answers(60, 1_000, failed=2)
    assert kinds(journal, failing, Objectives(endpoint=ENDPOINT, availability=0.95, by="ana")) == []
    assert kinds(journal, failing, None) == [("errors", "page")], "2 % failing burn a budget of 0.1 % twenty times too fast"


def test_a_slow_burn_is_a_ticket_and_wakes_nobody(journal: MemoryJournal) -> None:
    """Would be wrong if three days at twice the allowed rate paged as an outage does."""
    failing = answers(60, 1_000, failed=1)
    assert kinds(journal, failing, Objectives(endpoint=ENDPOINT, availability=0.995, by="ana")) == [("errors", "ticket")]


def test_a_new_limit_does_not_judge_what_was_counted_by_the_old_one(journal: MemoryJournal) -> None:
    monitor = Monitor(journal, lambda endpoint, version: None)
    old, new = (Objectives(endpoint=ENDPOINT, latency_ms=limit, by="ana") for limit in (100, 50))
    for promised, at_us in ((old, START_US), (new, START_US + HOUR_US)):
        watch = Watch(endpoint=ENDPOINT, version="m@v1", promised=promised)
        records = answers(60, 80_000) if promised is old else ()
        report = monitor.tick(at_us, records=(), watches=(watch,))
        monitor.windows.fold(records)
    assert report.signals[ENDPOINT] == ()
