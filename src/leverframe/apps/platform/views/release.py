"""What the release room's use cases take and answer."""

from typing import Any, Literal

import msgspec

from leverframe.apps.platform.views.requirements import RequirementView
from leverframe.core.verdict import Verdict
from leverframe.release.evidence.plan_forecast import PlanForecast


class PlanRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to release: ``version`` (``flight-delay@v2``) to ``endpoint`` of ``environment`` by ``strategy``."""

    endpoint: str
    version: str
    environment: str = "prod"
    strategy: Literal["initial", "canary", "shadow_canary", "blue_green", "challenger"] = "shadow_canary"
    hash_field: str = ""
    note: str = ""
    overrides: dict[str, Any] = {}


class PlanView(msgspec.Struct, frozen=True, kw_only=True):
    """A plan, its digest (what is approved is exactly this), who approved, the rules it must meet, and what is still missing."""

    digest: str
    plan: dict[str, Any]
    approvals: tuple[str, ...]
    needed: int
    missing: tuple[str, ...]
    requirements: tuple[RequirementView, ...] = ()
    forecast: PlanForecast | None = None
    dependants: tuple[str, ...] = ()
    """Who rests on what this plan makes live, in words."""
    rests_on: tuple[str, ...] = ()
    """The versions that the candidate was made from, and what becomes of it when one is taken back, in words."""


class StageLogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened in a release."""

    at_us: int
    stage: str
    event: str
    reason: str
    verdicts: tuple[Verdict, ...] = ()


class IntervalPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A sequential interval at one look: after ``n`` observations at ``at_us``; None where there is no bound yet."""

    rule: str
    stage: str
    at_us: int
    n: int
    estimate: float | None
    low: float | None
    high: float | None
    margin: float


class ReleaseView(msgspec.Struct, frozen=True, kw_only=True):
    """A release: where it stands, its stage log and the path of its intervals.

    ``resting``: of one release, what goes back with it by lineage, or went, in words.
    """

    id: str
    endpoint: str
    environment: str
    candidate: str
    champion: str
    state: str
    stage: str
    weight: float
    plan_digest: str
    author: str
    started_at_us: int
    ended_at_us: int | None
    outcome: str
    log: tuple[StageLogEntry, ...]
    verdicts: tuple[Verdict, ...]
    intervals: tuple[IntervalPoint, ...]
    answers_by_candidate: int
    labels_joined: int
    summary: str = ""
    flagged: str = ""
    resting: tuple[str, ...] = ()


class WatchView(msgspec.Struct, frozen=True, kw_only=True):
    """A release as it is watched: plain sentences of the newest look (``at_us``), newest interval points, and whether it is over.

    ``eta_us``: in about what time the stage is proven if things stay as they are; None where nobody can tell.
    """

    id: str
    state: str
    stage: str
    weight: float
    at_us: int
    lines: tuple[str, ...]
    eta_us: int | None
    ended: bool
    flagged: str = ""
    verdicts: tuple[Verdict, ...] = ()
    intervals: tuple[IntervalPoint, ...] = ()
