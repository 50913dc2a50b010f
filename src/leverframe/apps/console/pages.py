"""What each page shows; a page is one read of the platform and one template."""

from itertools import groupby
from typing import Any

from leverframe.apps.console.charts import calibration_chart, interval_chart
from leverframe.apps.console.door import Page, Visit
from leverframe.apps.console.endpoint_words import fallback_chain, freeze_words, quota_words
from leverframe.apps.console.monitor_rows import drift_rows, feed_rows, performance_charts
from leverframe.apps.console.plan_words import RULE_COLUMNS, STAGE_COLUMNS, plan_sheet
from leverframe.apps.console.snippets import snippets
from leverframe.apps.platform.views import EndpointView, IntervalPoint, ReleaseView
from leverframe.apps.web.ask import example_of
from leverframe.apps.web.levers import LEVERS
from leverframe.apps.web.rules import rule_text
from leverframe.core.clock import us_from_iso
from leverframe.core.digest import check_digest
from leverframe.core.errors import InvalidInput, LeverframeError, NotFound
from leverframe.core.schema import RequestField

AUDIT_ROWS = 100


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
    return {"shown": shown, "calibration": chart}


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
    return {"release": shown, "charts": interval_charts(shown.intervals)}


def plans(visit: Visit) -> dict[str, Any]:
    """Plans that wait for someone, then the others."""
    found = sorted(visit.platform.release.plans(), key=lambda p: not p.missing)
    return {"plans": [(shown, plan_sheet(shown)) for shown in found]}


def plan(visit: Visit) -> dict[str, Any]:
    """One plan: exactly what will happen."""
    shown = visit.platform.release.plan_of(check_digest(visit.path["digest"]))
    return {"plan": shown, "sheet": plan_sheet(shown), "stage_columns": STAGE_COLUMNS, "rule_columns": RULE_COLUMNS}


def endpoints(visit: Visit) -> dict[str, Any]:
    """Every endpoint."""
    return {"endpoints": visit.platform.release.endpoints()}


def _endpoint(visit: Visit) -> EndpointView:
    environment, name = visit.path["environment"], visit.path["endpoint"]
    for shown in visit.platform.release.endpoints():
        if shown.environment == environment and shown.endpoint.name == name:
            return shown
    raise NotFound("there is no such endpoint", where=f"{environment}/{name}", next_step="lever status")


def _moment(visit: Visit, name: str) -> int | None:
    typed = visit.query.get(name, "").strip()
    try:
        return us_from_iso(typed) if typed else None
    except ValueError as exc:
        raise InvalidInput("not a moment", where=name, expected="2013-05-01T12:00:00Z", got=typed[:40]) from exc


def endpoint(visit: Visit) -> dict[str, Any]:
    """One endpoint: desired and running, its levers and its timeline."""
    shown = _endpoint(visit)
    at_us, known_us = (_moment(visit, name) for name in ("at", "known"))
    history = visit.platform.history.of(shown.environment, shown.endpoint.name, at_us, known_us)
    facts = {"shown": shown, "history": history, "levers": LEVERS} | {name: visit.query.get(name, "").strip() for name in ("at", "known")}
    return facts | _how_it_runs(shown) | _how_to_ask(visit, shown)


def _how_it_runs(shown: EndpointView) -> dict[str, Any]:
    return {
        "chain": fallback_chain(shown),
        "quota": quota_words(shown.endpoint.quota),
        "freeze": freeze_words(shown.freeze) if shown.freeze else "",
        "rules": "\n".join(rule_text(rule) for rule in shown.endpoint.fallback.rules),
    }


def _how_to_ask(visit: Visit, shown: EndpointView) -> dict[str, Any]:
    """Programs and the form that ask this model; a model whose bundle cannot be opened leaves the page without them, not without levers."""
    serving, name = visit.platform.serving, shown.endpoint.name
    try:
        fields = serving.fields(shown.environment, name)
    except LeverframeError:
        fields = ()
    tried = visit.session.tried.get(f"{shown.environment}/{name}") if visit.query.get("tried") else None
    return {
        "fields": [(field, tried["row"].get(field.name, "") if tried else _typed_example(field)) for field in fields],
        "snippets": snippets(serving.address, name, fields, grpc=serving.grpc_address) if fields else (),
        "answer": tried["answer"] if tried else None,
        "several": tried["rows"] if tried else "",
    }


def _typed_example(field: RequestField) -> object:
    """What the form shows in a field; a vector as its numbers."""
    return example_of(field) if field.width == 1 else ", ".join([str(example_of(field))] * field.width)


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


def dataset(visit: Visit) -> dict[str, Any]:
    """One dataset: what became of each file."""
    name = visit.path["dataset"]
    shown = next((d for d in visit.platform.data.datasets() if d.name == name), None)
    if shown is None:
        raise NotFound("there is no such dataset", where=name, next_step="lever data list")
    return {"dataset": shown, "reports": visit.platform.data.reports(name), "streams": visit.platform.streams.streams(name)}


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
    Page(path="/runs/{run_id}", permission="Training.Read", template="run.html", facts=run, resource="run/{run_id}"),
    Page(path="/releases", permission="Release.Read", template="releases.html", facts=releases),
    Page(path="/releases/{release_id}", permission="Release.Read", template="release.html", facts=release, resource="release/{release_id}"),
    Page(path="/plans", permission="Release.Read", template="plans.html", facts=plans),
    Page(path="/plans/{digest}", permission="Release.Read", template="plan.html", facts=plan, resource="plan/{digest}"),
    Page(path="/endpoints", permission="Release.Read", template="endpoints.html", facts=endpoints),
    Page(
        path="/endpoints/{environment}/{endpoint}",
        permission="Release.Read",
        template="endpoint.html",
        facts=endpoint,
        resource="endpoint/{environment}/{endpoint}",
    ),
    Page(path="/monitor", permission="Monitoring.Read", template="monitors.html", facts=monitors),
    Page(path="/monitor/{endpoint}", permission="Monitoring.Read", template="monitor.html", facts=monitor, resource="endpoint/{endpoint}"),
    Page(path="/data", permission="Data.Read", template="data.html", facts=data),
    Page(path="/data/{dataset}", permission="Data.Read", template="dataset.html", facts=dataset, resource="dataset/{dataset}"),
    Page(path="/audit", permission="Audit.Read", template="audit.html", facts=audit),
    Page(path="/doctor", permission="Platform.Read", template="doctor.html", facts=doctor),
)
