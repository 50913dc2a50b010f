"""The story of a broken feed: it freezes, one alert is raised, the diagnosis names it, the operator switches it off, it comes back."""

import numpy as np
from tests.monitoring.world import ENDPOINT, ORIGINS, START_US, VERSION, day_of_answers, fresh, journal, shape, write_segment

from leverframe.core.alert import Alert
from leverframe.core.clock import HOUR_US, ManualClock
from leverframe.core.segment import Counts
from leverframe.monitoring.commands import KIND_ALERT
from leverframe.monitoring.diagnose import diagnose
from leverframe.monitoring.log_reader import LogReader
from leverframe.monitoring.monitor import Monitor, Watch
from leverframe.monitoring.origins import disabled_columns

FREEZE_H, EXPIRE_H, DISABLE_H, BACK_H, END_H = 60, 66, 72, 100, 150


def _walk(tmp_path, *, freeze: bool):
    """Hour by hour through the log on disk; returns the ledger, the monitor's diagnosis by hour, and alerts by hour."""
    clock = ManualClock(START_US)
    ledger = journal(clock)
    known = shape()
    monitor = Monitor(ledger, lambda endpoint, version: known if version == VERSION else None)
    reader = LogReader(tmp_path)
    rng = np.random.default_rng(1)
    counts, first_causes, open_alerts = Counts(), {}, {}
    for hour in range(END_H):
        now_us = START_US + (hour + 1) * HOUR_US
        clock.set(now_us)
        frozen = freeze and FREEZE_H <= hour < BACK_H
        off = freeze and DISABLE_H <= hour < BACK_H + 2
        records = day_of_answers(rng, now_us - HOUR_US, hours=1, frozen=(frozen and hour >= EXPIRE_H) or off)
        if off:
            records = [
                type(r)(**{**{f: getattr(r, f) for f in r.__struct_fields__}, "missing": 0, "disabled": 2}) if hasattr(r, "disabled") else r
                for r in records
            ]
        _, counts = write_segment(tmp_path, "gw-0", hour + 1, records, before=counts)
        lag_us = (hour - FREEZE_H + 2) * HOUR_US if frozen else HOUR_US
        disabled = disabled_columns(ORIGINS, ("origin_weather.*",)) if off else ()
        watch = Watch(endpoint=ENDPOINT, version=VERSION, origins=ORIGINS, disabled=disabled, team="flights")
        monitor.tick(now_us, records=reader.poll(), watches=[watch], freshness=[fresh(now_us, lag_us=lag_us)], totals=reader.totals)
        causes = diagnose(monitor.evidence(watch, now_us))
        first_causes[hour] = causes[0] if causes else None
        open_alerts[hour] = monitor.desk.open_alerts(ENDPOINT)
    return ledger, first_causes, open_alerts, reader


def test_a_frozen_feed_is_one_alert_named_first_and_closed_when_it_is_back(tmp_path) -> None:
    ledger, causes, alerts, reader = _walk(tmp_path, freeze=True)
    assert all(causes[hour] is None and not alerts[hour] for hour in range(FREEZE_H)), "before the freeze all is quiet"
    raised = ledger.find(KIND_ALERT, Alert)
    assert [a.group for a in raised] == ["feed:weather"], "one cause, one alert"
    hours_to_alert = (raised[0].opened_at_us - START_US) / HOUR_US - 1 - FREEZE_H
    assert hours_to_alert <= 2, "seen within the promise of the feed, before values even expire"
    assert alerts[DISABLE_H - 1][0].severity == "page", "values are missing by then"
    for hour in range(FREEZE_H + 2, DISABLE_H):
        assert (causes[hour].kind, causes[hour].subject) == ("late_feed", "weather")
    assert causes[DISABLE_H - 1].lever == "lever disable-feature flight-delay 'origin_weather.*'"
    assert causes[DISABLE_H + 2].score < causes[DISABLE_H - 1].score, "switched off, the feed matters less"
    assert causes[END_H - 1] is None
    assert raised[0].closed_at_us is not None
    assert alerts[END_H - 1] == ()
    assert (reader.totals.behind, reader.totals.findings, reader.totals.adds_up) == (0, 0, True)


def test_the_same_days_without_a_freeze_are_quiet(tmp_path) -> None:
    """The control."""
    ledger, causes, _, _ = _walk(tmp_path, freeze=False)
    assert ledger.find(KIND_ALERT, Alert) == []
    assert set(causes.values()) == {None}
