"""What use cases answer: frozen records that the API turns into JSON and the console into pages."""

from typing import Any, Literal

import msgspec

from leverframe.core.alert import Alert, Cause
from leverframe.core.dataset import ContractReport, Snapshot
from leverframe.core.evaluation import EvaluationReport
from leverframe.core.feature import FeatureView, Freshness
from leverframe.core.model import Lineage, ModelSpec, ModelVersion
from leverframe.core.route import Endpoint, Priority, Quota, Rule
from leverframe.core.verdict import Verdict


class IngestView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an offered file: a snapshot, or a quarantined blob with the report that says why."""

    dataset: str
    accepted: bool
    report: ContractReport
    snapshot: Snapshot | None = None
    quarantine: str = ""


class DatasetView(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset: its contract, its newest snapshot and how many files were refused."""

    name: str
    owner: str
    team: str
    contract_version: str
    latest: Snapshot | None
    snapshots_total: int
    quarantined_total: int


class FeatureViewView(msgspec.Struct, frozen=True, kw_only=True):
    """A feature view with its version, freshness now, and the models that read it."""

    view: FeatureView
    version: str
    freshness: Freshness | None
    consumers: tuple[str, ...]


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a training run."""

    name: str
    status: Literal["pending", "running", "done", "failed"]
    seconds: float = 0.0
    attempts: int = 0
    cached: bool = False
    detail: str = ""


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """A training run and, when it is over, the version it made."""

    id: str
    model: str
    status: Literal["queued", "running", "succeeded", "failed"]
    started_by: str
    started_at_us: int
    window: tuple[str, str]
    steps: tuple[StepView, ...]
    version: str = ""
    failure: str = ""


class TrainRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to train: rows asked in ``[from_us, to_us)`` whose label was known at ``to_us``.

    ``prepare`` and ``params`` override the spec's; ``code_commit`` names the version of the team's own code.
    """

    model: str
    from_us: int
    to_us: int
    prepare: dict[str, str] = {}
    params: dict[str, Any] = {}
    seed: int = 1
    code_commit: str = "unversioned"
    note: str = ""


class ImportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A signed bundle of a model made elsewhere, which is in the installation's artifacts already."""

    bundle: str
    envelope: str
    note: str = ""


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """A model version with the evidence out of its bundle, and where it is routed now."""

    version: ModelVersion
    spec: ModelSpec
    evaluation: EvaluationReport
    lineage: Lineage
    card: str
    files: dict[str, int]
    arms: tuple[str, ...] = ()


class PlanRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to release: ``version`` (``flight-delay@v2``) to ``endpoint`` of ``environment`` by ``strategy``."""

    endpoint: str
    version: str
    environment: str = "prod"
    strategy: Literal["initial", "canary", "shadow_canary", "blue_green"] = "shadow_canary"
    hash_field: str = ""
    note: str = ""
    overrides: dict[str, Any] = {}


class PlanView(msgspec.Struct, frozen=True, kw_only=True):
    """A plan, its digest (what is approved is exactly this), who approved, and what is still missing."""

    digest: str
    plan: dict[str, Any]
    approvals: tuple[str, ...]
    needed: int
    missing: tuple[str, ...]


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
    """A release: where it stands, its stage log and the path of its intervals."""

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


class FreezeView(msgspec.Struct, frozen=True, kw_only=True):
    """A freeze in force: no release starts or climbs. ``endpoint`` empty: in the whole environment."""

    endpoint: str
    reason: str
    by: str
    at_us: int
    expires_us: int | None = None


class LeverView(msgspec.Struct, frozen=True, kw_only=True):
    """A lever that is pulled now: why, by whom, until when."""

    lever: str
    argument: str
    reason: str
    by: str
    at_us: int
    expires_us: int | None = None


class FallbackRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The whole chain of what answers when an arm cannot; what is not named is not in it, and an empty chain refuses."""

    value: float | None = None
    rules: tuple[Rule, ...] = ()
    last_good: bool = False
    reason: str = ""


class LimitsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of an endpoint; None leaves one as it is, 0 lifts it."""

    deadline_ms: int | None = None
    per_second: float | None = None
    burst: float | None = None
    reason: str = ""


class QuotaRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Requests a second, and how many may come at once (0: one second's worth); 0 a second lifts the quota."""

    per_second: float
    burst: float = 0.0
    reason: str = ""


class TenantQuotaView(msgspec.Struct, frozen=True, kw_only=True):
    """How much all callers of a tenant together may ask, why, and by whose word."""

    tenant: str
    quota: Quota
    reason: str
    by: str
    at_us: int


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint: desired state (ledger) and running state (what the gateway says), the freeze in force and the levers that are pulled."""

    environment: str
    endpoint: Endpoint
    release: str
    generation_desired: int
    generation_running: int | None
    gateway: str
    served: int
    logged: int
    dropped: int
    freeze: FreezeView | None = None
    levers: tuple[LeverView, ...] = ()

    @property
    def keeps_last_good(self) -> bool:
        """Whether the platform keeps a last good version, even if there is none now."""
        return any(lever.lever == "last-good" for lever in self.levers)


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What was live from ``from_us`` to ``to_us`` and why."""

    from_us: int
    to_us: int | None
    version: str
    arms: tuple[str, ...]
    release: str
    actor: str
    action: str
    reason: str
    approvals: tuple[str, ...]
    seq: int


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


class AuditView(msgspec.Struct, frozen=True, kw_only=True):
    """One audit entry as shown to a reader."""

    seq: int
    at_us: int
    recorded_at_us: int
    actor: str
    action: str
    resource: str
    policy_ids: tuple[str, ...]
    hash: str
    summary: str = ""


class VerifyView(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the audit chain holds, and if not, where it breaks."""

    ok: bool
    entries: int
    first_bad_seq: int | None
    what: str
    seconds: float


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """Is everything all right? What changed? What needs me?"""

    ok: bool
    now_us: int
    clock: str
    sentence: str
    endpoints: tuple[EndpointView, ...]
    alerts: tuple[Alert, ...]
    releases: tuple[ReleaseView, ...]
    needs: tuple[dict[str, str], ...]
    changes: tuple[AuditView, ...]
    audit_entries: int


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One line of ``lever doctor``."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A token as issued: ``secret`` is shown this once and never stored."""

    id: str
    subject: str
    roles: tuple[str, ...]
    teams: tuple[str, ...]
    expires_at_us: int
    secret: str = ""
    priority: Priority = "normal"
    quota: Quota | None = None


class DiagnosisView(msgspec.Struct, frozen=True, kw_only=True):
    """Ranked causes for an endpoint's trouble; none means nothing stands out."""

    endpoint: str
    at_us: int
    causes: tuple[Cause, ...]
    sentence: str
