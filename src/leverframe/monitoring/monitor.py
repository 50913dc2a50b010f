"""The monitor's loop body: new records in, windows up, signals judged, alerts settled. No I/O of its own but the journal it is given."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from leverframe.core.alert import Alert, Signal
from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.command import Journal
from leverframe.core.feature import Freshness
from leverframe.core.prediction import LogRecord
from leverframe.monitoring.alerts import AlertDesk, BudgetState, group_signals
from leverframe.monitoring.budget import AlarmBudget
from leverframe.monitoring.drift import ColumnDrift, drift_signals, judge_window, missing_signals, thresholds
from leverframe.monitoring.evidence import Evidence, RefusedFile, RouteChange, Service
from leverframe.monitoring.feeds import FeedMemory, feed_signals
from leverframe.monitoring.fold import KeptWindows, Windows
from leverframe.monitoring.log_reader import LogTotals
from leverframe.monitoring.objectives import Objectives
from leverframe.monitoring.origins import Origin, described
from leverframe.monitoring.performance import Performance, estimated, measured, performance_signals
from leverframe.monitoring.slo import MinuteTally, Objective, slo_signals
from leverframe.monitoring.windows import Shape, Window

DAYS_KEPT = 62
SETTLE_US = HOUR_US
"""A day is judged this long after it ended, when the last answers of it have been read."""

RECENT_HOURS = 3
RECENT_HOURS_MAX = 12
"""Missing values are judged over the last three hours, or as many more as it takes to have rows enough (a quiet night)."""

PERFORMANCE_DAYS = 7
PERFORMANCE_CONFIDENCE = 0.999
DROPPED_SHARE_MAX = 0.001


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint under watch, as its route stands now.

    ``version`` is the live one; ``origins`` of its looked-up columns; ``disabled`` the columns an operator switched off.
    ``known`` are signals that others found (served values that are skewed).
    ``promised`` are the objectives that its owner set, None for the usual ones.
    """

    endpoint: str
    version: str
    origins: dict[str, Origin] = {}
    disabled: tuple[str, ...] = ()
    budget: AlarmBudget = AlarmBudget()
    promised: Objectives | None = None
    known: tuple[Signal, ...] = ()
    team: str = ""
    runbook: str = ""

    @property
    def objectives(self) -> Objectives:
        """What the endpoint promises."""
        return self.promised or Objectives(endpoint=self.endpoint)


class TickReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one tick did: records folded, windows judged for the first time, signals that hold now, alerts raised, changed or closed."""

    records: int
    judged: int
    signals: dict[str, tuple[Signal, ...]]
    alerts: tuple[Alert, ...]


class KeptMonitor(msgspec.Struct, frozen=True, kw_only=True):
    """What a monitor knows that it cannot see again: its counts, what it saw of each feed, and since when endpoints have symptoms."""

    windows: KeptWindows
    feeds: dict[str, FeedMemory]
    since_us: dict[str, int]


class Monitor:
    """Watches every endpoint. One instance, one caller at a time.

    Parameters
    ----------
    journal: where alerts are raised and closed, as the platform itself.
    shape_of: ``(endpoint, version)`` to its :class:`Shape` from the bundle, None when unknown.
    """

    def __init__(self, journal: Journal, shape_of: Callable[[str, str], Shape | None]) -> None:
        self.windows = Windows(shape_of)
        self.desk = AlertDesk(journal)
        self._judged: dict[tuple[str, str], dict[int, tuple[ColumnDrift, ...]]] = {}
        self._limits: dict[tuple[str, str, AlarmBudget], dict[str, float | None]] = {}
        self._feeds: dict[str, FeedMemory] = {}
        self._freshness: tuple[Freshness, ...] = ()
        self._totals: LogTotals | None = None
        self._signals: dict[str, tuple[Signal, ...]] = {}
        self._since_us: dict[str, int] = {}

    def kept(self) -> KeptMonitor:
        """What to go on from after a restart; to be written down before anything else is asked of the monitor."""
        return KeptMonitor(windows=self.windows.kept(), feeds=self._feeds, since_us=self._since_us)

    def take_up(self, kept: KeptMonitor) -> None:
        """Go on from what an earlier monitor knew.

        Raises
        ------
        InvalidInput: it counted a version that is not known as it was; nothing was taken up.
        """
        self.windows.take_up(kept.windows)
        self._feeds, self._since_us = kept.feeds, kept.since_us

    def tick(
        self,
        now_us: int,
        *,
        records: Iterable[LogRecord],
        watches: Sequence[Watch],
        freshness: Sequence[Freshness] = (),
        totals: LogTotals | None = None,
    ) -> TickReport:
        """Fold new records, judge what can be judged at ``now_us``, and bring the ledger's alerts in step.

        Parameters
        ----------
        records: new since the last tick.    watches: endpoints as routed now.    freshness: of every view.    totals: the log's balance.
        """
        for watch in watches:
            self.windows.switch_off(watch.endpoint, watch.disabled)
            if watch.promised is not None:
                self.windows.slow_beyond(watch.endpoint, watch.promised.counted_us)
        count = self.windows.fold(records)
        self._freshness, self._totals = tuple(freshness), totals
        feeds = feed_signals(freshness, self._feeds)
        log = self._log_signals(now_us)
        judged = 0
        changed: list[Alert] = []
        for watch in watches:
            judged += self._judge_days(watch, now_us)
            signals = (*feeds, *log, *watch.known, *self._endpoint_signals(watch, now_us))
            groups = group_signals(signals, watch.origins)
            self._signals[watch.endpoint] = tuple(signal for group in groups for signal in group.signals)
            if groups:
                self._since_us.setdefault(watch.endpoint, now_us)
            else:
                self._since_us.pop(watch.endpoint, None)
            changed.extend(self.desk.settle(watch.endpoint, groups, now_us, team=watch.team, runbook=watch.runbook))
        return TickReport(records=count, judged=judged, signals=dict(self._signals), alerts=tuple(changed))

    def _limits_of(self, watch: Watch, shape: Shape) -> dict[str, float | None]:
        key = (watch.endpoint, shape.version, watch.budget)
        if key not in self._limits:
            self._limits[key] = thresholds(shape.profile, watch.budget)
        return self._limits[key]

    def _judge_days(self, watch: Watch, now_us: int) -> int:
        """Judge each finished window of each version once; returns how many."""
        ready_us = now_us if self._totals is None or not self._totals.behind else self.windows.newest_us.get(watch.endpoint, 0)
        asked = {hour for version in self.windows.versions(watch.endpoint) for hour in self.windows.hours(watch.endpoint, version)}
        count = 0
        for version in self.windows.versions(watch.endpoint):
            shape = self.windows.shape(watch.endpoint, version)
            if shape is None:
                continue
            length = shape.profile.window_us or DAY_US
            done = self._judged.setdefault((watch.endpoint, version), {})
            hours = self.windows.hours(watch.endpoint, version)
            for start in sorted({hour * HOUR_US // length for hour in hours} - set(done)):
                from_us, to_us = start * length, (start + 1) * length
                if to_us + SETTLE_US > ready_us:
                    continue
                first, last = from_us // HOUR_US, to_us // HOUR_US
                window = self.windows.between(watch.endpoint, version, from_us, to_us)
                here = sum(1 for hour in hours if first <= hour < last and hours[hour].count("rows"))
                whole = here >= watch.budget.coverage_min * sum(1 for hour in asked if first <= hour < last)
                limits = self._limits_of(watch, shape)
                done[start] = (
                    judge_window(window, from_us, to_us, watch.budget, limits, disabled=watch.disabled) if window and whole else ()
                )
                count += 1
            for start in sorted(done)[: max(0, len(done) - DAYS_KEPT)]:
                del done[start]
        return count

    def _endpoint_signals(self, watch: Watch, now_us: int) -> list[Signal]:
        names = described(watch.origins)
        signals: list[Signal] = []
        for objective, minutes in self._promises(watch):
            signals.extend(slo_signals(minutes, objective, now_us))
        shape = self.windows.shape(watch.endpoint, watch.version)
        if shape is None:
            return signals
        recent = self._recent(watch, now_us)
        if recent is not None:
            window, from_us, to_us = recent
            signals.extend(missing_signals(window, from_us, to_us, watch.budget, names, disabled=watch.disabled))
        signals.extend(
            signal for signal in drift_signals(self._last_judged(watch, shape, now_us), names) if signal.subject not in watch.disabled
        )
        auc = shape.profile.roc_auc
        week = self.performance(watch.endpoint, watch.version, now_us, days=PERFORMANCE_DAYS, confidence=PERFORMANCE_CONFIDENCE)
        if week is not None:
            signals.extend(performance_signals([week], auc, watch.version))
        return signals

    def _promises(self, watch: Watch) -> list[tuple[Objective, MinuteTally]]:
        """Each objective with its minutes. Of slow answers nobody is told before the owner said what slow is."""
        promised, windows = watch.objectives, self.windows
        found = [(Objective(name="availability", target=promised.availability), windows.minutes.get(watch.endpoint))]
        if watch.promised is not None:
            slow = Objective(name=f"answers within {promised.latency_ms} ms", kind="latency", target=promised.latency_target)
            found.append((slow, windows.in_time.get(watch.endpoint)))
        return [(objective, minutes) for objective, minutes in found if minutes is not None]

    def _last_judged(self, watch: Watch, shape: Shape, now_us: int) -> tuple[ColumnDrift, ...]:
        """The newest judged window of the live version, as long as it is not older than two windows."""
        done = self._judged.get((watch.endpoint, watch.version), {})
        length = shape.profile.window_us or DAY_US
        for start in sorted(done, reverse=True):
            if (start + 3) * length < now_us:
                break
            if done[start]:
                return done[start]
        return ()

    def _recent(self, watch: Watch, now_us: int) -> tuple[Window, int, int] | None:
        """The live version's last hours up to now, widened until there are rows enough."""
        to_us = (now_us // HOUR_US + 1) * HOUR_US
        for hours in range(RECENT_HOURS, RECENT_HOURS_MAX + 1):
            from_us = to_us - hours * HOUR_US
            window = self.windows.between(watch.endpoint, watch.version, from_us, to_us)
            if window is None:
                return None
            if window.count("rows") >= watch.budget.rows_min // 4 or hours == RECENT_HOURS_MAX:
                return window, from_us, to_us
        return None

    def _log_signals(self, now_us: int) -> list[Signal]:
        """The prediction log does not add up, lost records, or dropped more than a thousandth."""
        totals = self._totals
        if totals is None:
            return []
        counts = totals.counts
        share = counts.dropped / counts.served if counts.served else 0.0
        if totals.adds_up and not totals.served_lost and share <= DROPPED_SHARE_MAX:
            return []
        what = f"{counts.served:,} served = {counts.logged:,} logged + {counts.dropped:,} dropped"
        lost = f"; {totals.served_lost:,} logged answers could not be read" if totals.served_lost else ""
        broken = "" if totals.adds_up else " does not hold"
        return [
            Signal(
                kind="log",
                subject="prediction log",
                observed=share,
                threshold=DROPPED_SHARE_MAX,
                window=(now_us, now_us),
                detail=f"{what}{broken}{lost}",
            )
        ]

    def performance(self, endpoint: str, version: str, now_us: int, *, days: int, confidence: float = 0.95) -> Performance | None:
        """Performance on labels over the ``days`` whole days before the present one, None for a version never seen."""
        to_us = now_us // DAY_US * DAY_US
        window = self.windows.between(endpoint, version, to_us - days * DAY_US, to_us)
        return measured(window, to_us - days * DAY_US, to_us, confidence=confidence) if window is not None else None

    def drift(self, endpoint: str, version: str) -> tuple[ColumnDrift, ...]:
        """Every judged window of every column, oldest first."""
        done = self._judged.get((endpoint, version), {})
        return tuple(each for start in sorted(done) for each in done[start])

    def drift_rows(self, endpoint: str, version: str) -> tuple[dict[str, Any], ...]:
        """:meth:`drift` as plain rows for a page; a column that distance cannot judge has the threshold 1, which none exceeds."""
        return tuple(
            {
                **msgspec.structs.asdict(each),
                "threshold": 1.0 if each.threshold is None else each.threshold,
                "alarm": each.alarm,
            }
            for each in self.drift(endpoint, version)
        )

    def performance_rows(self, endpoint: str, version: str) -> tuple[dict[str, Any], ...]:
        """Measured and estimated performance by day, oldest first, with the constant that an estimate must beat."""
        hours = self.windows.hours(endpoint, version)
        rows = []
        for day in sorted({hour * HOUR_US // DAY_US for hour in hours}):
            from_us, to_us = day * DAY_US, (day + 1) * DAY_US
            window = self.windows.between(endpoint, version, from_us, to_us)
            if window is None or not window.count("rows"):
                continue
            seen, expected = measured(window, from_us, to_us), estimated(window, from_us, to_us)
            known = seen.labels >= 2
            rows.append(
                {
                    "from_us": from_us,
                    "to_us": to_us,
                    "n": seen.labels,
                    "rows": seen.rows,
                    "roc_auc": seen.roc_auc.value if seen.roc_auc else None,
                    "roc_auc_low": seen.roc_auc.low if seen.roc_auc else None,
                    "roc_auc_high": seen.roc_auc.high if seen.roc_auc else None,
                    "brier": seen.brier.value if known else None,
                    "log_loss": seen.log_loss.value if known else None,
                    "label_rate": seen.label_rate.value if known else None,
                    "roc_auc_estimated": expected.roc_auc if expected else None,
                    "roc_auc_constant": window.shape.profile.roc_auc,
                }
            )
        return tuple(rows)

    def budget(self, watch: Watch, now_us: int) -> BudgetState:
        """What the last month's drift alerts used of the owner's budget."""
        return self.desk.budget(watch.endpoint, watch.budget, now_us)

    def labels(self, endpoint: str) -> int:
        """Labels joined to answers, over all versions and the hours kept."""
        return sum(
            window.count("labels")
            for version in self.windows.versions(endpoint)
            for window in self.windows.hours(endpoint, version).values()
        )

    def evidence(self, watch: Watch, now_us: int, *, refused: Sequence[RefusedFile] = (), changes: Sequence[RouteChange] = ()) -> Evidence:
        """Everything a diagnosis of the endpoint weighs, as of the last tick.

        Parameters
        ----------
        refused: files that contracts refused lately.    changes: of the endpoint's route, lately.
        """
        shape = self.windows.shape(watch.endpoint, watch.version)
        recent = self._recent(watch, now_us)
        window = recent[0] if recent else None
        week = self.performance(watch.endpoint, watch.version, now_us, days=2)
        by_version = {v: self.performance(watch.endpoint, v, now_us + DAY_US, days=4) for v in self.windows.versions(watch.endpoint)}
        counts = self._totals.counts if self._totals else None
        failed = window.count("errors") + window.count("fallbacks") if window else 0
        return Evidence(
            endpoint=watch.endpoint,
            now_us=now_us,
            origins=tuple(watch.origins.values()),
            disabled=watch.disabled,
            freshness=self._freshness,
            signals=self._signals.get(watch.endpoint, ()),
            refused=tuple(refused),
            changes=tuple(changes),
            service=Service(
                requests=window.count("requests") if window else 0,
                failed=failed,
                latency_us_p99=window.latency_us(0.99) if window else 0,
                latency_us_max=watch.promised.latency_ms * 1000 if watch.promised else 0,
                served=counts.served if counts else 0,
                dropped=counts.dropped if counts else 0,
            ),
            performance={v: each for v, each in by_version.items() if each is not None},
            label_rate=week.label_rate if week is not None and week.mature else None,
            label_rate_reference=shape.profile.label_rate if shape else None,
            symptoms_since_us=self._since_us.get(watch.endpoint, 0),
        )
