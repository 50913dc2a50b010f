"""Routes of objectives: what an endpoint promises."""

from leverframe.apps.control.route import Call, Route
from leverframe.apps.platform.views import ObjectivesRequest, ObjectivesView


def _set(call: Call) -> ObjectivesView:
    return call.platform.objectives.set_objectives(call.actor, call.path["endpoint"], call.body, key=call.key)


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/objectives/{endpoint}",
        permission="Monitoring.Read",
        resource="endpoint/{endpoint}",
        run=lambda call: call.platform.objectives.objectives(call.path["endpoint"]),
        gives=ObjectivesView,
        summary="What an endpoint promises, and what is left of its error budget",
    ),
    Route(
        method="POST",
        path="/api/v1/objectives/{endpoint}",
        permission="Monitoring.SetObjectives",
        run=_set,
        takes=ObjectivesRequest,
        gives=ObjectivesView,
        example={"availability": 0.9995, "latency_target": 0.99, "latency_ms": 50, "reason": "what the booking page was promised"},
        summary="Set what an endpoint promises: availability, and the share of answers within a time",
    ),
)
