"""Plausible alerts, monitors and entries of the record."""

import math

import numpy as np
from tests.apps.fake_records_moment import NOW_US, digest

from leverframe.apps.platform import views
from leverframe.core.alert import Alert, Cause, Signal
from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.feature import Freshness

OBJECTIVES = views.ObjectivesView(
    endpoint="flight-delay",
    environment="prod",
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
