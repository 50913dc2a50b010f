"""Plausible models, versions and runs."""

import math

import numpy as np
from tests.apps.fake_records_moment import CARRIERS, NOW_US, digest

from leverframe.apps.platform import views
from leverframe.core.clock import DAY_US
from leverframe.core.evaluation import CalibrationBin, EvaluationReport, Metric
from leverframe.core.model import Lineage, ModelSpec, ModelVersion
from leverframe.core.schema import InputColumn, RequestField, Signature
from leverframe.core.verdict import Verdict
from leverframe.training.difference import VersionFacts

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
