"""The page of one dataset: what its contract promises, how that fared, who relies on it, how it changed, what was refused."""

from typing import Any
from urllib.parse import quote

from leverframe.apps.console.contract_charts import age_bar, rows_chart, trend
from leverframe.apps.console.door import Page, Visit
from leverframe.apps.platform.views.contract import ContractDetailView, RuleStanding

KINDS = {"feature": "features", "service": "services", "model": "models", "endpoint": "endpoints"}


def dataset(visit: Visit) -> dict[str, Any]:
    """One dataset, as the person who answers for it wants to see it."""
    name = visit.path["dataset"]
    shown: ContractDetailView = visit.platform.contract_details.dataset(name)
    accepted = [each for each in shown.deliveries if each.accepted]
    return {
        "shown": shown,
        "last": shown.deliveries[0] if shown.deliveries else None,
        "refused": [each for each in shown.deliveries if not each.accepted],
        "broken": [each for each in shown.rules if each.last is not None and not each.last.passed],
        "groups": _by_column(shown.rules),
        "consumers": _consumers(shown),
        "described": {column.name: column for column in shown.contract.columns},
        "personal": [column for column in shown.contract.columns if column.personal],
        "rows": rows_chart(shown.deliveries, shown.contract.volume) if len(accepted) > 1 else None,
        "age": age_bar(shown.age_us, shown.contract.freshness.age_max_us)
        if shown.contract.freshness and shown.age_us is not None
        else None,
        "late_us": shown.age_us - shown.contract.freshness.age_max_us if shown.contract.freshness and shown.age_us is not None else 0,
        "streams": visit.platform.streams.streams(name),
    }


def _by_column(rules: tuple[RuleStanding, ...]) -> list[tuple[str, list[tuple[RuleStanding, Any]]]]:
    """Rules with their drawing, all of a column together, those about no column last."""
    found: dict[str, list[tuple[RuleStanding, Any]]] = {}
    for each in sorted(rules, key=lambda each: not each.column):
        found.setdefault(each.column, []).append((each, _trend(each)))
    return list(found.items())


def _trend(standing: RuleStanding) -> Any:
    """Drawn only where a rule was ever broken: a row of nothing tells nothing."""
    return trend(standing.shares, standing.broken, standing.words) if any(standing.shares) else None


def _consumers(shown: ContractDetailView) -> dict[str, list[tuple[str, str, tuple[str, ...]]]]:
    """Kind to name, its address, and the parts of it that read: a view once, with its features."""
    found: dict[str, dict[str, list[str]]] = {word: {} for word in KINDS}
    for consumer in shown.consumers:
        kind, _, name = consumer.name.partition(" ")
        whole, part = name.rsplit(".", 1) if kind == "feature" and "." in name else (name, "")
        found[kind].setdefault(whole, []).extend([part] if part else [])
    places = {"feature": "/features/", "service": "/services#", "model": "/models/", "endpoint": "/endpoints/"}
    return {
        KINDS[kind]: [(name, places[kind] + quote(name, safe="@:/"), tuple(parts)) for name, parts in names.items()]
        for kind, names in found.items()
    }


PAGES: tuple[Page, ...] = (
    Page(path="/data/{dataset}", permission="Data.Read", template="dataset.html", facts=dataset, resource="dataset/{dataset}"),
)
