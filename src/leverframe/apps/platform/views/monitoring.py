"""What the monitoring room's use cases answer."""

from typing import Any

import msgspec

from leverframe.core.alert import Cause
from leverframe.core.feature import Freshness


class MonitorView(msgspec.Struct, frozen=True, kw_only=True):
    """What monitoring knows about an endpoint: daily windows per column, performance on labels, feeds, log totals."""

    endpoint: str
    version: str
    windows: tuple[dict[str, Any], ...]
    columns: tuple[dict[str, Any], ...]
    performance: tuple[dict[str, Any], ...]
    freshness: tuple[Freshness, ...]
    served: int
    logged: int
    dropped: int
    labels: int
    budget: dict[str, Any] = {}


class DiagnosisView(msgspec.Struct, frozen=True, kw_only=True):
    """Ranked causes for an endpoint's trouble; none means nothing stands out."""

    endpoint: str
    at_us: int
    causes: tuple[Cause, ...]
    sentence: str
