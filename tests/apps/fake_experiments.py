"""Experiments as a fake platform knows them: one that runs, one that ended with a winner, a plan that waits."""

from typing import Any

import msgspec
from tests.apps import fake_records as records

from leverframe.apps.platform.views.experiments import (
    ExperimentForecast,
    ExperimentPlanView,
    ExperimentRequest,
    ExperimentView,
    ReportView,
)
from leverframe.apps.platform.views.release import IntervalPoint
from leverframe.core.actor import Actor
from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.errors import NotFound
from leverframe.core.verdict import Verdict
from leverframe.release.experiments.plan import Column, ExperimentPlan, Guardrail, Primary, Variant
from leverframe.release.experiments.readout import ArmReadout, ExposureCounts, Readout, SegmentReadout
from leverframe.release.experiments.records import Entry
from leverframe.release.experiments.report import Report, SpanEnd
from leverframe.release.plans.plan import VersionRef

AT_US = 1_370_000_000_000_000
V1, V2, V3 = (VersionRef(version=f"flight-delay@v{n}", bundle=f"sha256:{n:064x}", envelope=f"sha256:{n:064x}") for n in (1, 2, 3))
PLAN = ExperimentPlan(
    id="prod.flight-delay.x0001",
    environment="prod",
    endpoint="flight-delay",
    team="delays",
    control=V1,
    variants=(Variant(version=V2, share=30.0), Variant(version=V3, share=20.0)),
    primary=Primary(metric="outcome_value", effect=0.02, unlabelled=0.0),
    guardrails=(Guardrail(metric="errors", margin=0.02), Guardrail(metric="latency_quantile", margin=0.25)),
    traffic=60.0,
    layer="booking",
    hash_field="tailnum",
    covariate=Column(name="distance", positions=(0, 0, 0)),
    segments=(Column(name="carrier", positions=(1, 1, 1)),),
    author="ana",
    created_at_us=AT_US,
    note="does the new score pay?",
)
RUNNING, ENDED = PLAN.id, "prod.flight-delay.x0000"


def verdict(rule: str, answer: str, reason: str, **seen: Any) -> Verdict:
    return Verdict(rule=rule, answer=answer, observed=seen.get("observed"), threshold=0.02, reason=reason, **{"n": 900} | seen)


def arm(version: str, keys: int, **facts: Any) -> ArmReadout:
    return ArmReadout(version=version, keys=keys, answers=3 * keys, failed=1, rows=2 * keys, mean=0.21, **facts)


READOUT = Readout(
    experiment=PLAN.id,
    at_us=AT_US + 26 * HOUR_US,
    split=verdict("sample_ratio", "pass", "callers are split as planned (50 %, 30 %, 20 %): flight-delay@v1 1,000, flight-delay@v2 610"),
    hidden="",
    arms=(
        arm("flight-delay@v1", 1_000),
        arm("flight-delay@v2", 610, gain=0.012, low=-0.011, high=0.035, more_keys=4_000, more_us=3 * HOUR_US),
        arm("flight-delay@v3", 398, gain=-0.03, low=-0.055, high=-0.005, standing="worse", more_keys=0, more_us=0),
    ),
    guardrails=(
        verdict("errors", "pass", "at flight-delay@v2: failing answers within 2 points"),
        verdict("latency_quantile", "inconclusive", "at flight-delay@v2: need about 300 more"),
        verdict("errors", "pass", "at flight-delay@v3: failing answers within 2 points"),
        verdict("latency_quantile", "inconclusive", "at flight-delay@v3: need about 400 more"),
    ),
    segments=(
        SegmentReadout(column="carrier", value="UA", version="flight-delay@v2", keys=200, gain=0.05, low=0.01, high=0.09, stands=True),
        SegmentReadout(column="carrier", value="<b>", version="flight-delay@v2", keys=20, gain=None, low=None, high=None, stands=False),
    ),
    segment_alpha=0.025,
    counts=ExposureCounts(
        answers=6_024, outside=4_000, keys=2_008, labels=900, unlabelled=3_000, first_at_us=AT_US, last_at_us=AT_US + HOUR_US
    ),
    alpha_variant=0.025,
)


def points(version: str, rule: str = "outcome_value", shift: float = 0.012) -> tuple[IntervalPoint, ...]:
    return tuple(
        IntervalPoint(
            rule=rule,
            stage=version,
            at_us=AT_US + n,
            n=n,
            estimate=shift,
            low=shift - 4 / n**0.5 / 10,
            high=shift + 4 / n**0.5 / 10,
            margin=0.02,
        )
        for n in (100, 200, 300, 400, 500, 600)
    )


VIEW = ExperimentView(
    id=RUNNING,
    endpoint="flight-delay",
    environment="prod",
    team="delays",
    layer="booking",
    low=0.0,
    high=60.0,
    versions=PLAN.versions,
    shares=PLAN.shares,
    metric="outcome_value",
    better="higher",
    effect=0.02,
    state="running",
    outcome="",
    winner="",
    summary="not enough data: flight-delay@v2 gains +0.012; about 3 h more",
    started_by="ana",
    approvals=("ben", "bea"),
    started_at_us=AT_US,
    ended_at_us=None,
    horizon_at_us=AT_US + 14 * DAY_US,
    plan_digest=PLAN.digest,
    report="",
    proposed="",
    log=(Entry(at_us=AT_US, event="start", actor="ana", reason="does the new score pay?"),),
    readout=READOUT,
    intervals=(*points("flight-delay@v2"), *points("flight-delay@v3", shift=-0.03), *points("flight-delay@v2", "errors", 0.0)),
)
OVER = msgspec.structs.replace(
    VIEW,
    id=ENDED,
    state="ended",
    outcome="winner",
    winner="flight-delay@v2",
    ended_at_us=AT_US + 2 * DAY_US,
    report="sha256:" + "a" * 64,
    proposed=records.digest("plan3"),
    summary="flight-delay@v2 gains +0.03 in outcome_value",
)
WAITING = ExperimentPlanView(
    digest=PLAN.digest,
    plan=msgspec.to_builtins(PLAN),
    approvals=("ben",),
    needed=2,
    missing=("1 more approval by someone other than ana",),
    forecast=ExperimentForecast(
        requests_per_hour=900.0,
        keys_per_hour=300.0,
        sd=0.4,
        keys_needed=12_000,
        hours=66.7,
        sentence="with today's 900 requests of 300 callers an hour a gain of 0.02 in outcome_value needs 12,000 callers, about 3 days",
    ),
)
REPORT = ReportView(
    experiment=ENDED,
    digest=OVER.report,
    report=Report(
        experiment=ENDED,
        plan_digest=PLAN.digest,
        plan=PLAN,
        started_us=AT_US,
        ended_us=AT_US + 2 * DAY_US,
        generation=7,
        outcome="winner",
        winner="flight-delay@v2",
        readout=READOUT,
        span=(SpanEnd(worker="gw-0", number=3, offset=90_000),),
        records=10_024,
        records_digest="sha256:" + "c" * 64,
    ),
    same=True,
    finding="computed again from 10,024 records: the same bytes",
)


class FakeExperiments:
    def __init__(self, calls: Any, access: Any) -> None:
        self._calls, self._access = calls, access
        self.answered = REPORT

    def plans(self) -> tuple[ExperimentPlanView, ...]:
        return (WAITING,)

    def plan_of(self, digest: str) -> ExperimentPlanView:
        if digest != PLAN.digest:
            raise NotFound("no experiment's plan has this digest", where=digest)
        return WAITING

    def plan(self, actor: Actor, request: ExperimentRequest, *, key: str) -> ExperimentPlanView:
        self._calls.write(self._access, actor, "Experiment.Plan", key, request)
        return WAITING

    def approve(self, actor: Actor, digest: str, *, note: str, key: str) -> ExperimentPlanView:
        self._calls.write(self._access, actor, "Release.Approve", key, digest, note)
        return WAITING

    def start(self, actor: Actor, digest: str, *, key: str) -> ExperimentView:
        self._calls.write(self._access, actor, "Experiment.Start", key, digest)
        return VIEW

    def experiments(self, endpoint: str = "") -> tuple[ExperimentView, ...]:
        return tuple(each for each in (VIEW, OVER) if endpoint in ("", each.endpoint))

    def experiment(self, id: str) -> ExperimentView:
        found = {VIEW.id: VIEW, OVER.id: OVER}.get(id)
        if found is None:
            raise NotFound("no such experiment", where=id, next_step="lever experiment list")
        return found

    def stop(self, actor: Actor, id: str, *, reason: str, key: str) -> ExperimentView:
        self._calls.write(self._access, actor, "Experiment.Stop", key, id, reason)
        return OVER

    def report(self, id: str, *, again: bool) -> ReportView:
        return self.answered if again else msgspec.structs.replace(self.answered, same=None, finding="")
