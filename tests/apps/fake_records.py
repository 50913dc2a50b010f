"""Plausible records of the flight-delay story, from fixed seeds, for doors that are tested without the rooms behind them."""

import math
from importlib.resources import files

import msgspec
import numpy as np
import polars as pl

from leverframe.apps.platform import views
from leverframe.apps.platform.contract_details import standings
from leverframe.apps.platform.views.contract import ContractDetailView, ContractStep
from leverframe.apps.platform.views.keeping import SnapshotView
from leverframe.apps.platform.views.promoting import EnvironmentView
from leverframe.apps.platform.views.release import WatchView
from leverframe.core.alert import Alert, Cause, Signal
from leverframe.core.clock import DAY_US, HOUR_US, MINUTE_US, us_from_iso
from leverframe.core.consumers import Consumer
from leverframe.core.dataset import ContractReport, RuleResult, Snapshot
from leverframe.core.digest import digest_bytes
from leverframe.core.errors import Fault
from leverframe.core.evaluation import CalibrationBin, EvaluationReport, Metric
from leverframe.core.feature import Expression, FeatureView, Freshness
from leverframe.core.feature_page import AgePoint, EndpointReader
from leverframe.core.feature_service import Entity, EntityKey, FeatureService, ServedFeature
from leverframe.core.lineage import Edge, Node, graph_of
from leverframe.core.model import Lineage, ModelSpec, ModelVersion
from leverframe.core.route import Arm, Endpoint
from leverframe.core.schema import InputColumn, RequestField, Signature
from leverframe.core.verdict import Verdict
from leverframe.data.contract.contract_file import read_contract
from leverframe.features.materialization.jobs import JobRecord
from leverframe.features.parity_verdicts import FeatureVerdict, ParityRecord, SkewExample
from leverframe.features.timelines.distribution import distributions
from leverframe.release.plans.plan import LABEL_HORIZON_US, STALL_US, WATCH_US, ReleasePlan, VersionRef, default_rules, default_stages
from leverframe.release.plans.team_rules import Environment, TeamRules
from leverframe.release.plans.windows import Calendar, Opening
from leverframe.training.difference import VersionFacts

NOW_US = us_from_iso("2013-06-14T09:30:00Z")
CARRIERS = ("UA", "B6", "EV", "DL", "AA", "MQ", "US", "9E")


def digest(text: str) -> str:
    return digest_bytes(text.encode())


SPEC = ModelSpec(
    name="flight-delay",
    description="Will this flight arrive more than 15 minutes late, asked one hour before its scheduled departure?",
    owner="flight-operations",
    team="flights",
    runbook="docs/runbooks/flight-delay.md",
    dataset="flights",
    label="late",
    request=(
        RequestField(name="origin", datatype="BYTES", entity=True, example="JFK"),
        RequestField(name="carrier", datatype="BYTES", entity=True, example="UA"),
        RequestField(name="distance", datatype="FP64", example=1400.0),
        RequestField(name="sched_dep_at", datatype="INT64", example=1371202200),
    ),
    columns=(
        InputColumn(name="distance", source="request", field="distance"),
        InputColumn(name="origin_delay_2h", source="view", view="origin_delays", feature="mean_2h"),
        InputColumn(name="wind_speed", source="view", view="origin_weather", feature="wind_speed"),
    ),
    risk_tier="high",
    intended_use="Passenger notices and gate planning at EWR, JFK and LGA.",
    limitations="Trained on 2013 departures from three airports; it knows nothing of strikes.",
)

WEATHER = FeatureView(
    name="origin_weather",
    source="weather",
    entity=("origin",),
    event_time="observed_at",
    arrival_time="known_at",
    expressions=(Expression(name="wind_speed", sql="wind_speed", description="mph"), Expression(name="visib", sql="visib")),
    ttl_us=6 * HOUR_US,
    freshness_sla_us=2 * HOUR_US,
    owner="flight-operations",
    description="The newest hourly weather at the airport that could be known at that moment.",
)

WEATHER_TEXT = (files("leverframe.apps.demo.project") / "contracts" / "weather.odcs.yaml").read_text()
WEATHER_CONTRACT = msgspec.structs.replace(read_contract(WEATHER_TEXT.encode()), version="0.9.0", description="before")

AIRPORT = Entity(name="airport", keys=(EntityKey(name="origin"),), team="flights", owner="flight-operations", description="By IATA code.")

SERVICE = FeatureService(
    name="delay_inputs",
    team="flights",
    owner="flight-operations",
    features=(ServedFeature(view="origin_weather", feature="wind_speed", name="wind"),),
    description="What the delay models take from the weather.",
)


def version(number: int) -> ModelVersion:
    auc = {1: 0.662, 2: 0.681, 3: 0.684}[number]
    return ModelVersion(
        model="flight-delay",
        number=number,
        bundle=digest(f"bundle{number}"),
        envelope=digest(f"envelope{number}"),
        run_id=f"run-{number:04d}",
        created_by="mei",
        created_at_us=NOW_US - (30 - 10 * number) * DAY_US - 45 * DAY_US,
        risk_tier="high",
        gates="pass",
        metrics={"roc_auc": auc, "log_loss": 0.531 - auc / 10},
        roc_auc_low=auc - 0.006,
        roc_auc_high=auc + 0.006,
        note={1: "first", 2: "trained through April", 3: "delays in hours"}[number],
    )


def evaluation(number: int) -> EvaluationReport:
    auc = version(number).metrics["roc_auc"]
    seeded = np.random.default_rng(number)
    slices = tuple(
        Metric(name="roc_auc", value=value, low=value - 0.02, high=value + 0.02, n=int(900 + 300 * index), slice=f"carrier={carrier}")
        for index, (carrier, value) in enumerate(zip(CARRIERS, (auc + seeded.normal(0, 0.02, 8)).tolist(), strict=True))
    )
    return EvaluationReport(
        model="flight-delay",
        rows=18_211,
        positives=4_377,
        metrics=(
            Metric(name="roc_auc", value=auc, low=auc - 0.006, high=auc + 0.006, n=18_211),
            Metric(name="log_loss", value=0.463, low=0.457, high=0.469, n=18_211),
            Metric(name="brier", value=0.148, low=0.145, high=0.151, n=18_211),
        ),
        slices=slices,
        baseline=(Metric(name="roc_auc", value=0.602, low=0.594, high=0.610, n=18_211),),
        calibration=tuple(
            CalibrationBin(predicted=p, observed=p + 0.02 * math.sin(9 * p), n=int(5000 * math.exp(-4 * p)) + 60)
            for p in (0.05, 0.12, 0.2, 0.28, 0.37, 0.46, 0.55, 0.66, 0.78)
        ),
        gates=(
            Verdict(
                rule="roc_auc lower >= 0.62",
                answer="pass",
                observed=auc,
                threshold=0.62,
                low=auc - 0.006,
                high=auc + 0.006,
                n=18_211,
                reason="the whole interval is above the threshold",
            ),
            Verdict(
                rule="roc_auc carrier=* >= 0.55",
                answer="pass",
                observed=0.61,
                threshold=0.55,
                n=1_204,
                reason="worst slice is carrier=MQ",
            ),
        ),
        answer="pass",
        window=("2013-03-18", "2013-03-31"),
        champion="flight-delay@v1" if number > 1 else "",
        champion_metrics=(Metric(name="roc_auc", value=0.662, low=0.656, high=0.668, n=18_211),) if number > 1 else (),
    )


def version_view(number: int) -> views.VersionView:
    record = version(number)
    return views.VersionView(
        version=record,
        spec=SPEC,
        evaluation=evaluation(number),
        lineage=Lineage(
            run_id=record.run_id,
            code_commit="8f2c1d0a9b",
            code_digest=digest("code"),
            dataset="flights",
            snapshots={"flights": digest("flights"), "weather": digest("weather")},
            training_set=digest(f"set{number}"),
            feature_views={"origin_weather": digest("origin_weather")},
            params={"num_leaves": 31, "learning_rate": 0.05},
            environment_digest=digest("env"),
            seed=20130401,
            rows_fit=61_022,
            rows_holdout=18_211,
            window=("2013-01-01T00:00:00Z", "2013-04-01T00:00:00Z"),
        ),
        card="# flight-delay\n\nScores departures of three airports.\n\n<script>alert(1)</script>",
        files={"model.onnx": 412_331, "model.lightgbm.txt": 688_120, "signature.json": 2_104, "golden.json": 18_210},
        arms=("prod/flight-delay live 95 %",) if number == 2 else ("prod/flight-delay canary 5 %",) if number == 3 else (),
        deleted=(
            views.DeletedRows(
                dataset="weather",
                snapshot=digest("weather"),
                erasure="erasure-1",
                rows=3,
                rows_before=40,
                parts=1,
                parts_before=4,
                at_us=NOW_US,
                remains=digest("weather1"),
            ),
        )
        if number == 1
        else (),
    )


def version_facts(shown: views.VersionView) -> VersionFacts:
    number = shown.version.number
    return VersionFacts(
        name=shown.version.name,
        spec=shown.spec,
        signature=Signature(request=SPEC.request, columns=SPEC.columns),
        evaluation=shown.evaluation,
        lineage=shown.lineage,
        environment=f"# python 3.11.2 linux x86_64\nlightgbm==4.{number}.0\nnumpy==2.3.0\n",
    )


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


OBJECTIVES = views.ObjectivesView(
    endpoint="flight-delay",
    availability=0.9995,
    latency_target=0.99,
    latency_ms=50,
    counted_ms=51.2,
    declared=True,
    reason="what the booking page was promised",
    by="ana",
    at_us=NOW_US,
    left={"availability": 0.62, "latency": -0.1},
)
ALERT = Alert(
    id="alert-1",
    group="feed:weather",
    endpoint="flight-delay",
    severity="page",
    title="weather feed is late, and three columns that come from it drift",
    opened_at_us=NOW_US - 2 * HOUR_US,
    signals=(
        Signal(
            kind="freshness",
            subject="weather",
            observed=7.5,
            threshold=2.0,
            window=(NOW_US - 3 * HOUR_US, NOW_US),
            detail="newest row is 7 h 30 min old",
        ),
        Signal(kind="drift", subject="origin_weather.wind_speed", observed=0.41, threshold=0.2, window=(NOW_US - DAY_US, NOW_US)),
    ),
    runbook="docs/runbooks/flight-delay.md",
)

DIAGNOSIS = views.DiagnosisView(
    endpoint="flight-delay",
    at_us=NOW_US,
    causes=(
        Cause(
            kind="late_feed",
            subject="weather",
            score=0.92,
            evidence=("newest row is 7 h 30 min old, SLA 2 h", "only columns of origin_weather drift"),
            lever="lever disable-feature flight-delay origin_weather.*",
        ),
        Cause(
            kind="label_shift",
            subject="late",
            score=0.11,
            evidence=("label rate 0.24 → 0.27",),
            lever="lever train flight-delay",
        ),
    ),
    sentence="Most likely the weather feed: it is late, and only columns that come from it drift.",
)


def monitor() -> views.MonitorView:
    seeded = np.random.default_rng(7)
    days = [NOW_US - (21 - index) * DAY_US for index in range(21)]
    columns = ("distance", "origin_delay_2h", "wind_speed", "visib", "temp")
    windows = []
    for index, day in enumerate(days):
        for column in columns:
            frozen = column in ("wind_speed", "visib", "temp") and index > 18
            distance = float(abs(seeded.normal(0.06, 0.03))) + (0.35 if frozen else 0.0)
            windows.append(
                {
                    "from_us": day,
                    "to_us": day + DAY_US,
                    "column": column,
                    "distance": distance,
                    "threshold": 0.2,
                    "alarm": distance > 0.2,
                    "rows": 820,
                }
            )
    return views.MonitorView(
        endpoint="flight-delay",
        version="flight-delay@v2",
        windows=tuple(windows),
        columns=tuple({"name": c, "distance": 0.4 if c == "wind_speed" else 0.06, "threshold": 0.2, "missing": 0.0} for c in columns),
        performance=tuple(
            {"from_us": d, "to_us": d + DAY_US, "roc_auc": 0.67 + 0.01 * math.sin(i), "log_loss": 0.46, "label_rate": 0.24, "n": 800}
            for i, d in enumerate(days)
        ),
        freshness=(
            Freshness(
                view="origin_weather",
                source="weather",
                newest_event_us=NOW_US - 8 * HOUR_US,
                newest_arrival_us=NOW_US - 7 * HOUR_US,
                checked_at_us=NOW_US,
                lag_us=7 * HOUR_US,
                sla_us=2 * HOUR_US,
                late=True,
            ),
        ),
        served=52_110,
        logged=52_110,
        dropped=0,
        labels=41_200,
        budget={"alarms_per_month": 1.0, "spent": 1},
    )


def snapshot(dataset: str) -> Snapshot:
    return Snapshot(
        dataset=dataset,
        digest=digest(dataset),
        rows=26_115,
        bytes=1_204_221,
        columns={"origin": "string", "temp": "double"},
        contract=dataset,
        contract_version="1.0.0",
        contract_digest=digest("contract"),
        report_digest=digest("report"),
        created_at_us=NOW_US - DAY_US,
        event_time_min_us=us_from_iso("2013-01-01T00:00:00Z"),
        event_time_max_us=NOW_US - 8 * HOUR_US,
    )


def ingest(dataset: str, accepted: bool) -> views.IngestView:
    results = (
        RuleResult(
            rule="type",
            column="temp",
            severity="refuse",
            passed=accepted,
            failing_rows=0 if accepted else 14,
            checked_rows=26_115,
            expected="double",
            examples=() if accepted else ("warm",),
        ),
        RuleResult(
            rule="not_null", column="origin", severity="refuse", passed=True, failing_rows=0, checked_rows=26_115, expected="a value"
        ),
    )
    return views.IngestView(
        dataset=dataset,
        accepted=accepted,
        report=ContractReport(
            dataset=dataset,
            contract=dataset,
            contract_version="1.0.0",
            rows=26_115,
            accepted=accepted,
            results=results,
            checked_at_us=NOW_US,
        ),
        snapshot=snapshot(dataset) if accepted else None,
        quarantine="" if accepted else digest("bad"),
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


def run(status: str = "succeeded") -> views.RunView:
    steps = tuple(
        views.StepView(name=name, status="done" if status == "succeeded" else "pending", seconds=1.2, attempts=1)
        for name in ("training set", "fit", "package", "evaluate", "register")
    )
    return views.RunView(
        id="run-0002",
        model="flight-delay",
        status=status,  # type: ignore[arg-type]
        started_by="mei",
        started_at_us=NOW_US - DAY_US,
        window=("2013-01-01T00:00:00Z", "2013-05-01T00:00:00Z"),
        steps=steps,
        version="flight-delay@v2" if status == "succeeded" else "",
    )


def audit(seq: int) -> views.AuditView:
    actions = (
        ("Release.Apply", "release/rel-0004", "flight-delay@v3 to prod/flight-delay"),
        ("Release.Approve", "plan/4f2a", "approved: evidence read"),
        ("Training.Register", "model_version/flight-delay/000003", "flight-delay@v3"),
        ("Data.Ingest", "dataset/weather", "26,115 rows"),
    )
    action, resource, summary = actions[seq % len(actions)]
    return views.AuditView(
        seq=seq,
        at_us=NOW_US - (60 - seq) * 600_000_000,
        recorded_at_us=NOW_US,
        actor=("mei", "ana", "platform")[seq % 3],
        action=action,
        resource=resource,
        policy_ids=("policy0",),
        hash=digest(f"entry{seq}"),
        summary=summary,
    )


LINEAGE = graph_of(
    [
        Node(id="column/weather.temp", kind="column", name="weather.temp", group="weather", owner="met", team="flights", note="float64"),
        Node(id="feature/origin_weather.temp", kind="feature", name="origin_weather.temp", group="origin_weather", owner="met"),
        Node(id="version/flight-delay@v2", kind="version", name="flight-delay@v2", group="flight-delay", owner="flight-operations"),
        Node(id="model/flight-delay", kind="model", name="flight-delay", group="flight-delay", owner="flight-operations"),
        Node(id="endpoint/prod/flight-delay", kind="endpoint", name="prod/flight-delay", group="prod/flight-delay"),
    ],
    [
        Edge(source="column/weather.temp", target="feature/origin_weather.temp", role="expression", how="temp"),
        Edge(source="feature/origin_weather.temp", target="version/flight-delay@v2", role="input", column="temp"),
        Edge(source="feature/origin_weather.temp", target="model/flight-delay", role="input"),
        Edge(source="version/flight-delay@v2", target="endpoint/prod/flight-delay", role="serves", how="live 100 %", weight=100.0),
    ],
)


def lineage(thing: str, focus: tuple[str, ...], at_us: int) -> views.LineageView:
    part = LINEAGE.around(focus)
    return views.LineageView(thing=thing, at_us=at_us, focus=focus, nodes=tuple(part.nodes.values()), edges=part.edges)


def feature_detail(name: str) -> views.FeatureDetailView:
    """A week of hourly materialisations, three of them missed, and values from a fixed seed."""
    seeded = np.random.default_rng(7)
    wind = pl.Series(np.where(seeded.random(4_000) < 0.03, np.nan, seeded.gamma(3.0, 4.0, 4_000))).fill_nan(None)
    ages = tuple(
        AgePoint(at_us=NOW_US - hour * HOUR_US, watermark_us=NOW_US - hour * HOUR_US - 20 * MINUTE_US)
        for hour in range(48, 0, -1)
        if hour not in (20, 21, 22)
    )
    view = msgspec.structs.replace(WEATHER, name=name)
    source = pl.LazyFrame(
        {"origin": ["JFK"] * 4_000, "observed_at": range(4_000), "known_at": range(4_000), "wind_speed": wind, "visib": wind}
    )
    return views.FeatureDetailView(
        view=view,
        version=digest("w"),
        team="flights",
        contract_version="1.0.0",
        snapshot=digest("weather1"),
        freshness=monitor().freshness[0],
        store_version=digest("w"),
        ages=ages,
        services=("delay_inputs",),
        models=("flight-delay",),
        endpoints=(
            EndpointReader(
                endpoint="prod/flight-delay", version="flight-delay@v2", view_version=digest("w"), features=("wind_speed",), current=True
            ),
            EndpointReader(
                endpoint="prod/flight-delay", version="flight-delay@v3", view_version=digest("v"), features=("wind_speed",), current=False
            ),
        ),
        distributions=distributions(view, source, hidden=("visib",)),
        in_time_share=0.972,
        jobs=(job(),),
        parity=(parity(),),
    )


WEBHOOK = views.WebhookView(
    name="ops-chat",
    host="https://hooks.example.com/…",
    types=("release.*", "alert.*"),
    by="olga",
    at_us=NOW_US - DAY_US,
    read_seq=55,
    behind=3,
    waiting=1,
    dead=1,
    said="HTTP 500",
    letters=(views.DeadLetter(id="audit-41", type="leverframe.release.held", queued_us=NOW_US - HOUR_US, attempts=14, said="HTTP 500"),),
)


def job() -> JobRecord:
    return JobRecord(
        id="mat-0001",
        view="origin_weather",
        view_version=digest("w"),
        source="weather",
        mode="incremental",
        snapshot=digest("weather"),
        from_us=0,
        to_us=NOW_US,
        started_by="ana",
        started_at_us=NOW_US,
        status="done",
        partitions=1,
        partitions_done=1,
        rows=1_000,
        bytes=500,
        seconds=0.5,
        cpu_seconds=0.4,
        price=0.00001,
        entities=3,
        watermark_us=NOW_US,
        finished_at_us=NOW_US,
    )


def parity() -> views.ParityView:
    skew = SkewExample(prediction="p-1", asked_at_us=NOW_US, served=12.0, offline=None)
    found = ParityRecord(
        view="origin_weather",
        view_version=digest("w"),
        endpoint="flight-delay",
        version="flight-delay@v2",
        at_us=NOW_US,
        questions=400,
        features=(
            FeatureVerdict(feature="wind_speed", cells=400, equal=390, late=6, answer="fail", examples=(skew,)),
            FeatureVerdict(feature="visib", cells=400, equal=400, late=0, answer="pass"),
        ),
    )
    return views.ParityView(found=found, answer=found.answer)


def contract_detail(dataset: str, deliveries: tuple[views.IngestView, ...]) -> ContractDetailView:
    contract = msgspec.structs.replace(WEATHER_CONTRACT, dataset=dataset)
    named = ("feature origin_weather.wind_speed", "service delay_inputs", "model flight-delay", "endpoint prod/flight-delay")
    step = ContractStep(version="0.9.0", at_us=NOW_US - HOUR_US, actor="ana", seq=3, change="first")
    gone = Fault(where="pressure", what="readers lose the column", expected="float64", got="absent")
    later = ContractStep(version="1.0.0", at_us=NOW_US, actor="ana", seq=4, change="breaking", breaks=(gone,), columns_added=("visib",))
    return ContractDetailView(
        contract=contract,
        in_force_since_us=NOW_US,
        rules=tuple(standings(contract, deliveries)),
        readers={"temp": ("view origin_weather",), "origin": ("view origin_weather", "model flight-delay")},
        consumers=tuple(Consumer(name=name, through="temp") for name in named),
        steps=(later, step),
        deliveries=deliveries,
        snapshots=(SnapshotView(snapshot=snapshot(dataset), latest=True, used_by=("version flight-delay@v1",)),),
        snapshots_total=3,
        newest_us=NOW_US - HOUR_US,
        now_us=NOW_US,
    )
