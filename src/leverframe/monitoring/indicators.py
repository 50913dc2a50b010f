"""Indicators of monitoring itself, computed from the log and the ledger, never typed in."""

from collections.abc import Iterable, Sequence

import msgspec

from leverframe.core.alert import Alert
from leverframe.monitoring.drift import ColumnDrift
from leverframe.monitoring.log_reader import LogTotals


class MonitoringIndicators(msgspec.Struct, frozen=True, kw_only=True):
    """``drift_coverage``: share of judged (column, window) pairs among those that could have been, switched-off ones left out.

    ``time_to_close_us`` is the median time from raising to closing of closed alerts, None without any.
    """

    served: int
    logged: int
    dropped: int
    adds_up: bool
    alerts_raised: int
    alerts_open: int
    pages: int
    signals_per_alert: float
    time_to_close_us: int | None
    drift_coverage: float


def indicators(totals: LogTotals, alerts: Sequence[Alert], drift: Iterable[ColumnDrift]) -> MonitoringIndicators:
    """The indicators of one endpoint, or of all.

    Parameters
    ----------
    totals: the log's balance.    alerts: every alert in the ledger.    drift: judged windows of every column.
    """
    pairs = [each for each in drift if not each.reason.startswith("switched off")]
    closed = sorted(a.closed_at_us - a.opened_at_us for a in alerts if a.closed_at_us is not None)
    return MonitoringIndicators(
        served=totals.counts.served,
        logged=totals.counts.logged,
        dropped=totals.counts.dropped,
        adds_up=totals.adds_up,
        alerts_raised=len(alerts),
        alerts_open=len(alerts) - len(closed),
        pages=sum(alert.severity == "page" for alert in alerts),
        signals_per_alert=sum(len(alert.signals) for alert in alerts) / len(alerts) if alerts else 0.0,
        time_to_close_us=closed[len(closed) // 2] if closed else None,
        drift_coverage=sum(each.judged for each in pairs) / len(pairs) if pairs else 0.0,
    )
