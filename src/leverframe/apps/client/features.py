"""The part of the client for feature views."""

from collections.abc import Sequence
from typing import Any

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform import views
from leverframe.apps.transport import Transport
from leverframe.core.feature import FeatureView


class FeaturesClient:
    """Feature views."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def apply(self, view: FeatureView, *, key: str | None = None) -> dict[str, Any]:
        """Declare or change a feature view."""
        return self._transport.send("POST", path_of("views"), dict[str, Any], view, key=key)

    def views(self) -> tuple[views.FeatureViewView, ...]:
        """Every feature view with its freshness and consumers."""
        return self._transport.get(path_of("views"), tuple[views.FeatureViewView, ...])

    def materialize(self, names: Sequence[str] = (), to_us: int | None = None, *, key: str | None = None) -> dict[str, Any]:
        """Bring the online store up to ``to_us`` (None: now) for ``names`` (none: all)."""
        body = {"names": list(names), "to_us": to_us}
        return self._transport.send("POST", path_of("views", "materialize"), dict[str, Any], body, key=key)
