"""What a stage has shown so far: prediction-log records folded, one by one, into a sequence per rule.

Evidence is never stored to decide by: it is recomputable from the log, from the stage's first route generation on, so a controller that
died anywhere comes back to the same numbers. Memory is bounded (see :mod:`leverframe.release.cohort`), and a look costs the same whatever
number of records was folded before.
"""

import math
from collections.abc import Iterable

import msgspec
import numpy as np

from leverframe.core.clock import HOUR_US
from leverframe.core.prediction import LabelRecord, LogRecord, PredictionRecord
from leverframe.core.statistics.bernoulli import RateDifference
from leverframe.core.statistics.betting import BettingSequence
from leverframe.core.statistics.multinomial import ShareSequence
from leverframe.core.statistics.sequential import EVERYTHING, DifferenceSequence, MeanSequence
from leverframe.core.verdict import Verdict
from leverframe.release.cohort import PENDING_MAX, Cohort, Request
from leverframe.release.judge import Reading, judge, judge_split
from leverframe.release.plan import MetricRule, ReleasePlan, applies

PATH_POINTS_MAX = 60
"""Points kept of each interval's path; at the bound every second one goes."""

KEYS_MAX = 100_000
"""Distinct sticky keys remembered for the split of callers; beyond it new keys are no longer counted."""

UNLABELLED_SHARE_MAX = 0.4
LATE_SHARE_MAX = 0.05
DROPPED_SHARE_MAX = 0.01
"""Beyond these shares the labelled requests are no fair sample of all requests, and outcome rules are not answered."""

_SCORE_FLOOR = 1e-6

_Sequence = MeanSequence | DifferenceSequence | BettingSequence


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A rule's interval at one look: after ``n`` observations, at ``at_us``."""

    rule: str
    stage: str
    at_us: int
    n: int
    estimate: float
    low: float
    high: float
    margin: float


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What was read in a stage. ``answers_*`` were given to callers; ``scored_by_candidate`` also counts unseen copies."""

    answers_by_candidate: int = 0
    answers_by_champion: int = 0
    scored_by_candidate: int = 0
    scored_by_champion: int = 0
    failed_by_candidate: int = 0
    outcomes: int = 0
    labels: int = 0
    labels_late: int = 0
    labels_orphaned: int = 0
    unlabelled: int = 0
    duplicates: int = 0
    contradictions: int = 0
    dropped: int = 0
    unusable: int = 0
    first_at_us: int = 0
    last_at_us: int = 0


def _loss(metric: str, scores: tuple[float, ...], labels: dict[int, float]) -> float | None:
    """Mean loss of a request over its labelled rows; None when a label names a row that was never answered."""
    total = 0.0
    for row, label in labels.items():
        if row >= len(scores):
            return None
        score = scores[row]
        if metric == "outcome_brier":
            total += (score - label) ** 2
        else:
            clipped = min(max(score, _SCORE_FLOOR), 1.0 - _SCORE_FLOOR)
            total -= label * math.log(clipped) + (1.0 - label) * math.log1p(-clipped)
    return total / len(labels)


def _sequence(rule: MetricRule, *, paired: bool, rows_planned: int) -> _Sequence | None:
    """The sequence a rule is judged by; errors, slow answers and the split have their own."""
    if rule.metric == "prediction_shift" and paired:
        coarse, fine = np.linspace(-1.0, 1.0, 161), np.linspace(-2.0 * rule.margin, 2.0 * rule.margin, 121)
        return BettingSequence(low=-1.0, high=1.0, grid=np.clip(np.concatenate((coarse, fine)), -1.0, 1.0), alpha_planned=rule.alpha)
    if rule.metric in ("prediction_shift", "outcome_brier", "outcome_log_loss"):
        kind = MeanSequence if paired else DifferenceSequence
        return kind(rows_planned=max(rows_planned, 200), alpha_planned=rule.alpha, sd_floor=2.0 * rule.margin)
    return None


class StageEvidence:
    """The evidence of one stage of one release.

    Parameters
    ----------
    plan: what is judged, by which rules.    stage: index into ``plan.stages``.
    generation: first route generation of the stage; older answers belong to an earlier route and are ignored.
    started_us: when the stage's route was set.
    """

    def __init__(self, plan: ReleasePlan, stage: int, generation: int, started_us: int, *, pending_max: int = PENDING_MAX) -> None:
        self.plan, self.stage, self.generation, self.started_us = plan, plan.stages[stage], generation, started_us
        self.rules = tuple(rule for rule in plan.rules if applies(rule, self.stage)) if plan.champion else ()
        self.paired = self.stage.mirror or self.stage.role in ("shadow", "full")
        self.paths: dict[str, list[Point]] = {rule.metric: [] for rule in self.rules}
        self.mismatched = False
        self.observed_us = 0
        self._cohort = Cohort(plan.label_horizon_us, pending_max=pending_max)
        self._sequences = {rule.metric: _sequence(rule, paired=self.paired, rows_planned=self.stage.labels_min) for rule in self.rules}
        self._batches: dict[tuple[str, bool], list[float]] = {}
        self._errors, self._slow = RateDifference(), RateDifference()
        share = self.stage.weight / 100.0
        self._split = ShareSequence([1.0 - share, share]) if 0.0 < share < 1.0 else None
        self._split_rule = next((rule for rule in self.rules if rule.metric == "sample_ratio"), None)
        self._slow_us = next((rule.bound_us for rule in self.rules if rule.metric == "latency_budget"), 0)
        self._keys: set[str] = set()
        self._served, self._outcomes, self._unusable = [0, 0], 0, 0
        self._first_us, self._last_us = 0, 0
        self._gap_max_us = max(HOUR_US, (plan.watch_us if self.stage.role == "full" else self.stage.min_hold_us) // 4)

    @property
    def counts(self) -> Counts:
        """What was read so far."""
        cohort = self._cohort
        return Counts(
            answers_by_candidate=self._served[1],
            answers_by_champion=self._served[0],
            scored_by_candidate=self._errors.candidate.n,
            scored_by_champion=self._errors.champion.n,
            failed_by_candidate=self._errors.candidate.events,
            outcomes=self._outcomes,
            labels=cohort.labels,
            labels_late=cohort.late,
            labels_orphaned=cohort.orphans,
            unlabelled=cohort.unlabelled,
            duplicates=cohort.duplicates,
            contradictions=cohort.contradictions,
            dropped=cohort.dropped,
            unusable=self._unusable,
            first_at_us=self._first_us,
            last_at_us=self._last_us,
        )

    def fold(self, records: Iterable[LogRecord]) -> None:
        """Fold records in, in the order of the log; those of other endpoints, versions or earlier routes are passed over."""
        for record in records:
            if record.endpoint != self.plan.endpoint:
                continue
            if isinstance(record, LabelRecord):
                self._cohort.label(record)
            elif record.generation >= self.generation and record.routed and record.status != "refused" and record.code != "killed":
                self._fold_answer(record)

    def _fold_answer(self, record: PredictionRecord) -> None:
        candidate = record.version == self.plan.candidate.version
        if not candidate and (self.plan.champion is None or record.version != self.plan.champion.version):
            return
        request = self._cohort.answer(record, candidate=candidate)
        if request is None:
            return
        self._observe(record.asked_at_us)
        scores = record.outputs
        failed = record.status != "ok" or not scores or not all(map(math.isfinite, scores))
        (self._errors.candidate if candidate else self._errors.champion).update(events=int(failed), trials=1)
        if record.role != "shadow":
            self._fold_served(record, request, candidate)
        if failed:
            request.fail(candidate=candidate)
        elif not self.paired:
            self._add("prediction_shift", sum(scores) / len(scores), candidate)
        elif request.candidate and request.champion and len(request.candidate) == len(request.champion):
            self._add_shift((sum(request.candidate) - sum(request.champion)) / len(scores))

    def _fold_served(self, record: PredictionRecord, request: Request, candidate: bool) -> None:
        request.served_by_candidate = candidate
        self._served[candidate] += 1
        (self._slow.candidate if candidate else self._slow.champion).update(events=int(record.latency_us > self._slow_us), trials=1)
        if self._split is None or self._split_rule is None:
            return
        if self.plan.hash_field:
            key = record.entities.get(self.plan.hash_field)
            if key is None or key in self._keys or len(self._keys) >= KEYS_MAX:
                return
            self._keys.add(key)
        self._split.update([1 - candidate, int(candidate)])
        self.mismatched = self.mismatched or self._split.mismatch(self._split_rule.alpha)

    def _observe(self, asked_at_us: int) -> None:
        """Add to the span of observed traffic; a gap (a quiet night, a jump of the clock) counts for a quarter of the hold at most."""
        if not self._first_us:
            self._first_us = self._last_us = asked_at_us
        elif asked_at_us > self._last_us:
            self.observed_us += min(asked_at_us - self._last_us, self._gap_max_us)
            self._last_us = asked_at_us

    def _add_shift(self, difference: float) -> None:
        if abs(difference) <= 1.0:
            self._add("prediction_shift", difference)
        else:
            self._unusable += 1

    def _add(self, metric: str, value: float, candidate: bool = True) -> None:
        if metric in self._sequences:
            self._batches.setdefault((metric, candidate), []).append(value)

    def _ripen(self, now_us: int) -> None:
        """Judge the requests whose label is decided by now."""
        metrics = [rule.metric for rule in self.rules if rule.metric.startswith("outcome_")]
        for request in self._cohort.ripe(now_us):
            one, zero = request.candidate, request.champion
            if self.paired and not (one and zero):
                continue
            scores = one if self.paired or request.served_by_candidate else zero
            if not scores:
                continue
            self._outcomes += self.paired or request.served_by_candidate
            for metric in metrics:
                loss = _loss(metric, scores, request.labels)
                base = _loss(metric, zero, request.labels) if self.paired and zero else 0.0
                if loss is None or base is None:
                    self._unusable += 1
                else:
                    self._add(metric, loss - base, self.paired or request.served_by_candidate)

    def _flush(self) -> None:
        for (metric, candidate), values in self._batches.items():
            sequence = self._sequences[metric]  # type: ignore[index]
            if isinstance(sequence, DifferenceSequence):
                sequence.update(**{"candidate" if candidate else "champion": values})
            elif sequence is not None:
                sequence.update(values)
        self._batches.clear()

    def _blocked(self, metric: str) -> str:
        """Why outcomes cannot be judged at all, or empty."""
        if not metric.startswith("outcome_"):
            return f"{self._unusable:,} scores are no probabilities" if metric == "prediction_shift" and self._unusable else ""
        cohort = self._cohort
        known = self._outcomes + cohort.late
        if cohort.mature >= 20 and cohort.unlabelled > UNLABELLED_SHARE_MAX * cohort.mature:
            return f"{cohort.unlabelled:,} of {cohort.mature:,} requests have no label after the label horizon"
        if known >= 20 and cohort.late > LATE_SHARE_MAX * known:
            return f"{cohort.late:,} labels came later than the label horizon; plan with a longer one"
        if cohort.dropped > DROPPED_SHARE_MAX * cohort.requests:
            return f"{cohort.dropped:,} requests were dropped from the label window because it was full"
        return ""

    def _reading(self, rule: MetricRule) -> Reading:
        sequence = {"errors": self._errors, "latency_budget": self._slow}.get(rule.metric) or self._sequences[rule.metric]
        if sequence is None or not sequence.n:
            return Reading(n=0, estimate=None, harm=EVERYTHING, proof=EVERYTHING)
        return Reading(
            n=sequence.n, estimate=sequence.estimate, harm=sequence.interval(rule.alpha), proof=sequence.interval(rule.alpha_proof)
        )

    def look(self, now_us: int) -> tuple[Verdict, ...]:
        """The verdict on every rule of the stage, as of ``now_us``; may be asked as often as one likes."""
        self._ripen(now_us)
        self._flush()
        verdicts = []
        for rule in self.rules:
            if rule.metric == "sample_ratio":
                verdicts.append(
                    judge_split(rule, self._split, self.stage.rows_min, mismatched=self.mismatched, where=self.stage.name, at_us=now_us)
                )
                continue
            reading = self._reading(rule)
            verdicts.append(judge(rule, reading, where=self.stage.name, at_us=now_us, blocked=self._blocked(rule.metric)))
            self._note(rule, reading, now_us)
        return tuple(verdicts)

    def _note(self, rule: MetricRule, reading: Reading, now_us: int) -> None:
        path = self.paths[rule.metric]
        low, high = reading.harm[0], reading.proof[1]
        if reading.estimate is None or not (math.isfinite(low) and math.isfinite(high)) or (path and path[-1].n == reading.n):
            return
        if len(path) >= PATH_POINTS_MAX:
            del path[1::2]
        path.append(
            Point(
                rule=rule.metric,
                stage=self.stage.name,
                at_us=now_us,
                n=reading.n,
                estimate=reading.estimate,
                low=low,
                high=high,
                margin=rule.margin,
            )
        )
