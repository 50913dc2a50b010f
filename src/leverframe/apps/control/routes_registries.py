"""Routes of registries that other people keep."""

from typing import Any

from leverframe.apps.control.route import Route
from leverframe.apps.platform.views.registries import RegistryRequest, RegistryView

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/registries",
        permission="Training.Read",
        run=lambda call: call.platform.registries.list(),
        gives=tuple[RegistryView, ...],
        summary="Every registry that is followed, and what became of its versions",
    ),
    Route(
        method="POST",
        path="/api/v1/registries",
        permission="Registries.Manage",
        run=lambda call: call.platform.registries.add(call.actor, call.body, key=call.key),
        takes=RegistryRequest,
        gives=RegistryView,
        example={"name": "mlflow", "url": "https://mlflow.example.com", "source": "delays", "team": "flights"},
        summary="Follow a registered model at an MLflow server (of a host that the operator listed) from now on",
    ),
    Route(
        method="GET",
        path="/api/v1/registries/{registry}",
        permission="Training.Read",
        resource="registry/{registry}",
        run=lambda call: call.platform.registries.one(call.path["registry"]),
        gives=RegistryView,
        summary="One registry, version by version",
    ),
    Route(
        method="POST",
        path="/api/v1/registries/{registry}/look",
        permission="Registries.Manage",
        run=lambda call: call.platform.registries.look(call.actor, call.path["registry"], key=call.key),
        gives=RegistryView,
        summary="Try again what failed of a registry's versions",
    ),
    Route(
        method="DELETE",
        path="/api/v1/registries/{registry}",
        permission="Registries.Manage",
        run=lambda call: call.platform.registries.remove(call.actor, call.path["registry"], key=call.key),
        gives=dict[str, Any],
        summary="Follow a registry no more; what it led to stays",
    ),
)
