"""Plausible plans, releases and endpoints."""

import math

import msgspec
import numpy as np
from tests.apps.fake_records_moment import NOW_US, digest

from leverframe.apps.platform import views
from leverframe.apps.platform.views.promoting import EnvironmentView
from leverframe.apps.platform.views.release import WatchView
from leverframe.core.clock import HOUR_US, MINUTE_US
from leverframe.core.route import Arm, Endpoint
from leverframe.core.verdict import Verdict
from leverframe.release.plans.plan import LABEL_HORIZON_US, STALL_US, WATCH_US, ReleasePlan, VersionRef, default_rules, default_stages
from leverframe.release.plans.team_rules import Environment, TeamRules
from leverframe.release.plans.windows import Calendar, Opening


def intervals(rule: str, stage: str, drift: float, margin: float, seed: int, looks: int = 26) -> tuple[views.IntervalPoint, ...]:
    seeded = np.random.default_rng(seed)
    points = []
    for look in range(1, looks + 1):
        n = 40 * look
        estimate = drift * (1 - math.exp(-look / 6)) + float(seeded.normal(0, 0.02)) / math.sqrt(look)
        half = 0.42 / math.sqrt(n) * math.sqrt(math.log(2 + n))
        points.append(
            views.IntervalPoint(
                rule=rule,
                stage=stage,
                at_us=NOW_US - 5 * HOUR_US + look * 10 * 60_000_000,
                n=n,
                estimate=estimate,
                low=estimate - half,
                high=estimate + half,
                margin=margin,
            )
        )
    return tuple(points)


def release(number: int) -> views.ReleaseView:
    rolled_back = number == 3
    verdict = Verdict(
        rule="log_loss difference <= 0.01",
        answer="fail" if rolled_back else "pass",
        observed=0.083 if rolled_back else -0.004,
        threshold=0.01,
        low=0.031 if rolled_back else -0.012,
        high=0.135 if rolled_back else 0.004,
        n=1_040,
        reason="the whole interval is above the margin" if rolled_back else "the whole interval is below the margin",
        next_step="lever models show flight-delay@v3" if rolled_back else "",
        at_us=NOW_US - HOUR_US,
    )
    log = (
        views.StageLogEntry(at_us=NOW_US - 6 * HOUR_US, stage="shadow", event="started", reason="plan approved by 2"),
        views.StageLogEntry(at_us=NOW_US - 5 * HOUR_US, stage="canary", event="advanced", reason="shadow answers agree"),
        views.StageLogEntry(
            at_us=NOW_US - HOUR_US,
            stage="rolled_back" if rolled_back else "watch",
            event="rolled_back" if rolled_back else "promoted",
            reason=verdict.reason,
            verdicts=(verdict,),
        ),
    )
    return views.ReleaseView(
        id=f"rel-{number:04d}",
        endpoint="flight-delay",
        environment="prod",
        candidate=f"flight-delay@v{number}",
        champion=f"flight-delay@v{number - 1}",
        state="rolled_back" if rolled_back else "done",
        stage="rolled_back" if rolled_back else "watch",
        weight=0.0 if rolled_back else 100.0,
        plan_digest=digest(f"plan{number}"),
        author="mei",
        started_at_us=NOW_US - 6 * HOUR_US,
        ended_at_us=NOW_US - HOUR_US,
        outcome="rolled_back" if rolled_back else "promoted",
        log=log,
        verdicts=(verdict,),
        intervals=(
            *intervals("log_loss difference <= 0.01", "canary", 0.09 if rolled_back else -0.004, 0.01, number),
            *intervals("error rate difference <= 0.002", "canary", 0.0, 0.05, number + 10),
        ),
        answers_by_candidate=212 if rolled_back else 9_812,
        labels_joined=1_040,
        summary="v3 was taken back after 212 answers: its log loss is worse than v2's by more than the margin." if rolled_back else "",
    )


def running_release() -> views.ReleaseView:
    return views.ReleaseView(
        id="rel-0004",
        endpoint="flight-delay",
        environment="prod",
        candidate="flight-delay@v3",
        champion="flight-delay@v2",
        state="running",
        stage="canary",
        weight=5.0,
        plan_digest=digest("plan4"),
        author="mei",
        started_at_us=NOW_US - 6 * HOUR_US,
        ended_at_us=None,
        outcome="",
        log=release(2).log[:2],
        verdicts=(
            Verdict(
                rule="log_loss difference <= 0.01",
                answer="inconclusive",
                observed=0.001,
                threshold=0.01,
                low=-0.03,
                high=0.03,
                n=1_040,
                reason="the interval still contains the margin",
                next_step="wait: about 3 h more",
            ),
        ),
        intervals=intervals("log_loss difference <= 0.01", "canary", 0.001, 0.01, 44),
        answers_by_candidate=480,
        labels_joined=1_040,
    )


def endpoint_view(**changes: object) -> views.EndpointView:
    arms = (
        Arm(version="flight-delay@v2", bundle=digest("bundle2"), envelope=digest("envelope2"), role="live", weight=95.0),
        Arm(version="flight-delay@v3", bundle=digest("bundle3"), envelope=digest("envelope3"), role="canary", weight=5.0, mirror=True),
    )
    facts = {"name": "flight-delay", "arms": arms, "hash_field": "flight_id", "release": "rel-0004"} | changes
    return views.EndpointView(
        environment="prod",
        endpoint=Endpoint(**facts),  # type: ignore[arg-type]
        release="rel-0004",
        generation_desired=42,
        generation_running=41,
        gateway="http://127.0.0.1:8401 answers, its table is 0.4 s old",
        served=52_110,
        logged=52_110,
        dropped=0,
    )


def watched(release_id: str) -> WatchView:
    """A release as it is watched: ``rel-0004`` holds, every other one is over."""
    ended = release_id != "rel-0004"
    return WatchView(
        id=release_id,
        state="completed" if ended else "running",
        stage="canary 5 %",
        weight=5.0,
        at_us=NOW_US,
        lines=(
            "holding at canary 5 %: p99 latency is fine",
            "need about 1,900 more labelled requests to rule out 1.0 points of loss of AUC; ~40 min",
        ),
        eta_us=40 * MINUTE_US,
        ended=ended,
    )


TEAM_RULES = TeamRules(
    team="flights",
    environments=(
        Environment(name="stage"),
        Environment(name="prod", calendar=Calendar(zone="America/New_York", openings=(Opening(),))),
    ),
    reason="by way of stage, in business hours",
    by="olga",
    at_us=NOW_US - HOUR_US,
)


ENVIRONMENTS = tuple(
    EnvironmentView(
        environment=name,
        demands=demands,
        live="flight-delay@v2",
        bundle=digest("bundle2"),
        release=f"{name}.flight-delay.0002",
        state=state,
        started_us=NOW_US - HOUR_US,
        shut="",
        opens_us=None,
    )
    for name, demands, state in (("stage", "", "completed"), ("prod", "completed", "watching"))
)


def plan(number: int, approvals: tuple[str, ...]) -> views.PlanView:
    stages = default_stages("shadow_canary")
    written = ReleasePlan(
        id=f"prod.flight-delay.{number:04d}",
        environment="prod",
        endpoint="flight-delay",
        team="flights",
        strategy="shadow_canary",
        candidate=VersionRef(version=f"flight-delay@v{number}", bundle=digest(f"bundle{number}"), envelope=digest(f"envelope{number}")),
        champion=VersionRef(version="flight-delay@v2", bundle=digest("bundle2"), envelope=digest("envelope2")),
        stages=stages,
        rules=default_rules(stages),
        watch_us=WATCH_US,
        label_horizon_us=LABEL_HORIZON_US,
        stall_us=STALL_US,
        risk_tier="high",
        gates="pass",
        author="mei",
        created_at_us=NOW_US - HOUR_US,
    )
    return views.PlanView(
        digest=digest(f"plan{number}"),
        plan=msgspec.json.decode(msgspec.json.encode(written)),
        approvals=approvals,
        needed=2,
        missing=() if len(approvals) >= 2 else (f"{2 - len(approvals)} approver(s) other than mei",),
    )
