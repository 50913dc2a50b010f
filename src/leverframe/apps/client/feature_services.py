"""The part of the client for entities and feature services."""

from typing import Any

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform import views
from leverframe.apps.transport import Transport
from leverframe.core.feature_service import Entity, FeatureService


class FeatureServicesClient:
    """Entities and feature services."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def apply_entity(self, entity: Entity, *, key: str | None = None) -> dict[str, Any]:
        """Declare or change an entity."""
        return self._transport.send("POST", path_of("entities"), dict[str, Any], entity, key=key)

    def entities(self) -> tuple[views.EntityView, ...]:
        """Every declared entity with the views keyed by it."""
        return self._transport.get(path_of("entities"), tuple[views.EntityView, ...])

    def apply(self, service: FeatureService, *, allow_breaking: bool = False, key: str | None = None) -> dict[str, Any]:
        """Declare or change a feature service; ``allow_breaking``: also when a model loses a column by it."""
        body = views.ServiceRequest(service=service, allow_breaking=allow_breaking)
        return self._transport.send("POST", path_of("services"), dict[str, Any], body, key=key)

    def view(self, name: str) -> views.FeatureDetailView:
        """One feature view: definition, ages, distributions, and the services, models and endpoints that read it."""
        return self._transport.get(path_of("views", name), views.FeatureDetailView)

    def services(self) -> tuple[views.ServiceView, ...]:
        """Every feature service with its version and the models that take it."""
        return self._transport.get(path_of("services"), tuple[views.ServiceView, ...])
