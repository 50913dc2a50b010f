import pytest
from tests.monitoring.world import ENDPOINT, ORIGINS, START_US, journal

from leverframe.core.actor import PLATFORM
from leverframe.core.alert import Alert, Signal
from leverframe.core.clock import DAY_US, HOUR_US, ManualClock
from leverframe.core.errors import Conflict
from leverframe.monitoring.alerts import CLEAR_US, AlertDesk, group_signals
from leverframe.monitoring.budget import AlarmBudget
from leverframe.monitoring.commands import KIND_ALERT, KIND_INCIDENT, Incident, NoteIncident, OpenIncident, RaiseAlert


def _signal(kind: str, subject: str, observed: float = 1.0, detail: str = "") -> Signal:
    return Signal(kind=kind, subject=subject, observed=observed, threshold=0.3, window=(START_US, START_US), detail=detail)  # type: ignore[arg-type]


LATE = _signal("freshness", "origin_weather", 5.0, "feed weather delivered nothing for 5.0 h")
GONE = [_signal("missing", "weather_temp"), _signal("missing", "weather_wind")]


def test_a_frozen_feed_is_one_alert() -> None:
    signals = [LATE, *GONE, _signal("drift", "weather_temp"), _signal("score_drift", "score"), _signal("freshness", "someone_elses_view")]
    groups = group_signals(signals, ORIGINS)
    assert [g.name for g in groups] == ["feed:weather"]
    assert (groups[0].severity, len(groups[0].signals)) == ("page", 5)
    assert groups[0].title == "Feed weather: late, 2 columns missing"


def test_unrelated_signals_are_apart() -> None:
    signals = [
        _signal("drift", "distance"),
        _signal("errors", "availability"),
        _signal("score_drift", "score"),
        _signal("drift", "weather_temp"),
    ]
    groups = {g.name: g for g in group_signals(signals, ORIGINS)}
    assert sorted(groups) == ["feed:weather", "model", "request", "service"], "a score that moves by itself is the model's"
    assert groups["service"].severity == "page"
    assert groups["request"].severity == "ticket", "nobody is woken for drift"
    assert group_signals([], ORIGINS) == ()


def test_an_alert_is_raised_once_grows_and_closes_when_quiet() -> None:
    clock = ManualClock(START_US)
    ledger = journal(clock)
    desk = AlertDesk(ledger)

    def settle(signals: list[Signal]) -> tuple[Alert, ...]:
        return desk.settle(ENDPOINT, group_signals(signals, ORIGINS), clock.now_us(), team="flights", runbook="docs/r.md")

    assert len(settle([LATE])) == 1
    for _ in range(50):
        clock.advance(HOUR_US // 4)
        assert settle([LATE]) == (), "an open alert is not raised again"
    clock.advance(HOUR_US)
    (grown,) = settle([LATE, *GONE])
    assert (grown.opened_at_us, len(grown.signals), grown.severity) == (START_US, 3, "page")
    assert ledger.entries_total() == 2
    clock.advance(HOUR_US)
    assert settle([]) == ()
    assert len(desk.open_alerts(ENDPOINT)) == 1, "one quiet hour is not the end of it"
    clock.advance(CLEAR_US)
    (closed,) = settle([])
    assert closed.closed_at_us == clock.now_us()
    assert desk.open_alerts(ENDPOINT) == ()
    clock.advance(HOUR_US)
    assert len(settle([LATE])) == 1
    assert len(ledger.find(KIND_ALERT, Alert)) == 2, "the cause came back: a second alert"


def test_a_restarted_desk_goes_on_with_the_ledger_s_alerts() -> None:
    clock = ManualClock(START_US)
    ledger = journal(clock)
    groups = group_signals([LATE], ORIGINS)
    AlertDesk(ledger).settle(ENDPOINT, groups, START_US)
    again = AlertDesk(ledger)
    assert again.settle(ENDPOINT, groups, START_US + HOUR_US) == ()
    assert again.settle(ENDPOINT, (), START_US + 2 * HOUR_US) == ()
    assert again.settle(ENDPOINT, (), START_US + HOUR_US + CLEAR_US) != ()


def test_two_desks_cannot_raise_the_same_group() -> None:
    ledger = journal(ManualClock(START_US))
    alert = AlertDesk(ledger).settle(ENDPOINT, group_signals([LATE], ORIGINS), START_US)[0]
    other = RaiseAlert(alert=Alert(**{**{f: getattr(alert, f) for f in alert.__struct_fields__}, "id": f"{ENDPOINT}/feed:weather/9"}))
    with pytest.raises(Conflict):
        ledger.write(PLATFORM, other, key="other")


def test_the_budget_counts_statistical_alarms_only() -> None:
    clock = ManualClock(START_US)
    ledger = journal(clock)
    desk = AlertDesk(ledger)
    desk.settle(ENDPOINT, group_signals([LATE, _signal("drift", "distance")], ORIGINS), START_US)
    state = desk.budget(ENDPOINT, AlarmBudget(alarms_per_month=2.0), START_US + DAY_US)
    assert (state.alarms_per_month, state.spent) == (2.0, 1)
    assert desk.budget(ENDPOINT, AlarmBudget(), START_US + 40 * DAY_US).spent == 0


def test_incidents_have_a_timeline_and_an_end() -> None:
    ledger = journal(ManualClock(START_US))
    alert = AlertDesk(ledger).settle(ENDPOINT, group_signals([LATE], ORIGINS), START_US)[0]
    ledger.write(PLATFORM, OpenIncident(id="i-1", endpoint=ENDPOINT, severity=2, title="weather", alert=alert.id), key="1")
    ledger.write(PLATFORM, NoteIncident(id="i-1", text="feature switched off"), key="2")
    ledger.write(PLATFORM, NoteIncident(id="i-1", text="feed is back", close=True), key="3")
    held = ledger.get(KIND_INCIDENT, "i-1", Incident)
    assert [note.text for note in held.timeline] == ["weather", "feature switched off", "feed is back"]
    assert held.closed_at_us == START_US
    with pytest.raises(Conflict):
        ledger.write(PLATFORM, NoteIncident(id="i-1", text="too late"), key="4")
