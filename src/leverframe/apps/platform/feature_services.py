"""Use cases of what models take: declared entities and feature services."""

from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views import EntityView, ServiceView
from leverframe.core.actor import Actor
from leverframe.core.feature import FeatureView
from leverframe.core.feature_service import KIND_SERVICE, Entity, FeatureService, service_version, with_service
from leverframe.core.model import ModelSpec
from leverframe.data.commands import KIND_CONTRACT
from leverframe.data.contract.contracts import Contract
from leverframe.features.commands import KIND_VIEW
from leverframe.features.services import KIND_ENTITY, ApplyEntity, ApplyService, check_keys
from leverframe.training.commands import KIND_MODEL

_KEY_TYPE = {"integer": "integer", "string": "text"}


def resolved_models(parts: Parts) -> tuple[ModelSpec, ...]:
    """Every declared model with the columns of the service it takes."""
    services = {service.name: service for service in parts.ledger.find(KIND_SERVICE, FeatureService)}
    return tuple(
        with_service(model, services) if model.service in services else model for model in parts.ledger.find(KIND_MODEL, ModelSpec)
    )


def check_entity_keys(parts: Parts, view: FeatureView, contract: Contract) -> None:
    """Return when the key columns of ``view`` have, by their contract, the types that declared entities give them.

    Raises
    ------
    SchemaMismatch: one has another.
    """
    check_view_keys(parts.ledger.find(KIND_ENTITY, Entity), view, contract)


def check_view_keys(entities: list[Entity], view: FeatureView, contract: Contract) -> None:
    """``check_entity_keys`` on entities that are at hand."""
    types = {column.name: _KEY_TYPE.get(column.logical_type, column.logical_type) for column in contract.columns}
    for key in view.entity:
        if key in types:
            check_keys(entities, key, types[key], f"view {view.name}")


class FeatureServices:
    """Entities, and the services that select features for models."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def apply_entity(self, actor: Actor, entity: Entity, *, key: str) -> dict[str, object]:
        """Declare or change an entity; the views that use its key columns must agree with it.

        Raises
        ------
        SchemaMismatch: the contract of a view's source gives a key another type.    InvalidInput: the declaration has faults.
        """
        contracts = {contract.dataset: contract for contract in self._parts.ledger.find(KIND_CONTRACT, Contract)}
        for view in self._parts.ledger.find(KIND_VIEW, FeatureView):
            if view.source in contracts:
                check_view_keys([entity], view, contracts[view.source])
        return dict(self._parts.ledger.write(actor, ApplyEntity(entity=entity), key=key).result)

    def entities(self) -> tuple[EntityView, ...]:
        """Every declared entity with the views keyed by it."""
        views = self._parts.ledger.find(KIND_VIEW, FeatureView)
        return tuple(
            EntityView(entity=entity, views=tuple(v.name for v in views if {k.name for k in entity.keys} <= set(v.entity)))
            for entity in self._parts.ledger.find(KIND_ENTITY, Entity)
        )

    def apply_service(self, actor: Actor, service: FeatureService, *, allow_breaking: bool = False, key: str) -> dict[str, object]:
        """Declare or change a feature service.

        Raises
        ------
        InvalidInput: it selects what is not declared.    Refused: a model would lose a column, and ``allow_breaking`` is not set.
        """
        return dict(self._parts.ledger.write(actor, ApplyService(service=service, allow_breaking=allow_breaking), key=key).result)

    def services(self) -> tuple[ServiceView, ...]:
        """Every feature service with its version and the models that take it."""
        ledger = self._parts.ledger
        declared = {view.name: view.features for view in ledger.find(KIND_VIEW, FeatureView)}
        models = ledger.find(KIND_MODEL, ModelSpec)
        return tuple(
            ServiceView(
                service=service,
                version=service_version(service),
                models=tuple(model.name for model in models if model.service == service.name),
                missing=tuple(f"{f.view}.{f.feature}" for f in service.features if f.feature not in declared.get(f.view, ())),
            )
            for service in ledger.find(KIND_SERVICE, FeatureService)
        )
