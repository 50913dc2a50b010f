"""What a stage has shown so far: prediction-log records folded, one by one, into a sequence per rule.

Evidence is never stored to decide by: it is recomputable from the log, from the stage's first route generation on, so a controller that
died anywhere comes back to the same numbers. Memory is bounded (see :mod:`leverframe.release.evidence.cohort`), and a look costs the same
whatever number of records was folded before.
"""

import math
from collections.abc import Iterable

import msgspec

from leverframe.core.clock import HOUR_US
from leverframe.core.prediction import LabelRecord, LogRecord, PredictionRecord
from leverframe.core.statistics.multinomial import ShareSequence
from leverframe.core.verdict import Verdict
from leverframe.release.evidence.cohort import PENDING_MAX, Cohort, Request
from leverframe.release.evidence.distribution import ScoreDistribution
from leverframe.release.evidence.judge import Reading, judge, judge_split, read_test
from leverframe.release.evidence.losses import outcome_loss
from leverframe.release.evidence.sequences import judged_by, paired_in
from leverframe.release.plans.plan import Metric, MetricRule, ReleasePlan, applies

PATH_POINTS_MAX = 60
"""Points kept of each interval's path; at the bound every second one goes."""

KEYS_MAX = 100_000
"""Distinct sticky keys remembered for the split of callers; beyond it new keys are no longer counted."""

UNLABELLED_SHARE_MAX = 0.4
LATE_SHARE_MAX = 0.05
DROPPED_SHARE_MAX = 0.01
"""Beyond these shares the labelled requests are no fair sample of all requests, and outcome rules are not answered."""

PICTURE_EVERY = 128
"""Intervals are drawn anew when a rule has a 128th more observations: until then the earlier one holds, as it does for ever."""


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
        self.paired = paired_in(self.stage)
        self.paths: dict[str, list[Point]] = {rule.metric: [] for rule in self.rules}
        self.missing: dict[str, int | None] = {}
        """About how many more observations each rule needs, as of the newest look; None where nobody can tell."""
        self.mismatched = False
        self.observed_us = 0
        self._cohort = Cohort(plan.label_horizon_us, pending_max=pending_max)
        self._judged = {rule.metric: judged for rule in self.rules if (judged := judged_by(rule, self.stage)) is not None}
        self._pictures: dict[str, tuple[int, tuple[float, float], tuple[float, float]]] = {}
        self._scored, self._failed = [0, 0], [0, 0]
        share = self.stage.weight / 100.0
        self.distribution = ScoreDistribution(paired=self.paired, share=share)
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
            scored_by_candidate=self._scored[1],
            scored_by_champion=self._scored[0],
            failed_by_candidate=self._failed[1],
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
        self._scored[candidate] += 1
        self._failed[candidate] += failed
        if self.plan.hash_field:
            request.key = record.entities.get(self.plan.hash_field) or record.id
        if failed:
            request.fail(candidate=candidate)
        if record.role != "shadow":
            self._fold_served(record, request, candidate, failed=failed)
        if request.candidate is not None and request.champion is not None:
            self._add_pair("errors", float(not request.candidate) - float(not request.champion), request.key)
        if failed:
            return
        if not self.paired:
            mean = sum(scores) / len(scores)
            self._add_arm("prediction_shift", candidate, mean, request.key)
            self.distribution.arm(candidate, mean)
        elif request.candidate and request.champion and len(request.candidate) == len(request.champion):
            self._add_shift((sum(request.candidate) - sum(request.champion)) / len(scores), request.key)
            self.distribution.pair(sum(request.candidate) / len(scores), sum(request.champion) / len(scores))

    def _fold_served(self, record: PredictionRecord, request: Request, candidate: bool, *, failed: bool) -> None:
        request.served_by_candidate = candidate
        self._served[candidate] += 1
        self._add_arm("errors", candidate, float(failed), request.key)
        self._add_arm("latency_budget", candidate, float(record.latency_us > self._slow_us), request.key)
        self._add_arm("latency_quantile", candidate, float(record.latency_us), request.key)
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

    def _add_shift(self, difference: float, key: str) -> None:
        if abs(difference) <= 1.0:
            self._add_pair("prediction_shift", difference, key)
        else:
            self._unusable += 1

    def _add_pair(self, metric: Metric, *row: float | str) -> None:
        judged = self._judged.get(metric)
        if judged is not None and judged.pairs is not None:
            judged.pairs.add(*row)

    def _add_arm(self, metric: Metric, candidate: bool, value: float, key: str, covariate: float = 0.0) -> None:
        judged = self._judged.get(metric)
        if judged is not None and judged.arms is not None:
            judged.arms.add(candidate, value, key, covariate)

    def _ripen(self, now_us: int) -> None:
        """Judge the requests whose label is decided by now."""
        for request in self._cohort.ripe(now_us):
            if self.paired and not (request.candidate and request.champion):
                self._ripen_value(request)
                continue
            candidate = self.paired or request.served_by_candidate
            scores = request.candidate if candidate else request.champion
            if not scores:
                continue
            self._outcomes += candidate
            self._ripen_value(request)
            for rule in self.rules:
                if rule.metric == "outcome_auc" and self.paired:
                    self._ripen_auc(request)
                elif rule.metric in ("outcome_brier", "outcome_log_loss", "outcome_hit"):
                    self._ripen_loss(rule, request, scores, candidate=candidate)

    def _ripen_loss(self, rule: MetricRule, request: Request, scores: tuple[float, ...], *, candidate: bool) -> None:
        loss = outcome_loss(rule, scores, request.labels)
        base = outcome_loss(rule, request.champion, request.labels) if self.paired and request.champion else 0.0
        if loss is None or base is None:
            self._unusable += 1
        elif self.paired:
            self._add_pair(rule.metric, loss - base, request.key)
        else:
            self._add_arm(rule.metric, candidate, loss, request.key)

    def _ripen_auc(self, request: Request) -> None:
        one, zero = request.candidate or (), request.champion or ()
        for row, label in request.labels.items():
            if row < min(len(one), len(zero)):
                self._add_pair("outcome_auc", label, one[row], zero[row])

    def _ripen_value(self, request: Request) -> None:
        """The label itself counts for whoever answered the caller; in a mirrored canary the candidate's score is known of every request."""
        value = sum(request.labels.values()) / len(request.labels)
        covariate = sum(request.candidate) / len(request.candidate) if request.candidate else 0.0
        self._add_arm("outcome_value", request.served_by_candidate, -value, request.key, covariate)

    def _flush(self) -> None:
        for judged in self._judged.values():
            judged.flush()

    def _blocked(self, metric: Metric) -> str:
        """Why outcomes cannot be judged at all, or empty."""
        if metric not in self._judged:
            return "it needs the scores of both models on the same requests: plan a shadow stage or a mirrored canary"
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
        judged = self._judged.get(rule.metric)
        if judged is None or not judged.test.n:
            return read_test(None, rule)
        test = judged.test
        drawn = self._pictures.get(rule.metric)
        if drawn is None or test.n - drawn[0] > drawn[0] // PICTURE_EVERY:
            drawn = self._pictures[rule.metric] = (test.n, test.interval(rule.alpha), test.interval(rule.alpha_proof))
        return read_test(test, rule, drawn[1:])

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
            self.missing[rule.metric] = reading.missing
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
