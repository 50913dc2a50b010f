"""Routes of features."""

from typing import Any

import msgspec

from leverframe.apps.control.route import Call, Route
from leverframe.apps.platform.views import FeatureViewView
from leverframe.core.errors import InvalidInput
from leverframe.core.feature import FeatureView

NAMES_MAX = 1000


class Materialize(msgspec.Struct, frozen=True, kw_only=True):
    """Which views (none: all) to bring up to which moment (null: now)."""

    names: tuple[str, ...] = ()
    to_us: int | None = None


def _materialize(call: Call) -> dict[str, object]:
    if len(call.body.names) > NAMES_MAX:
        raise InvalidInput("too many views in one request", where="names", expected=f"at most {NAMES_MAX}", got=str(len(call.body.names)))
    return call.platform.features.materialize(call.actor, call.body.names, to_us=call.body.to_us, key=call.key)


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
    Route(
        method="POST",
        path="/api/v1/views/materialize",
        permission="Features.Materialize",
        run=_materialize,
        takes=Materialize,
        gives=dict[str, Any],
        example={"names": ["origin_weather"], "to_us": None},
        summary="Bring the online store up to a moment",
    ),
)
