"""The part of the client for what the platform sees."""

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform import views
from leverframe.apps.transport import Transport
from leverframe.core.alert import Alert


class MonitoringClient:
    """What the platform sees."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def monitor(self, endpoint: str) -> views.MonitorView:
        """Drift, performance, feeds and log totals of ``endpoint``."""
        return self._transport.get(path_of("monitor", endpoint), views.MonitorView)

    def alerts(self, open_only: bool = False) -> tuple[Alert, ...]:
        """Alerts, newest first."""
        return self._transport.get(path_of("alerts"), tuple[Alert, ...], open_only="true" if open_only else None)

    def diagnose(self, endpoint: str) -> views.DiagnosisView:
        """Ranked causes for trouble at ``endpoint``."""
        return self._transport.get(path_of("diagnose", endpoint), views.DiagnosisView)

    def objectives(self, endpoint: str) -> views.ObjectivesView:
        """What ``endpoint`` promises, and what is left of its error budget."""
        return self._transport.get(path_of("objectives", endpoint), views.ObjectivesView)

    def set_objectives(
        self,
        endpoint: str,
        *,
        availability: float | None = None,
        latency_target: float | None = None,
        latency_ms: int | None = None,
        reason: str,
        key: str | None = None,
    ) -> views.ObjectivesView:
        """Set what ``endpoint`` promises, targets as shares; None leaves one as it is."""
        wanted = views.ObjectivesRequest(availability=availability, latency_target=latency_target, latency_ms=latency_ms, reason=reason)
        return self._transport.send("POST", path_of("objectives", endpoint), views.ObjectivesView, wanted, key=key)
