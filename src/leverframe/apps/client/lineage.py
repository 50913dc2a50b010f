"""The part of the client for lineage."""

from collections.abc import Sequence

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform import views
from leverframe.apps.transport import Transport
from leverframe.core.lineage import Change


class LineageClient:
    """What things are made from, and what a change would break."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def of(self, thing: str, at_us: int | None = None) -> views.LineageView:
        """What ``thing`` (``weather.temp``, ``model/flight-delay``) is made from and who lives by it, at ``at_us`` (None: now)."""
        return self._transport.get(path_of("lineage"), views.LineageView, thing=thing, at_us=at_us or 0)

    def impact(self, columns: Sequence[str], change: Change = "remove", at_us: int | None = None) -> views.ImpactView:
        """What breaks if the columns (``dataset.column``) are removed, renamed or get another type."""
        path = path_of("lineage", "impact")
        return self._transport.get(path, views.ImpactView, columns=",".join(columns), change=change, at_us=at_us or 0)
