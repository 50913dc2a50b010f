"""The pages of endpoints: all of them, and one with its past, its levers and how to ask it."""

from typing import Any

from leverframe.apps.console.door import Page, Visit
from leverframe.apps.console.endpoint_words import fallback_chain, freeze_words, objective_words, quota_words
from leverframe.apps.console.live_strip import live_strip
from leverframe.apps.console.snippets import snippets
from leverframe.apps.platform.views import EndpointView
from leverframe.apps.web.ask import example_of
from leverframe.apps.web.levers import LEVERS, SPANS_US
from leverframe.apps.web.rules import rule_text
from leverframe.core.errors import LeverframeError, NotFound
from leverframe.core.schema import RequestField


def endpoints(visit: Visit) -> dict[str, Any]:
    """Every endpoint."""
    return {"endpoints": visit.platform.release.endpoints()}


def _endpoint(visit: Visit) -> EndpointView:
    environment, name = visit.path["environment"], visit.path["endpoint"]
    for shown in visit.platform.release.endpoints():
        if shown.environment == environment and shown.endpoint.name == name:
            return shown
    raise NotFound("there is no such endpoint", where=f"{environment}/{name}", next_step="lever status")


def endpoint(visit: Visit) -> dict[str, Any]:
    """One endpoint: desired and running, its levers and its timeline."""
    shown = _endpoint(visit)
    at_us, known_us = (visit.moment(name) for name in ("at", "known"))
    history = visit.platform.history.of(shown.environment, shown.endpoint.name, at_us, known_us)
    whole = visit.platform.history.of(shown.environment, shown.endpoint.name) if at_us is not None else history
    facts = {
        "shown": shown,
        "history": history,
        "levers": LEVERS,
        "spans": tuple(SPANS_US),
        "strip": live_strip(whole, visit.platform.now_us()),
    } | {name: visit.query.get(name, "").strip() for name in ("at", "known")}
    return facts | {"objectives": _objectives(visit, shown)} | _how_it_runs(shown) | _how_to_ask(visit, shown)


def _objectives(visit: Visit, shown: EndpointView) -> list[tuple[str, str]]:
    """What it promises; of another environment's endpoints nothing is counted here."""
    try:
        found = visit.platform.objectives.objectives(shown.endpoint.name)
    except NotFound:
        return []
    return objective_words(found) if found.environment == shown.environment else []


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


PAGES: tuple[Page, ...] = (
    Page(path="/endpoints", permission="Release.Read", template="endpoints.html", facts=endpoints),
    Page(
        path="/endpoints/{environment}/{endpoint}",
        permission="Release.Read",
        template="endpoint.html",
        facts=endpoint,
        resource="endpoint/{environment}/{endpoint}",
    ),
)
