import time

import numpy as np
from tests.monitoring.world import COLUMNS, ENDPOINT, ORIGINS, START_US, VERSION, answer, day_of_answers, fresh, journal, rows, shape

from leverframe.core.alert import Alert
from leverframe.core.clock import DAY_US, HOUR_US, ManualClock
from leverframe.core.segment import Counts
from leverframe.monitoring.commands import KIND_ALERT
from leverframe.monitoring.indicators import indicators
from leverframe.monitoring.log_reader import LogTotals
from leverframe.monitoring.monitor import Monitor, Watch

SHAPE = shape()


def _totals(**changes: int) -> LogTotals:
    fields = {"served_read": 0, "served_lost": 0, "damaged_frames": 0, "findings": 0, "behind": 0} | changes
    return LogTotals(counts=Counts(served=1000, logged=1000), adds_up=True, **fields)


def _watch(**changes: object) -> Watch:
    return Watch(**{"endpoint": ENDPOINT, "version": VERSION, "origins": ORIGINS, **changes})  # type: ignore[arg-type]


def _run(days: int, *, seed: int = 1, watch: Watch | None = None) -> tuple[Monitor, list, list]:
    """Ordinary days, ticked every hour."""
    clock = ManualClock(START_US)
    ledger = journal(clock)
    monitor = Monitor(ledger, lambda endpoint, version: SHAPE if version == VERSION else None)
    rng = np.random.default_rng(seed)
    reports = []
    for hour in range(24 * days):
        now_us = START_US + (hour + 1) * HOUR_US
        clock.set(now_us)
        records = day_of_answers(rng, now_us - HOUR_US, hours=1)
        reports.append(monitor.tick(now_us, records=records, watches=[watch or _watch()], freshness=[fresh(now_us)], totals=_totals()))
    return monitor, reports, ledger.find(KIND_ALERT, Alert)


def test_ordinary_weeks_raise_nothing_and_every_column_is_judged() -> None:
    monitor, reports, alerts = _run(15)
    assert alerts == []
    assert sum(report.judged for report in reports) == 14, "each finished day once; the last one is not settled yet"
    drift = monitor.drift(ENDPOINT, VERSION)
    assert len(drift) == 14 * (len(COLUMNS) + 1)
    found = indicators(_totals(), alerts, drift)
    assert (found.drift_coverage, found.alerts_raised, found.adds_up) == (1.0, 0, True)
    week = monitor.performance(ENDPOINT, VERSION, START_US + 15 * DAY_US, days=7)
    assert week.mature
    assert week.roc_auc.low > 0.6
    shown = monitor.performance_rows(ENDPOINT, VERSION)
    assert len(shown) == 15
    assert shown[3]["n"] == 480
    assert {row["column"] for row in monitor.drift_rows(ENDPOINT, VERSION)} == {*COLUMNS, "score"}


def test_half_a_day_is_not_judged() -> None:
    """A version that answered only at night differs from a whole day for no other reason."""
    monitor = Monitor(journal(ManualClock(START_US)), lambda endpoint, version: SHAPE)
    rng = np.random.default_rng(1)
    records = day_of_answers(rng, START_US, hours=12, per_hour=60)
    matrix, scores = rows(rng, 24)
    others = [answer(f"o{h}", START_US + h * HOUR_US, matrix[h], [scores[h]], version="flight-delay@v0") for h in range(24)]
    report = monitor.tick(START_US + 2 * DAY_US, records=records + others, watches=[_watch()], totals=_totals())
    assert report.judged >= 1
    assert monitor.drift(ENDPOINT, VERSION) == ()


def test_errors_page_and_a_log_that_does_not_add_up_pages() -> None:
    clock = ManualClock(START_US)
    ledger = journal(clock)
    monitor = Monitor(ledger, lambda endpoint, version: SHAPE)
    matrix, _ = rows(np.random.default_rng(1), 1)
    failed = [answer(f"e{i}", START_US + i * 1000, matrix[0], [], status="error") for i in range(50)]
    now_us = START_US + HOUR_US // 30
    broken = LogTotals(
        counts=Counts(served=100, logged=90), served_read=90, served_lost=0, damaged_frames=0, findings=0, adds_up=False, behind=0
    )
    monitor.tick(now_us, records=failed, watches=[_watch()], totals=broken)
    (alert,) = ledger.find(KIND_ALERT, Alert)
    assert (alert.group, alert.severity, {s.kind for s in alert.signals}) == ("service", "page", {"errors", "log"})


def test_a_tick_costs_little(capsys) -> None:
    """At most 15 µs of a processor a record, with room: 40,000 records with 25 columns and their labels."""
    from leverframe.core.profile import ReferenceProfile
    from leverframe.monitoring.windows import Shape

    base = SHAPE.profile
    names = tuple(f"c{i}" for i in range(25))
    columns = tuple(
        type(base.columns[0])(**{**{f: getattr(base.columns[0], f) for f in base.columns[0].__struct_fields__}, "name": n}) for n in names
    )
    profile = ReferenceProfile(**{**{f: getattr(base, f) for f in base.__struct_fields__}, "columns": columns})
    wide = Shape(VERSION, names, profile)
    rng = np.random.default_rng(1)
    matrix, scores = rng.normal(800, 200, (20_000, 25)), rng.beta(2, 6, 20_000)
    records: list = []
    for index in range(20_000):
        at_us = START_US + index * 60_000_000 // 20
        records.append(answer(f"r{index}", at_us, matrix[index], [scores[index]]))
    from tests.monitoring.world import label

    records += [label(f"r{index}", START_US, float(index % 2)) for index in range(20_000)]
    monitor = Monitor(journal(ManualClock(START_US)), lambda endpoint, version: wide)
    began = time.thread_time()
    for start in range(0, len(records), 2000):
        monitor.tick(START_US + HOUR_US, records=records[start : start + 2000], watches=[_watch(origins={})], totals=_totals())
    each_us = (time.thread_time() - began) / len(records) * 1e6
    with capsys.disabled():
        print(f" [{each_us:.1f} µs a record]", end="")
    assert each_us < 45
