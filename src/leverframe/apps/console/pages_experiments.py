"""Pages of experiments: all of them, one with its read-out, its report, and a plan that waits."""

from typing import Any
from urllib.parse import quote

from leverframe.apps.console.charts import interval_chart
from leverframe.apps.console.door import Form, Page, Visit
from leverframe.apps.console.experiment_charts import Gain, gains_chart
from leverframe.apps.console.experiment_words import (
    ARM_COLUMNS,
    METRICS,
    OUTCOMES,
    SEGMENT_COLUMNS,
    arm_rows,
    plan_facts,
    report_markdown,
    segment_rows,
)
from leverframe.apps.console.pages import interval_charts
from leverframe.apps.platform.views.experiments import ExperimentView
from leverframe.core.digest import check_digest
from leverframe.release.experiments.readout import Readout

BADGES = {"": "busy", "winner": "good", "harm": "bad", "mismatch": "bad", "worse": "warn", "interrupted": "warn"}


def experiments(visit: Visit) -> dict[str, Any]:
    """All experiments, newest first, and the plans that wait."""
    endpoint = visit.query.get("endpoint", "")
    held = visit.platform.experiments
    return {"experiments": held.experiments(endpoint), "plans": held.plans(), "endpoint": endpoint, "outcomes": OUTCOMES, "badges": BADGES}


def experiment(visit: Visit) -> dict[str, Any]:
    """One experiment: the split of callers before anything else, then gains, guardrails and segments."""
    shown = visit.platform.experiments.experiment(visit.path["experiment_id"])
    readout = shown.readout
    return {
        "shown": shown,
        "readout": readout,
        "outcomes": OUTCOMES,
        "badges": BADGES,
        "metric": METRICS[shown.metric],
        "shares": _shares(shown, readout) if readout is not None else [],
        "arm_columns": ARM_COLUMNS,
        "arms": arm_rows(readout, shown.shares, over=bool(shown.outcome)) if readout is not None else [],
        "gains": _gains(shown, readout) if readout is not None and not readout.hidden else "",
        "charts": [] if readout is not None and readout.hidden else _gain_paths(shown),
        "guards": interval_charts(tuple(point for point in shown.intervals if point.rule != shown.metric)),
        "segment_columns": SEGMENT_COLUMNS,
        "segments": segment_rows(readout) if readout is not None else [],
        "segment_gains": _segment_gains(shown, readout) if readout is not None and readout.segments else "",
    }


def _gain_paths(shown: ExperimentView) -> list[dict[str, Any]]:
    paths = []
    for version in shown.versions[1:]:
        looks = [point for point in shown.intervals if (point.rule, point.stage) == (shown.metric, version)]
        if looks:
            chart = interval_chart(looks, y_label="gain over the control", margin_word="matters from")
            paths.append({"stage": version, "points": looks, "chart": chart})
    return paths


def _shares(shown: ExperimentView, readout: Readout) -> list[tuple[str, float, float, int]]:
    """Version, planned and seen share in percent, callers."""
    total = sum(arm.keys for arm in readout.arms) or 1
    return [(arm.version, 100.0 * share, 100.0 * arm.keys / total, arm.keys) for arm, share in zip(readout.arms, shown.shares, strict=True)]


def _gains(shown: ExperimentView, readout: Readout) -> str:
    lines = [Gain(label=a.version, gain=a.gain, low=a.low, high=a.high, stands=bool(a.standing)) for a in readout.arms[1:]]
    return gains_chart(lines, shown.effect, f"gains in {METRICS[shown.metric]} with their intervals")


def _segment_gains(shown: ExperimentView, readout: Readout) -> str:
    several = len(shown.versions) > 2
    read = sorted((segment for segment in readout.segments if segment.gain is not None), key=lambda segment: -segment.keys)
    if not read:
        return "No segment has enough callers in both arms yet."
    lines = [
        Gain(label=f"{s.column} = {s.value}" + (f", {s.version}" if several else ""), gain=s.gain, low=s.low, high=s.high, stands=s.stands)
        for s in read
    ]
    return gains_chart(lines, shown.effect, "gains by segment with their intervals")


def experiment_report(visit: Visit) -> dict[str, Any]:
    """The final report as it was filed; with ``again`` in the address it is computed from the log once more."""
    again = visit.query.get("again") == "1"
    shown = visit.platform.experiments.report(visit.path["experiment_id"], again=again)
    return {"shown": shown, "text": report_markdown(shown), "again": again}


def experiment_plan(visit: Visit) -> dict[str, Any]:
    """One plan that waits, with how long it will take."""
    shown = visit.platform.experiments.plan_of(check_digest(visit.path["digest"]))
    return {"plan": shown, "facts": plan_facts(shown)}


def approve(visit: Visit) -> str:
    """Approve exactly the experiment whose digest is in the address."""
    digest = visit.confirmed_digest()
    visit.platform.experiments.approve(visit.actor, digest, note=visit.note(), key=visit.key)
    return f"/experiment-plans/{digest}?done=approved"


def start(visit: Visit) -> str:
    """Start an approved experiment."""
    digest = visit.confirmed_digest()
    started = visit.platform.experiments.start(visit.actor, digest, key=visit.key)
    return f"/experiments/{quote(started.id)}?done=experiment-started"


def stop(visit: Visit) -> str:
    """End an experiment."""
    id = visit.path["experiment_id"]
    visit.confirm(id)
    visit.platform.experiments.stop(visit.actor, id, reason=visit.reason(), key=visit.key)
    return f"/experiments/{quote(id)}?done=experiment-stopped"


PAGES: tuple[Page, ...] = (
    Page(path="/experiments", permission="Release.Read", template="experiments.html", facts=experiments),
    Page(
        path="/experiments/{experiment_id}",
        permission="Release.Read",
        template="experiment.html",
        facts=experiment,
        resource="experiment/{experiment_id}",
    ),
    Page(
        path="/experiments/{experiment_id}/report",
        permission="Release.Read",
        template="experiment_report.html",
        facts=experiment_report,
        resource="experiment/{experiment_id}",
    ),
    Page(
        path="/experiment-plans/{digest}",
        permission="Release.Read",
        template="experiment_plan.html",
        facts=experiment_plan,
        resource="experiment_plan/{digest}",
    ),
)
FORMS: tuple[Form, ...] = (
    Form(path="/experiment-plans/{digest}/approve", permission="Release.Approve", run=approve),
    Form(path="/experiment-plans/{digest}/start", permission="Experiment.Start", run=start),
    Form(path="/experiments/{experiment_id}/stop", permission="Experiment.Stop", run=stop),
)
