"""Who met which arm and what came of it: the prediction log folded, caller by caller. There is no second log of exposures.

A caller counts from the first answer under the experiment on, for the arm that the hash in the record says; everything of theirs is summed,
and a caller is one observation however often they ask. Memory is bounded, and all of it can be read again.
"""

import math
import struct
from collections.abc import Iterable

import numpy as np

from leverframe.core.assignment import Assigner
from leverframe.core.prediction import LabelRecord, LogRecord, PredictionRecord
from leverframe.core.statistics.lift import CallerMargin, CallerSums
from leverframe.core.statistics.margins import Averaged, MarginTest
from leverframe.core.statistics.multinomial import ShareSequence
from leverframe.core.statistics.quantiles import QuantileMargin
from leverframe.core.statistics.rates import RateDifference
from leverframe.release.evidence.cohort import PENDING_MAX, Cohort, Request
from leverframe.release.evidence.losses import outcome_loss
from leverframe.release.experiments.plan import SPLIT_ALPHA, Column, ExperimentPlan, Guardrail
from leverframe.release.experiments.readout import ExposureCounts
from leverframe.release.experiments.records import Experiment
from leverframe.release.plans.plan import MetricRule

UNITS_MAX = 1_000_000
"""Callers remembered with their arm; beyond it new callers are no longer counted, and the read-out says so."""

SEGMENT_VALUES_MAX = 12
"""Values of a column that are segments of their own, in the order they come; further ones are ``(others)``."""

OTHERS, MISSING = "(others)", "(missing)"
_DOUBLE = struct.Struct("<d")


class Exposed(Request):
    """A request of somebody who takes part."""

    __slots__ = ("arm", "unit")

    def __init__(self, asked_at_us: int) -> None:
        super().__init__(asked_at_us)
        self.arm, self.unit = 0, 0


class Guard:
    """One guardrail of one variant: the first answer of each caller judged exactly, and all answers by caller."""

    def __init__(self, guardrail: Guardrail, share: float, variant: CallerSums, control: CallerSums) -> None:
        self.guardrail = guardrail
        self.quantile: QuantileMargin | None = None
        self.first: RateDifference | None = None
        self._rows: list[tuple[bool, float]] = []
        if guardrail.metric == "latency_quantile":
            self.quantile = QuantileMargin(quantile=guardrail.quantile, margin=guardrail.margin)
            self.test: MarginTest = self.quantile
        else:
            self.first = RateDifference(margin=guardrail.margin, share=share)
            self.test = Averaged(self.first, CallerMargin(variant, control, margin=guardrail.margin))

    def add(self, variant: bool, value: float) -> None:
        """The first answer of a caller."""
        self._rows.append((variant, value))

    def flush(self) -> None:
        """Fold what waits."""
        if not self._rows:
            return
        candidate, values = np.array([row[0] for row in self._rows]), np.array([row[1] for row in self._rows])
        self._rows = []
        if self.quantile is not None:
            self.quantile.update(candidate=values[candidate], champion=values[~candidate])
        elif self.first is not None:
            self.first.update(candidate=candidate, events=values > 0.0)


class Exposures:
    """All that one experiment has shown so far.

    Parameters
    ----------
    plan, experiment: what runs.    pending_max: requests kept waiting for their label.
    """

    def __init__(self, plan: ExperimentPlan, experiment: Experiment, *, pending_max: int = PENDING_MAX) -> None:
        self.plan, self.experiment = plan, experiment
        arms = range(len(plan.versions))
        self._assigner = Assigner(experiment.assignment)
        self._arm_of = {version: arm for arm, version in enumerate(plan.versions)}
        self._rule = MetricRule(metric="outcome_hit", margin=0.5, alpha=0.5, cut=plan.primary.cut)
        if plan.primary.metric in ("outcome_brier", "outcome_log_loss"):
            self._rule = MetricRule(metric=plan.primary.metric, margin=0.5, alpha=0.5)
        self.cohort = Cohort(
            plan.label_horizon_us, pending_max=pending_max, unlabelled_too=plan.primary.unlabelled is not None, make=Exposed
        )
        self.units: dict[int, tuple[int, float, tuple[str, ...]]] = {}
        self.keys, self.answers, self.failed = [0 for _ in arms], [0 for _ in arms], [0 for _ in arms]
        self.primary = [CallerSums() for _ in arms]
        self.segments: dict[tuple[str, str], list[CallerSums]] = {}
        self._sums = {metric: [CallerSums() for _ in arms] for metric in ("errors", "latency_budget")}
        self.guards = [[self._guard(guardrail, arm) for guardrail in plan.guardrails] for arm in arms[1:]]
        self._slow_us = next((g.bound_us for g in plan.guardrails if g.metric == "latency_budget"), 0)
        self.split = ShareSequence(plan.shares)
        self.mismatched = False
        self._values: dict[str, set[str]] = {column.name: set() for column in plan.segments}
        self._covariates, self._covariate_sum = 0, 0.0
        self._outside = self._outdated = self._misassigned = self._foreign = self._left_out = 0
        self._first_us = self._last_us = 0

    def _guard(self, guardrail: Guardrail, arm: int) -> Guard:
        shares = self.plan.shares
        sums = self._sums.get(guardrail.metric, self.primary)
        return Guard(guardrail, shares[arm] / (shares[arm] + shares[0]), sums[arm], sums[0])

    @property
    def counts(self) -> ExposureCounts:
        """What was read so far."""
        cohort = self.cohort
        return ExposureCounts(
            answers=sum(self.answers),
            outside=self._outside,
            outdated=self._outdated,
            misassigned=self._misassigned,
            foreign=self._foreign,
            duplicates=cohort.duplicates,
            keys=sum(self.keys),
            keys_left_out=self._left_out,
            labels=cohort.labels,
            labels_late=cohort.late,
            unlabelled=cohort.unlabelled,
            dropped=cohort.dropped,
            first_at_us=self._first_us,
            last_at_us=self._last_us,
        )

    def fold(self, records: Iterable[LogRecord]) -> None:
        """Fold records in, in the order of the log; what does not concern the experiment is passed over."""
        for record in records:
            if record.endpoint != self.plan.endpoint:
                continue
            if isinstance(record, LabelRecord):
                self.cohort.label(record)
            elif record.routed and record.role != "shadow" and record.status != "refused" and record.code != "killed":
                self._fold_answer(record)

    def _fold_answer(self, record: PredictionRecord) -> None:
        exposure = record.exposure
        if exposure is None or exposure.experiment != self.plan.id:
            if record.generation >= self.experiment.generation:
                self._outside += 1
            else:
                self._outdated += record.asked_at_us >= self.experiment.started_us
            return
        arm = self._arm_of.get(record.version)
        if arm is None:
            self._foreign += 1
        elif arm != self._assigner.arm(exposure.key):
            self._misassigned += 1
        else:
            self._fold_exposed(record, exposure.key, arm)

    def _fold_exposed(self, record: PredictionRecord, key: int, arm: int) -> None:
        first = key not in self.units
        if first and len(self.units) >= UNITS_MAX:
            self._left_out += 1
            return
        request = self.cohort.answer(record, candidate=False)
        if request is None:
            return
        assert isinstance(request, Exposed)
        request.arm, request.unit = arm, key
        if first:
            self._meet(record, key, arm)
        failed = record.status != "ok" or not record.outputs or not all(map(math.isfinite, record.outputs))
        slow = record.latency_us > self._slow_us
        self.answers[arm] += 1
        self.failed[arm] += failed
        self._first_us = min(self._first_us or record.asked_at_us, record.asked_at_us)
        self._last_us = max(self._last_us, record.asked_at_us)
        self._sums["errors"][arm].add(key, float(failed))
        if self._slow_us:
            self._sums["latency_budget"][arm].add(key, float(slow))
        if first:
            values = {"errors": float(failed), "latency_budget": float(slow), "latency_quantile": float(record.latency_us)}
            for variant in range(1, len(self.keys)) if arm == 0 else (arm,):
                for guard in self.guards[variant - 1]:
                    guard.add(arm > 0, values[guard.guardrail.metric])
        if failed:
            request.fail(candidate=False)
        elif self.plan.primary.metric == "score":
            self._count(key, arm, sum(record.outputs) / len(record.outputs))

    def _meet(self, record: PredictionRecord, key: int, arm: int) -> None:
        """Somebody's first answer: what was known of them then is theirs for good, since no arm can have changed it yet."""
        covariate = self._covariate(record, arm)
        self.units[key] = (arm, covariate, tuple(self._segment(column, record, arm) for column in self.plan.segments))
        self.keys[arm] += 1
        self.split.update([int(arm == each) for each in range(len(self.keys))])
        self.mismatched = self.mismatched or self.split.mismatch(SPLIT_ALPHA)

    def _covariate(self, record: PredictionRecord, arm: int) -> float:
        column = self.plan.covariate
        value = math.nan if column is None else _value(record, column.positions[arm])
        if not math.isfinite(value):
            return self._covariate_sum / self._covariates if self._covariates else 0.0
        self._covariates += 1
        self._covariate_sum += value
        return value

    def _segment(self, column: Column, record: PredictionRecord, arm: int) -> str:
        value = _value(record, column.positions[arm])
        categories = column.categories[arm] if column.categories else ()
        if not math.isfinite(value) or (categories and not 0.0 <= value < len(categories)):
            return MISSING
        name = categories[int(value)] if categories else f"{value:g}"
        known = self._values[column.name]
        if name not in known and len(known) >= SEGMENT_VALUES_MAX:
            return OTHERS
        known.add(name)
        return name

    def _count(self, key: int, arm: int, value: float) -> None:
        """One row of the primary metric."""
        _, covariate, segments = self.units[key]
        self.primary[arm].add(key, value, covariate)
        for column, segment in zip(self.plan.segments, segments, strict=True):
            sums = self.segments.get((column.name, segment))
            if sums is None:
                sums = self.segments[column.name, segment] = [CallerSums() for _ in self.keys]
            sums[arm].add(key, value)

    def ripen(self, now_us: int) -> None:
        """Count the requests whose label is decided by now, and fold what waits."""
        metric = self.plan.primary.metric
        for request in self.cohort.ripe(now_us):
            assert isinstance(request, Exposed)
            if metric == "score":
                continue
            value = self._outcome(request)
            if value is not None:
                self._count(request.unit, request.arm, value)
        for guards in self.guards:
            for guard in guards:
                guard.flush()

    def _outcome(self, request: Exposed) -> float | None:
        if not request.labels:
            return self.plan.primary.unlabelled
        if self.plan.primary.metric == "outcome_value":
            return sum(request.labels.values()) / len(request.labels)
        return outcome_loss(self._rule, request.champion, request.labels) if request.champion else None


def _value(record: PredictionRecord, position: int) -> float:
    """One column of a record's first row; NaN where the record has none."""
    start = 8 * position
    return float(_DOUBLE.unpack_from(record.features, start)[0]) if start + 8 <= len(record.features) else math.nan
