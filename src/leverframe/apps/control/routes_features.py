"""Routes of features."""

from typing import Any

from leverframe.apps.control.route import Route
from leverframe.apps.platform.views import FeatureViewView
from leverframe.core.feature import FeatureView

EXAMPLE_VIEW = {
    "name": "origin_weather",
    "source": "weather",
    "entity": ["origin"],
    "event_time": "observed_at",
    "arrival_time": "known_at",
    "expressions": [{"name": "wind_speed", "sql": "wind_speed"}],
}

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/views",
        permission="Features.Read",
        run=lambda call: call.platform.features.views(),
        gives=tuple[FeatureViewView, ...],
        summary="Every feature view with its freshness and consumers",
    ),
    Route(
        method="POST",
        path="/api/v1/views",
        permission="Features.Apply",
        run=lambda call: call.platform.features.apply_view(call.actor, call.body, key=call.key),
        takes=FeatureView,
        gives=dict[str, Any],
        example=EXAMPLE_VIEW,
        summary="Declare or change a feature view",
    ),
)
