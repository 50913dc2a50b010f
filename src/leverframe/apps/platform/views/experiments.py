"""What the use cases of experiments take and answer."""

from typing import Any

import msgspec

from leverframe.apps.platform.views.release import IntervalPoint
from leverframe.release.experiments.plan import ALPHA, DEFAULT_GUARDRAILS, HORIZON_US, MIN_US, Guardrail, Primary
from leverframe.release.experiments.readout import Readout
from leverframe.release.experiments.records import Entry
from leverframe.release.experiments.report import Report
from leverframe.release.plans.plan import LABEL_HORIZON_US


class ExperimentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to try: ``versions`` against what is live on ``endpoint``.

    ``shares``: percent of those who take part, one a version (empty: equal shares for all arms). ``covariate`` and ``segments`` name input
    columns that every arm has.
    """

    endpoint: str
    versions: tuple[str, ...]
    primary: Primary
    environment: str = "prod"
    shares: tuple[float, ...] = ()
    traffic: float = 100.0
    layer: str = ""
    hash_field: str = ""
    guardrails: tuple[Guardrail, ...] = DEFAULT_GUARDRAILS
    covariate: str = ""
    segments: tuple[str, ...] = ()
    alpha: float = ALPHA
    min_us: int = MIN_US
    horizon_us: int = HORIZON_US
    label_horizon_us: int = LABEL_HORIZON_US
    note: str = ""


class ExperimentForecast(msgspec.Struct, frozen=True, kw_only=True):
    """How long it takes with today's traffic, and what that rests on; None where nobody can tell."""

    requests_per_hour: float
    keys_per_hour: float
    sd: float | None
    keys_needed: int | None
    hours: float | None
    sentence: str


class ExperimentPlanView(msgspec.Struct, frozen=True, kw_only=True):
    """A plan, its digest (what is approved is exactly this), who approved, what is still missing, and how long it will take."""

    digest: str
    plan: dict[str, Any]
    approvals: tuple[str, ...]
    needed: int
    missing: tuple[str, ...]
    forecast: ExperimentForecast | None = None


class ExperimentView(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment: where it stands, its newest read-out and the path of its intervals. ``low`` and ``high`` are percent of its layer."""

    id: str
    endpoint: str
    environment: str
    team: str
    layer: str
    low: float
    high: float
    versions: tuple[str, ...]
    shares: tuple[float, ...]
    metric: str
    better: str
    effect: float
    state: str
    outcome: str
    winner: str
    summary: str
    started_by: str
    approvals: tuple[str, ...]
    started_at_us: int
    ended_at_us: int | None
    horizon_at_us: int
    plan_digest: str
    report: str
    proposed: str
    log: tuple[Entry, ...]
    readout: Readout | None = None
    intervals: tuple[IntervalPoint, ...] = ()


class ReportView(msgspec.Struct, frozen=True, kw_only=True):
    """The final report, the digest it was filed under, and whether the log still gives it.

    ``same``: computed again just now, the bytes are equal (None: it was not computed again). ``finding`` says what differs, or why it could
    not be computed.
    """

    experiment: str
    digest: str
    report: Report
    same: bool | None
    finding: str
