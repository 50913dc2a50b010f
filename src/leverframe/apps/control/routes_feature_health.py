"""Routes of how features are doing."""

import msgspec

from leverframe.apps.control.route import Route
from leverframe.apps.platform.views import ParityView


class ParityQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only of ``view`` (empty: all)."""

    view: str = ""


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/parity",
        permission="Features.Read",
        query=ParityQuery,
        run=lambda call: call.platform.health.parity(call.query.view),
        gives=tuple[ParityView, ...],
        summary="Served feature values against the offline ones, with a verdict a feature",
    ),
    Route(
        method="GET",
        path="/api/v1/metrics",
        permission="Monitoring.Read",
        run=lambda call: call.platform.health.metrics() + call.platform.streams.metrics(),
        gives=bytes,
        media_type="text/plain; version=0.0.4",
        summary="Freshness and parity of every feature view, and every stream into data, for Prometheus",
    ),
)
