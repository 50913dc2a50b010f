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


class ObjectivesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Objectives of an endpoint, targets as shares; None leaves one as it is."""

    availability: float | None = None
    latency_target: float | None = None
    latency_ms: int | None = None
    reason: str = ""


class ObjectivesView(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint promises, and the share that is ``left`` of each objective's budget of four weeks (as last written down).

    ``counted_ms``: where slow begins in the counts, the first cell's end from ``latency_ms`` on. ``declared``: an owner set them.
    """

    endpoint: str
    environment: str
    availability: float
    latency_target: float
    latency_ms: int
    counted_ms: float
    declared: bool
    reason: str
    by: str
    at_us: int
    left: dict[str, float]
