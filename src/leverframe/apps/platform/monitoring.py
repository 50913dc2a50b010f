"""Use cases of the monitoring room: what is seen, what was raised, and what is likely wrong."""

from leverframe.apps.platform.features import Features
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views import DiagnosisView, MonitorView
from leverframe.core.alert import Alert
from leverframe.monitoring.commands import KIND_ALERT


class Monitoring:
    """Alerts, windows, diagnosis."""

    def __init__(self, parts: Parts, features: Features) -> None:
        self._parts = parts
        self._features = features

    def alerts(self, *, open_only: bool = False) -> tuple[Alert, ...]:
        """Alerts, newest first."""
        found = [a for a in self._parts.ledger.find(KIND_ALERT, Alert) if not open_only or a.closed_at_us is None]
        return tuple(sorted(found, key=lambda alert: alert.opened_at_us, reverse=True))

    def monitor(self, endpoint: str) -> MonitorView:
        raise NotImplementedError

    def diagnose(self, endpoint: str) -> DiagnosisView:
        raise NotImplementedError
