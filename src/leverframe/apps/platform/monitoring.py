"""Use cases of the monitoring room: what is seen, what was raised, and what is likely wrong."""

import msgspec

from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.unknown import known_rows
from leverframe.apps.platform.views import DiagnosisView, MonitorView
from leverframe.core.alert import Alert
from leverframe.core.errors import NotFound
from leverframe.monitoring.commands import KIND_ALERT
from leverframe.monitoring.diagnose import diagnose, sentence
from leverframe.monitoring.evidence import Evidence
from leverframe.release.records import KIND_ENDPOINT


class MonitorReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker's monitor knows of every endpoint at ``at_us``; derived from the log, so it is published and not recorded.

    Kept as MessagePack, which unlike JSON carries NaN: a figure that cannot be computed yet.
    """

    at_us: int
    views: tuple[MonitorView, ...]
    evidence: tuple[Evidence, ...]


class Monitoring:
    """Alerts from the ledger; windows and evidence from the worker's newest report."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def alerts(self, *, open_only: bool = False) -> tuple[Alert, ...]:
        """Alerts, newest first."""
        found = [a for a in self._parts.ledger.find(KIND_ALERT, Alert) if not open_only or a.closed_at_us is None]
        return tuple(sorted(found, key=lambda alert: alert.opened_at_us, reverse=True))

    def _report(self) -> MonitorReport:
        data = self._parts.publisher.monitor()
        if data is None:
            raise NotFound("the monitor has not reported yet", where="monitor", next_step="is the worker running? lever doctor")
        return msgspec.msgpack.decode(data, type=MonitorReport)

    def _sees(self, endpoint: str) -> bool:
        """The report is of every team's endpoints; the ledger says which of them are there for whoever asks."""
        ledger = self._parts.ledger
        return ledger is ledger.whole or ledger.sees(KIND_ENDPOINT, f"{self._parts.settings.environment}/{endpoint}")

    def monitor(self, endpoint: str) -> MonitorView:
        """What is known of an endpoint.

        Raises
        ------
        NotFound: there is nothing to watch by that name, or the monitor has not reported yet.
        """
        found = next((view for view in self._report().views if view.endpoint == endpoint and self._sees(endpoint)), None)
        if found is None:
            raise NotFound("no endpoint of that name is watched", where=endpoint[:120], next_step="lever status")
        return with_known_figures(found)

    def diagnose(self, endpoint: str) -> DiagnosisView:
        """Likely causes of an endpoint's trouble, likeliest first.

        Raises
        ------
        NotFound: there is nothing to watch by that name, or the monitor has not reported yet.
        """
        report = self._report()
        evidence = next((each for each in report.evidence if each.endpoint == endpoint and self._sees(endpoint)), None)
        if evidence is None:
            raise NotFound("no endpoint of that name is watched", where=endpoint[:120], next_step="lever status")
        causes = diagnose(evidence)
        return DiagnosisView(endpoint=endpoint, at_us=report.at_us, causes=tuple(causes), sentence=sentence(causes))


def with_known_figures(view: MonitorView) -> MonitorView:
    """``view`` with None for each figure that cannot be computed yet, as JSON can say it."""
    return msgspec.structs.replace(
        view,
        windows=known_rows(view.windows),
        columns=known_rows(view.columns),
        performance=known_rows(view.performance),
        budget=known_rows((view.budget,))[0],
    )
