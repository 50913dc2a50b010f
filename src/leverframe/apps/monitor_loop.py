"""The worker's watch: keeps the monitor fed, and leaves what it knows where the control API can read it."""

import logging
import time

import msgspec

from leverframe.apps.error_budgets import ErrorBudgets
from leverframe.apps.monitor_memory import Memory, keep, recall
from leverframe.apps.parity_check import ParitySample, parity_signals
from leverframe.apps.platform.feature_health import FeatureHealth
from leverframe.apps.platform.features import Features
from leverframe.apps.platform.monitoring import MonitorReport
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.stream_health import stream_signals
from leverframe.apps.platform.views import MonitorView
from leverframe.core.alert import Signal
from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.errors import Integrity, InvalidInput
from leverframe.core.feature import FeatureView
from leverframe.core.model import PROFILE, SIGNATURE, SPEC, ModelSpec, ModelVersion, version_id_of
from leverframe.core.profile import ReferenceProfile
from leverframe.core.route import Arm, Endpoint
from leverframe.core.schema import Signature
from leverframe.data.commands import KIND_QUARANTINE, Quarantine
from leverframe.data.streams.taken import KIND_STREAM, Stream
from leverframe.features.commands import KIND_VIEW
from leverframe.governance.bundles import Bundle, open_bundle
from leverframe.monitoring.budget import AlarmBudget
from leverframe.monitoring.evidence import Evidence, RefusedFile, RouteChange
from leverframe.monitoring.label_match import LabelMatcher
from leverframe.monitoring.log_reader import LogReader, Position
from leverframe.monitoring.monitor import Monitor, Watch
from leverframe.monitoring.objectives import KIND_OBJECTIVES, Objectives
from leverframe.monitoring.origins import Origins, disabled_columns, origins
from leverframe.monitoring.windows import Shape
from leverframe.release.evidence.traffic import TrafficMeter
from leverframe.release.records import KIND_ENDPOINT, KIND_RELEASE, Release
from leverframe.training.commands import KIND_MODEL_VERSION

TICK_EVERY_US = HOUR_US
"""In a replay, event time between two ticks; with the machine's clock :data:`TICK_EVERY_S` comes first."""
TICK_EVERY_S = 5.0
REPORT_EVERY_S = 0.4
CATCH_UP_S_MAX = 0.05
"""How long one look reads what earlier looks left unread: it may be the whole log, and releases must not wait for it."""
BYTES_PER_POLL_MAX = 1 << 20
"""Read in one poll, some 2,500 records, so that a look ends about when it should."""
KEEP_EVERY_S = 10.0
KEEP_SHARE_MAX = 0.02
"""What was counted is written down every ten seconds, or more seldom where it is so much that writing it takes a share of the time."""
NEWS_RECORDS_MAX = 1_000
"""A poll with more than this is a backlog, not news."""
CHANGES_LOOKBACK_US = 7 * DAY_US

log = logging.getLogger("leverframe.monitor")


class MonitorLoop:
    """Ticks the monitor every hour of event time, or every few seconds; offers what it reads to ``sample``."""

    def __init__(self, parts: Parts, sample: ParitySample | None = None) -> None:
        self._parts = parts
        self._sample = sample
        self._features = Features(parts)
        self._health = FeatureHealth(parts)
        self._monitor = Monitor(parts.ledger, self._shape)
        self._memory = parts.settings.home / "monitor.memory"
        self._reader, self._meter = self._go_on()
        self._kept_s, self._keep_pause_s = time.monotonic(), KEEP_EVERY_S
        self._budgets = ErrorBudgets(parts.ledger, self._monitor.windows)
        self._behind = True
        self._ticked_us: int | None = None
        self._ticked_s = 0.0
        self._reported_s = 0.0
        self._report_due = False
        self._specs: dict[str, ModelSpec] = {}

    @property
    def position(self) -> Position:
        """How far the log was read."""
        return self._reader.position

    def look(self) -> None:
        """Tick when it is time, and publish the report a moment later, once for many ticks."""
        now_us, now_s = self._parts.clock.now_us(), time.monotonic()
        if now_s - self._kept_s >= self._keep_pause_s:
            self._keep()
        if self._behind and not self._read():
            return
        moved = self._ticked_us is None or not 0 <= now_us - self._ticked_us < TICK_EVERY_US
        if moved or now_s - self._ticked_s >= TICK_EVERY_S:
            if not self._read():
                return
            self._tick(now_us)
            self._ticked_us, self._ticked_s, self._report_due = now_us, now_s, True
        if self._report_due and now_s - self._reported_s >= REPORT_EVERY_S:
            self._publish(now_us)
            self._reported_s, self._report_due = now_s, False

    def _go_on(self) -> tuple[LogReader, TrafficMeter]:
        """Reader and meter from where an earlier worker's stood; from the log's beginning when nothing of it is known."""
        folder, memory = self._parts.settings.log_folder, recall(self._memory)
        if memory is not None:
            try:
                self._monitor.take_up(memory.monitor)
            except InvalidInput as error:
                log.warning("the log is read from its beginning: %s", error)
            else:
                matcher = LabelMatcher(memory.matcher)
                reader = LogReader(folder, memory.position, matcher=matcher, bytes_per_poll_max=BYTES_PER_POLL_MAX)
                return reader, TrafficMeter(memory.meters)
        return LogReader(folder, bytes_per_poll_max=BYTES_PER_POLL_MAX), TrafficMeter()

    def _keep(self) -> None:
        """Write down what was counted, and where the log was read up to."""
        started_s = time.monotonic()
        memory = Memory(
            position=self._reader.position,
            matcher=self._reader.matcher.kept(),
            monitor=self._monitor.kept(),
            meters=self._meter.meters,
        )
        keep(self._memory, memory)
        self._kept_s = time.monotonic()
        self._keep_pause_s = max(KEEP_EVERY_S, (self._kept_s - started_s) / KEEP_SHARE_MAX)

    def _read(self) -> bool:
        """Fold what is new; False when more is left than one look may read: a tick on half a log sees alarms in what is missing."""
        deadline = time.monotonic() + CATCH_UP_S_MAX
        self._behind = True
        for promised in self._parts.ledger.find(KIND_OBJECTIVES, Objectives):
            self._monitor.windows.slow_beyond(promised.endpoint, promised.counted_us)
        while self._behind and time.monotonic() < deadline:
            batch = self._reader.poll()
            self._monitor.windows.fold(batch)
            self._meter.take(batch)
            if self._sample is not None:
                self._sample.take(batch)
            self._behind = len(batch) > NEWS_RECORDS_MAX
        return not self._behind

    def _tick(self, now_us: int) -> None:
        watches, freshness = self._watches(), self._features.freshness()
        self._health.note(freshness)
        self._monitor.tick(now_us, records=(), watches=watches, freshness=freshness, totals=self._reader.totals)
        self._budgets.note(now_us, watches)

    # What the monitor is told ---------------------------------------------------------------------------------------

    def _endpoints(self) -> list[Endpoint]:
        return self._parts.ledger.find(KIND_ENDPOINT, Endpoint, prefix=f"{self._parts.settings.environment}/")

    def _watches(self) -> tuple[Watch, ...]:
        views = self._parts.ledger.find(KIND_VIEW, FeatureView)
        return tuple(self._watch(endpoint, endpoint.live, views) for endpoint in self._endpoints() if endpoint.live is not None)

    def _watch(self, endpoint: Endpoint, live: Arm, views: list[FeatureView]) -> Watch:
        spec = self._spec(live)
        known = origins(spec.columns, views)
        return Watch(
            endpoint=endpoint.name,
            version=live.version,
            origins=known,
            disabled=disabled_columns(known, endpoint.disabled_features),
            budget=AlarmBudget(alarms_per_month=self._parts.settings.alarms_per_month),
            promised=self._parts.ledger.get(KIND_OBJECTIVES, endpoint.name, Objectives),
            known=(*parity_signals(self._parts, endpoint.name, live.version), *self._streams(known)),
            team=spec.team,
            runbook=spec.runbook,
        )

    def _streams(self, known: Origins) -> tuple[Signal, ...]:
        return stream_signals(self._parts.ledger.find(KIND_STREAM, Stream), known, self._parts.clock.now_us())

    def _spec(self, arm: Arm) -> ModelSpec:
        if arm.version not in self._specs:
            self._specs[arm.version] = msgspec.json.decode(self._bundle(arm.bundle, arm.envelope).read(SPEC), type=ModelSpec)
        return self._specs[arm.version]

    def _bundle(self, bundle: str, envelope: str) -> Bundle:
        return open_bundle(self._parts.artifacts, self._parts.trust, bundle, envelope)

    def _shape(self, endpoint: str, version: str) -> Shape | None:
        """What to count of a version, out of its bundle; None when it cannot be had (its answers are then counted without their values)."""
        held = self._parts.ledger.get(KIND_MODEL_VERSION, version_id_of(version), ModelVersion)
        if held is None:
            return None
        try:
            bundle = self._bundle(held.bundle, held.envelope)
        except Integrity:
            return None
        signature = msgspec.json.decode(bundle.read(SIGNATURE), type=Signature)
        profile = msgspec.json.decode(bundle.read(PROFILE), type=ReferenceProfile)
        return Shape(version=version, columns=tuple(column.name for column in signature.columns), profile=profile)

    # What others are told -------------------------------------------------------------------------------------------

    def _publish(self, now_us: int) -> None:
        watches = self._watches()
        report = MonitorReport(
            at_us=now_us,
            views=tuple(self._view(watch, now_us) for watch in watches),
            evidence=tuple(self._evidence(watch, now_us) for watch in watches),
        )
        self._parts.publisher.publish_monitor(msgspec.msgpack.encode(report))
        self._parts.publisher.publish_traffic(msgspec.msgpack.encode(self._meter.traffic()))

    def _view(self, watch: Watch, now_us: int) -> MonitorView:
        rows = self._monitor.drift_rows(watch.endpoint, watch.version)
        totals = self._reader.totals.counts
        latest = {str(row["column"]): row for row in rows}
        return MonitorView(
            endpoint=watch.endpoint,
            version=watch.version,
            windows=rows,
            columns=tuple(latest.values()),
            performance=self._monitor.performance_rows(watch.endpoint, watch.version),
            freshness=self._features.freshness(),
            served=totals.served,
            logged=totals.logged,
            dropped=totals.dropped,
            labels=self._monitor.labels(watch.endpoint),
            budget=msgspec.to_builtins(self._monitor.budget(watch, now_us)),
        )

    def _evidence(self, watch: Watch, now_us: int) -> Evidence:
        ledger = self._parts.ledger
        refused = tuple(
            RefusedFile(
                dataset=held.dataset,
                at_us=held.recorded_at_us,
                faults=len(held.reasons),
                first_fault=held.reasons[0] if held.reasons else "",
            )
            for held in ledger.find(KIND_QUARANTINE, Quarantine)
            if held.rows == 0
        )
        changes = tuple(
            RouteChange(at_us=entry.at_us, version=release.candidate, before=release.champion, weight=entry.weight, action=entry.event)
            for release in ledger.find(KIND_RELEASE, Release)
            if release.endpoint == watch.endpoint
            for entry in release.log
            if entry.event in ("apply", "proven", "harm", "rollback") and now_us - entry.at_us < CHANGES_LOOKBACK_US
        )
        return self._monitor.evidence(watch, now_us, refused=refused, changes=changes)
