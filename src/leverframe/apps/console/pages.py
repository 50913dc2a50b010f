"""What each page shows; a page is one read of the platform and one template."""

from itertools import groupby
from typing import Any

from leverframe.apps.console.charts import calibration_chart, interval_chart
from leverframe.apps.console.door import Page, Visit
from leverframe.apps.console.monitor_rows import drift_rows, feed_rows, performance_charts
from leverframe.apps.console.pages_requirements import requirement_facts
from leverframe.apps.console.plan_words import RULE_COLUMNS, STAGE_COLUMNS, plan_sheet
from leverframe.apps.platform.views import IntervalPoint, ReleaseView
from leverframe.core.digest import check_digest
from leverframe.core.errors import NotFound

AUDIT_ROWS = 100
OTHERS_MAX = 12
"""Versions that a version's page offers to compare with."""
SECTION_WORDS = {
    "gates": "Gates",
    "request": "Request fields",
    "columns": "Input columns",
    "outputs": "Outputs",
    "features": "Feature views",
    "data": "Data",
    "code": "Code and parameters",
    "environment": "Environment",
}


def overview(visit: Visit) -> dict[str, Any]:
    """Is everything all right? What changed? What needs me?"""
    return {"status": visit.platform.status()}


def models(visit: Visit) -> dict[str, Any]:
    """Every model with its newest versions."""
    training = visit.platform.training
    return {"models": [(spec, sorted(training.versions(spec.name), key=lambda v: -v.number)) for spec in training.models()]}


def model(visit: Visit) -> dict[str, Any]:
    """One model: its spec, versions and runs."""
    training, name = visit.platform.training, visit.path["model"]
    spec = next((spec for spec in training.models() if spec.name == name), None)
    if spec is None:
        raise NotFound("there is no such model", where=name, next_step="lever models list")
    versions = sorted(training.versions(name), key=lambda v: -v.number)
    return {"spec": spec, "versions": versions, "runs": training.runs(name)}


def version(visit: Visit) -> dict[str, Any]:
    """One version with the evidence out of its bundle."""
    shown = visit.platform.training.version(visit.path["name"])
    chart = calibration_chart(shown.evaluation.calibration) if shown.evaluation.calibration else None
    others = [other.name for other in visit.platform.training.versions(shown.version.model) if other.name != shown.version.name]
    return {"shown": shown, "calibration": chart, "others": others[:OTHERS_MAX]}


def against(visit: Visit) -> dict[str, Any]:
    """A version beside another: figures, and what is not the same."""
    shown = visit.platform.training.compare(visit.path["other"], visit.path["name"])
    changes = {section: [row for row in shown.changes if row.section == section] for section in shown.same}
    return {"shown": shown, "changes": changes, "words": SECTION_WORDS}


def run(visit: Visit) -> dict[str, Any]:
    """One training run, step by step."""
    return {"run": visit.platform.training.run(visit.path["run_id"])}


def releases(visit: Visit) -> dict[str, Any]:
    """All releases, newest first."""
    found = visit.platform.release.releases(visit.query.get("endpoint", ""))
    return {"releases": sorted(found, key=lambda r: -r.started_at_us), "endpoint": visit.query.get("endpoint", "")}


def interval_charts(points: tuple[IntervalPoint, ...]) -> list[dict[str, Any]]:
    """One chart per stage and rule, in the order they happened."""
    stages = list(dict.fromkeys(point.stage for point in points))
    ordered = sorted(points, key=lambda p: (stages.index(p.stage), p.rule, p.n))
    return [
        {"stage": stage, "rule": rule, "points": looks, "chart": interval_chart(looks)}
        for (stage, rule), group in groupby(ordered, key=lambda p: (p.stage, p.rule))
        for looks in [list(group)]
    ]


def release(visit: Visit) -> dict[str, Any]:
    """One release: verdicts in words, intervals drawn, the stage log."""
    shown: ReleaseView = visit.platform.release.release(visit.path["release_id"])
    watched = visit.platform.watching.watch(shown.id)
    charts = interval_charts(watched.intervals or shown.intervals)
    return {"release": shown, "watched": watched, "charts": charts} | requirement_facts(visit, shown.plan_digest)


def plans(visit: Visit) -> dict[str, Any]:
    """Plans that wait for someone, then the others."""
    found = sorted(visit.platform.release.plans(), key=lambda p: not p.missing)
    return {"plans": [(shown, plan_sheet(shown)) for shown in found]}


def plan(visit: Visit) -> dict[str, Any]:
    """One plan: exactly what will happen."""
    shown = visit.platform.release.plan_of(check_digest(visit.path["digest"]))
    columns = {"stage_columns": STAGE_COLUMNS, "rule_columns": RULE_COLUMNS}
    unmet = tuple(each.rule for each in shown.requirements if not each.holds)
    return {"plan": shown, "sheet": plan_sheet(shown)} | columns | requirement_facts(visit, shown.digest, unmet)


def monitors(visit: Visit) -> dict[str, Any]:
    """Alerts and the endpoints under watch."""
    return {"alerts": visit.platform.monitoring.alerts(), "endpoints": visit.platform.release.endpoints()}


def monitor(visit: Visit) -> dict[str, Any]:
    """One endpoint: drift, performance, feeds, log totals, alerts and causes."""
    monitoring, name = visit.platform.monitoring, visit.path["endpoint"]
    shown = monitoring.monitor(name)
    return {
        "shown": shown,
        "drift": drift_rows(shown),
        "performance": performance_charts(shown, visit.platform.now_us()),
        "feeds": feed_rows(shown),
        "alerts": [alert for alert in monitoring.alerts() if alert.endpoint == name],
        "diagnosis": monitoring.diagnose(name),
    }


def data(visit: Visit) -> dict[str, Any]:
    """Every dataset."""
    return {"datasets": visit.platform.data.datasets()}


def audit(visit: Visit) -> dict[str, Any]:
    """The record, and whether it holds."""
    after = visit.query.get("after", "")
    start = int(after) if after.isdigit() and len(after) < 19 else 0
    platform = visit.platform
    entries = platform.audit.entries(after=start, limit=AUDIT_ROWS, newest_first=not start)
    verified = platform.audit.verify() if visit.query.get("verify") == "1" else None
    return {"entries": entries, "verified": verified, "after": start, "rows_max": AUDIT_ROWS}


def doctor(visit: Visit) -> dict[str, Any]:
    """Every health check."""
    return {"checks": visit.platform.doctor()}


PAGES: tuple[Page, ...] = (
    Page(path="/", permission="Platform.Read", template="overview.html", facts=overview),
    Page(path="/models", permission="Training.Read", template="models.html", facts=models),
    Page(path="/models/{model}", permission="Training.Read", template="model.html", facts=model, resource="model/{model}"),
    Page(path="/versions/{name}", permission="Training.Read", template="version.html", facts=version, resource="model_version/{name}"),
    Page(
        path="/versions/{name}/against/{other}",
        permission="Training.Read",
        template="against.html",
        facts=against,
        resource="model_version/{name}",
    ),
    Page(path="/runs/{run_id}", permission="Training.Read", template="run.html", facts=run, resource="run/{run_id}"),
    Page(path="/releases", permission="Release.Read", template="releases.html", facts=releases),
    Page(path="/releases/{release_id}", permission="Release.Read", template="release.html", facts=release, resource="release/{release_id}"),
    Page(path="/plans", permission="Release.Read", template="plans.html", facts=plans),
    Page(path="/plans/{digest}", permission="Release.Read", template="plan.html", facts=plan, resource="plan/{digest}"),
    Page(path="/monitor", permission="Monitoring.Read", template="monitors.html", facts=monitors),
    Page(path="/monitor/{endpoint}", permission="Monitoring.Read", template="monitor.html", facts=monitor, resource="endpoint/{endpoint}"),
    Page(path="/data", permission="Data.Read", template="data.html", facts=data),
    Page(path="/audit", permission="Audit.Read", template="audit.html", facts=audit),
    Page(path="/doctor", permission="Platform.Read", template="doctor.html", facts=doctor),
)
