"""Routes of entities, feature services and single views."""

from typing import Any

from leverframe.apps.control.route import Route
from leverframe.apps.platform.views import EntityView, FeatureDetailView, ServiceRequest, ServiceView
from leverframe.core.feature_service import Entity

EXAMPLE_ENTITY = {"name": "airport", "keys": [{"name": "origin", "type": "text"}], "team": "flights"}
EXAMPLE_SERVICE = {
    "service": {
        "name": "weather_inputs",
        "team": "flights",
        "owner": "flight-operations",
        "features": [{"view": "origin_weather", "feature": "wind_speed", "name": "wind"}],
    }
}

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/views/{view}",
        permission="Features.Read",
        run=lambda call: call.platform.details.view(call.path["view"]),
        gives=FeatureDetailView,
        resource="view/{view}",
        summary="One feature view: definition, ages, distributions, readers",
    ),
    Route(
        method="GET",
        path="/api/v1/entities",
        permission="Features.Read",
        run=lambda call: call.platform.services.entities(),
        gives=tuple[EntityView, ...],
        summary="Every declared entity with the views keyed by it",
    ),
    Route(
        method="POST",
        path="/api/v1/entities",
        permission="Features.Apply",
        run=lambda call: call.platform.services.apply_entity(call.actor, call.body, key=call.key),
        takes=Entity,
        gives=dict[str, Any],
        example=EXAMPLE_ENTITY,
        summary="Declare or change an entity",
    ),
    Route(
        method="GET",
        path="/api/v1/services",
        permission="Features.Read",
        run=lambda call: call.platform.services.services(),
        gives=tuple[ServiceView, ...],
        summary="Every feature service with its version and the models that take it",
    ),
    Route(
        method="POST",
        path="/api/v1/services",
        permission="Features.Apply",
        run=lambda call: call.platform.services.apply_service(
            call.actor, call.body.service, allow_breaking=call.body.allow_breaking, key=call.key
        ),
        takes=ServiceRequest,
        gives=dict[str, Any],
        example=EXAMPLE_SERVICE,
        summary="Declare or change a feature service",
    ),
)
