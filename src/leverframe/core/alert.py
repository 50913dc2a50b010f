"""What monitoring says: signals, grouped alerts, and ranked causes."""

from typing import Literal

import msgspec


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """One observation beyond its threshold; ``waits``: it can wait for working hours, whatever its kind."""

    kind: Literal["freshness", "missing", "drift", "score_drift", "performance", "errors", "latency", "log", "parity", "stream"]
    subject: str
    observed: float
    threshold: float
    window: tuple[int, int]
    detail: str = ""
    waits: bool = False


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Signals that share one likely origin, raised once. ``group`` is stable for as long as the cause lasts."""

    id: str
    group: str
    endpoint: str
    severity: Literal["page", "ticket"]
    title: str
    opened_at_us: int
    signals: tuple[Signal, ...]
    closed_at_us: int | None = None
    runbook: str = ""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """A possible reason for "the KPI fell": score (0 to 1, higher is likelier), the evidence, and the lever to pull."""

    kind: Literal["late_feed", "missing_feature", "contract_break", "feature_drift", "release", "label_shift", "infrastructure"]
    subject: str
    score: float
    evidence: tuple[str, ...]
    lever: str
