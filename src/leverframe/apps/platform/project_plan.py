"""What applying a project would change, computed from the declarations and the state; nothing is written here."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

import msgspec

from leverframe.apps.platform.feature_services import check_view_keys
from leverframe.apps.platform.lineage_bundles import Frozen
from leverframe.apps.platform.lineage_graph import GraphBuilder
from leverframe.apps.platform.views import Declarations, ProjectStep
from leverframe.core.column_reads import reads_feature
from leverframe.core.consumers import consumers_of
from leverframe.core.errors import Fault, LeverframeError
from leverframe.core.feature import FeatureView
from leverframe.core.feature_service import Entity, FeatureService, service_version, with_service
from leverframe.core.lineage import Graph
from leverframe.core.model import ModelSpec
from leverframe.data.contract.contract_file import read_contract
from leverframe.data.contract.contracts import Contract
from leverframe.data.contract.evolution import evolve
from leverframe.features.declared.bindings import signature
from leverframe.features.declared.breaking import Break, feature_readers, service_breaks, view_losses
from leverframe.features.declared.definitions import check_view, view_version
from leverframe.features.services import check_entity, check_service
from leverframe.training.spec_check import check_spec

MODEL_WORDS = frozenset({"description", "owner", "runbook", "intended_use", "limitations"})
Change = Literal["added", "unchanged", "words", "values", "breaking"]


@dataclass(frozen=True)
class State:
    """Declarations by name, as the ledger holds them or as they would be; live endpoints by name with what their bundles froze."""

    contracts: Mapping[str, Contract]
    entities: Mapping[str, Entity]
    views: Mapping[str, FeatureView]
    services: Mapping[str, FeatureService]
    models: Mapping[str, ModelSpec]
    endpoints: Mapping[str, Frozen]


@dataclass(frozen=True)
class Compared:
    """The steps, what breaks, what would be refused, and the views whose values are new."""

    steps: tuple[ProjectStep, ...]
    breaks: tuple[Break, ...]
    faults: tuple[Fault, ...]
    behind: tuple[str, ...]
    fresh: tuple[FeatureView, ...]
    after: State


def compare(declared: Declarations, held: State) -> Compared:
    """Every declaration against the state as it is, and everyone in the state against the declarations as they would be."""
    contracts, faults = _contracts(declared.contracts)
    after = State(
        contracts={**held.contracts, **{c.name: c for c in contracts}},
        entities={**held.entities, **{e.name: e for e in declared.entities}},
        views={**held.views, **{v.name: v for v in declared.views}},
        services={**held.services, **{s.name: s for s in declared.services}},
        models={**held.models, **{m.name: m for m in declared.models}},
        endpoints=held.endpoints,
    )
    graph = cache(partial(_graph, after))
    tables = [b for c in contracts for b in _contract_breaks(held.contracts.get(c.name), c, graph)]
    views = {v.name: _view_breaks(held.views.get(v.name), v, after) for v in declared.views}
    services = {s.name: service_breaks(held.services.get(s.name), s, after.models.values()) for s in declared.services}
    lost_views = {name for name, found in views.items() if found}
    lost_services = {name for name, found in services.items() if found}
    fresh = tuple(v for v in declared.views if v.name not in held.views or view_version(held.views[v.name]) != view_version(v))
    return Compared(
        steps=tuple(_steps(declared, contracts, held, lost_views, lost_services)),
        breaks=(*tables, *(b for found in (*views.values(), *services.values()) for b in found)),
        faults=(*faults, *_refusals(contracts, held), *_faults(declared, after)),
        behind=tuple(_behind(fresh, held)),
        fresh=fresh,
        after=after,
    )


def _steps(
    declared: Declarations, contracts: Iterable[Contract], held: State, lost_views: set[str], lost_services: set[str]
) -> Iterator[ProjectStep]:
    for contract in contracts:
        yield _step("contract", contract.name, contract, held.contracts.get(contract.name), _contract_change(held, contract))
    for entity in declared.entities:
        before = held.entities.get(entity.name)
        yield _step("entity", entity.name, entity, before, _entity_change(before, entity))
    for view in declared.views:
        yield _step("feature view", view.name, view, held.views.get(view.name), _view_change(held, view, view.name in lost_views))
    for service in declared.services:
        change = _service_change(held, service, service.name in lost_services)
        yield _step("feature service", service.name, service, held.services.get(service.name), change)
    for model in declared.models:
        yield _step("model", model.name, model, held.models.get(model.name), _model_change(held.models.get(model.name), model))


def _contracts(texts: Iterable[str]) -> tuple[list[Contract], list[Fault]]:
    read, faults = [], []
    for text in texts:
        try:
            read.append(read_contract(text.encode()))
        except LeverframeError as error:
            faults += _faults_of(error, "contract")
    return read, faults


def _faults_of(error: LeverframeError, where: str) -> list[Fault]:
    """An error as lines of a plan: its single faults where it has some."""
    place = error.where or where
    several = [msgspec.structs.replace(f, where=f"{place}: {f.where}") for f in error.faults]
    return several or [Fault(where=place, what=error.what, expected=error.expected, got=error.got)]


def _refusals(contracts: Iterable[Contract], held: State) -> list[Fault]:
    found = []
    for contract in contracts:
        step = evolve(held.contracts.get(contract.name), contract)
        found += [msgspec.structs.replace(f, where=f"contract {contract.name}: {f.where}") for f in step.refusals]
    return found


def _step(
    kind: Literal["contract", "entity", "feature view", "feature service", "model"],
    name: str,
    new: msgspec.Struct,
    old: msgspec.Struct | None,
    change: Change,
) -> ProjectStep:
    fields = () if old is None else tuple(f for f in new.__struct_fields__ if getattr(new, f) != getattr(old, f))
    return ProjectStep(kind=kind, name=name, change=change, fields=fields)


def _contract_change(held: State, new: Contract) -> Change:
    kind = evolve(held.contracts.get(new.name), new).kind
    changes: dict[str, Change] = {"first": "added", "same": "unchanged", "additive": "values", "breaking": "breaking"}
    return changes[kind]


def _entity_change(old: Entity | None, new: Entity) -> Change:
    return "added" if old is None else "unchanged" if old == new else "values" if old.keys != new.keys else "words"


def _view_change(held: State, new: FeatureView, broken: bool) -> Change:
    old = held.views.get(new.name)
    if old is None or old == new:
        return "added" if old is None else "unchanged"
    return "breaking" if broken else "words" if view_version(old) == view_version(new) else "values"


def _service_change(held: State, new: FeatureService, broken: bool) -> Change:
    old = held.services.get(new.name)
    if old is None or old == new:
        return "added" if old is None else "unchanged"
    return "breaking" if broken else "words" if service_version(old) == service_version(new) else "values"


def _model_change(old: ModelSpec | None, new: ModelSpec) -> Change:
    if old is None or old == new:
        return "added" if old is None else "unchanged"
    differ = {f for f in new.__struct_fields__ if getattr(new, f) != getattr(old, f)}
    return "words" if differ <= MODEL_WORDS else "values"


def _contract_breaks(old: Contract | None, new: Contract, graph: Callable[[], Graph]) -> list[Break]:
    """What a contract's breaking step takes away, each column from those who read it through whatever lies between."""
    step = evolve(old, new)
    if old is None or not step.lost_columns:
        return []
    found = []
    for fault in step.breaks:
        lost = [fault.where] if fault.where in step.lost_columns else step.lost_columns
        readers = tuple(consumer.name for consumer in consumers_of(graph(), old.dataset, lost))
        if readers:
            found.append(Break(where=f"{new.name}.{fault.where}", what=fault.what, consumers=readers))
    return found


def _graph(after: State) -> Graph:
    """The lineage as it would be, down to the versions that answer now."""
    builder = GraphBuilder()
    builder.add_contracts(after.contracts.values())
    for view in after.views.values():
        builder.add_view(view)
    for service in after.services.values():
        builder.add_service(service)
    for model in after.models.values():
        builder.add_model(model)
    for name, frozen in after.endpoints.items():
        version = name.rpartition("(")[2].removesuffix(")")
        builder.add_version(version, frozen.spec.name, frozen)
        builder.add_answering(name, version)
    return builder.graph()


def _view_breaks(old: FeatureView | None, new: FeatureView, after: State) -> list[Break]:
    found = [(loss, _readers(new.name, loss.features, after)) for loss in view_losses(old, new)]
    return [Break(where=loss.where, what=loss.what, consumers=readers) for loss, readers in found if readers]


def _readers(view: str, features: tuple[str, ...], after: State) -> tuple[str, ...]:
    """The services, models and live endpoints that read one of ``features``."""
    serving = tuple(
        f"endpoint {name}"
        for name, bound in after.endpoints.items()
        if any(reads_feature(column, view, feature) for column in bound.signature.columns for feature in features)
    )
    return (*feature_readers(view, features, after.services, after.models.values()), *serving)


def _behind(fresh: Iterable[FeatureView], held: State) -> list[str]:
    """Live endpoints that stay on the version of a view that they are bound to; it is filled as long as they are."""
    return [
        f"endpoint {name} goes on reading the version of {view.name} before this one until a model trained on the new one is released"
        for view in fresh
        for name, bound in held.endpoints.items()
        if any(b.view == view.name and b.view_version != view_version(view) for b in bound.signature.views)
    ]


def _faults(declared: Declarations, after: State) -> list[Fault]:
    """Everything that applying would be refused for, all of it."""
    found: list[Fault] = []
    by_dataset = {contract.dataset: contract for contract in after.contracts.values()}
    for entity in declared.entities:
        found += _tried(partial(check_entity, entity), f"entity {entity.name}")
    for view in declared.views:
        where = f"view {view.name}"
        contract = by_dataset.get(view.source)
        found += _tried(partial(check_view, view), where)
        if contract is None:
            found.append(Fault(where=where, what="its source has no contract", expected=", ".join(by_dataset), got=view.source))
        else:
            found += _tried(partial(check_view_keys, list(after.entities.values()), view, contract), where)
    for service in declared.services:
        found += _tried(partial(check_service, service, list(after.views.values())), f"service {service.name}")
    for model in declared.models:
        found += _tried(partial(_check_model, model, after), f"model {model.name}")
    return found


def _check_model(model: ModelSpec, after: State) -> None:
    resolved = check_spec(with_service(model, after.services))
    signature(resolved, list(after.views.values()))


def _tried(check: Callable[[], object], where: str) -> list[Fault]:
    try:
        check()
    except LeverframeError as error:
        return _faults_of(error, where)
    return []
