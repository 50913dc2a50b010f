"""The pages of features: all views, one view, the services that models take."""

from typing import Any

from leverframe.apps.console.door import Page, Visit
from leverframe.apps.console.feature_charts import age_chart, histogram
from leverframe.apps.console.words import duration
from leverframe.apps.platform.views import FeatureDetailView
from leverframe.core.feature import Aggregate
from leverframe.core.feature_page import FeatureDistribution


def features(visit: Visit) -> dict[str, Any]:
    """Every feature view, and what else is declared beside them."""
    services = visit.platform.services
    return {"views": visit.platform.features.views(), "services": services.services(), "entities": services.entities()}


def feature(visit: Visit) -> dict[str, Any]:
    """One view: what it is, how old it is, how its values lie, whether they were served as computed, who reads it."""
    shown: FeatureDetailView = visit.platform.details.view(visit.path["view"])
    seen = {d.feature: d for d in shown.distributions}
    made = [(e.name, e.sql, e.description, True) for e in shown.view.expressions]
    made += [(a.name, aggregate_words(a), a.description, False) for a in shown.view.aggregates]
    return {
        "shown": shown,
        "features": [
            {
                "name": name,
                "sql": sql,
                "is": text,
                "means": means,
                "seen": seen.get(name),
                "chart": _chart(seen.get(name)),
                "parity": _worst(shown, name),
            }
            for name, text, means, sql in made
        ],
        "ages": age_chart(shown.ages, shown.view.freshness_sla_us, visit.platform.now_us()) if len(shown.ages) > 1 else None,
    }


def aggregate_words(aggregate: Aggregate) -> str:
    """``mean of dep_delay over 2 h``."""
    column = f" of {aggregate.column}" if aggregate.column else ""
    return f"{aggregate.function}{column} over {duration(aggregate.window_us)}"


def _worst(shown: FeatureDetailView, feature: str) -> str:
    """The worst verdict on what was served of a feature, at any endpoint; empty: nothing was compared."""
    answers = {verdict.answer for each in shown.parity for verdict in each.found.features if verdict.feature == feature}
    return next((answer for answer in ("fail", "inconclusive", "pass") if answer in answers), "")


def _chart(seen: FeatureDistribution | None) -> Any:
    return histogram(seen) if seen is not None and seen.counts else None


def services(visit: Visit) -> dict[str, Any]:
    """Every feature service and declared entity."""
    return {"services": visit.platform.services.services(), "entities": visit.platform.services.entities()}


PAGES: tuple[Page, ...] = (
    Page(path="/features", permission="Features.Read", template="features.html", facts=features),
    Page(path="/features/{view}", permission="Features.Read", template="feature.html", facts=feature, resource="view/{view}"),
    Page(path="/services", permission="Features.Read", template="services.html", facts=services),
)
