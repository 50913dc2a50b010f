"""Who reads a dataset's columns: features by the columns their views name, then services, models and endpoints by those features.

Only what is declared is looked at, so that it can be asked inside the transaction that changes a contract.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec
import polars as pl

from leverframe.core.feature import FeatureView
from leverframe.core.feature_service import KIND_SERVICE, FeatureService, service_columns
from leverframe.core.model import ModelSpec
from leverframe.core.route import Endpoint

_KIND_VIEW = "view"
_KIND_MODEL = "model"
_KIND_ENDPOINT = "endpoint"
EVERY_COLUMN = "*"
T = TypeVar("T", bound=msgspec.Struct)


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """One reader: ``name`` with its kind before it (``feature weather.wind``), and what it reads of what changes."""

    name: str
    through: str


@dataclass(frozen=True)
class Declared:
    """What could read a dataset. ``endpoints``: each name with the models its arms answer with."""

    views: Sequence[FeatureView]
    services: Sequence[FeatureService]
    models: Sequence[ModelSpec]
    endpoints: Sequence[tuple[str, frozenset[str]]]


class Finds(Protocol):
    """Whoever reads the ledger's records: a transaction, or the ledger itself."""

    def find(self, kind: str, type: type[T]) -> list[T]:
        """All current records of ``kind``."""
        ...


def declared(ledger: Finds) -> Declared:
    """Everyone the ledger knows."""
    return Declared(
        views=ledger.find(_KIND_VIEW, FeatureView),
        services=ledger.find(KIND_SERVICE, FeatureService),
        models=ledger.find(_KIND_MODEL, ModelSpec),
        endpoints=[(e.name, frozenset(arm.version.partition("@")[0] for arm in e.arms)) for e in ledger.find(_KIND_ENDPOINT, Endpoint)],
    )


def consumers_of(dataset: str, columns: Iterable[str], who: Declared) -> tuple[Consumer, ...]:
    """Everyone who reads one of ``columns`` of ``dataset``; ``*`` among them means any column.

    Returns
    -------
    tuple: features, services, models, endpoints, each with what it reads of the one before.
    """
    wanted = frozenset(columns)
    if not wanted:
        return ()
    found: dict[str, str] = {}
    features: set[tuple[str, str]] = set()
    for view in who.views:
        for feature in view.features if view.source == dataset else ():
            read = _touched(feature_columns(view, feature), wanted)
            if read:
                features.add((view.name, feature))
                found[f"feature {view.name}.{feature}"] = ", ".join(f"{dataset}.{name}" for name in read)
    for service in who.services:
        taken = [f"{f.view}.{f.feature}" for f in service.features if (f.view, f.feature) in features]
        if taken:
            found[f"service {service.name}"] = ", ".join(taken)
    services = {service.name: service for service in who.services}
    models: set[str] = set()
    for model in who.models:
        inputs = service_columns(model, services[model.service]) if model.service in services else model.columns
        taken = [f"{c.view}.{c.feature}" for c in inputs if c.source == "view" and (c.view, c.feature) in features]
        rows = _touched(model_columns(model), wanted) if model.dataset == dataset else ()
        if taken or rows:
            models.add(model.name)
            found[f"model {model.name}"] = ", ".join((*taken, *(f"{dataset}.{name}" for name in rows)))
    for endpoint, answering in who.endpoints:
        reached = sorted(models.intersection(answering))
        if reached:
            found[f"endpoint {endpoint}"] = ", ".join(reached)
    return tuple(Consumer(name=name, through=through) for name, through in found.items())


def _touched(read: frozenset[str], wanted: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(read if EVERY_COLUMN in wanted else read & wanted))


def feature_columns(view: FeatureView, feature: str) -> frozenset[str]:
    """The source columns that ``feature`` of ``view`` is computed from, keys and moments included.

    >>> view = FeatureView(name="w", source="s", entity=("origin",), event_time="at", arrival_time="known", where="ok")
    >>> sorted(feature_columns(view, "wind"))
    ['at', 'known', 'ok', 'origin']
    """
    read = {*view.entity, view.event_time, view.arrival_time, *sql_columns(view.where)}
    for expression in view.expressions:
        if expression.name == feature:
            read |= sql_columns(expression.sql)
    for aggregate in view.aggregates:
        if aggregate.name == feature:
            read |= {aggregate.column, view.row_key, *sql_columns(aggregate.condition)}
    return frozenset(read - {""})


def model_columns(model: ModelSpec) -> frozenset[str]:
    """The columns of its own dataset that a model reads: request fields, label, moments and prepared expressions."""
    fields = {field.name for field in model.request}
    prepared = {name for sql in model.prepare.values() for name in sql_columns(sql)}
    return frozenset({*fields, *prepared, model.label, model.asked_at, model.label_known_at} - {""})


def sql_columns(sql: str) -> frozenset[str]:
    """The columns that a row expression names; none where it cannot be read."""
    if not sql.strip():
        return frozenset()
    try:
        return frozenset(pl.sql_expr(sql).meta.root_names())
    except pl.exceptions.PolarsError:
        return frozenset()
