"""The whole platform as one object: every use case, with the actor first and an idempotency key on each change."""

from leverframe.apps.platform import views
from leverframe.core.actor import Actor
from leverframe.core.alert import Alert
from leverframe.core.feature import FeatureView
from leverframe.core.model import ModelSpec, ModelVersion


class Data:
    def apply_contract(self, actor: Actor, text: str, *, key: str) -> dict[str, object]: raise NotImplementedError
    def ingest(self, actor: Actor, dataset: str, body: bytes, *, format: str, key: str) -> views.IngestView: raise NotImplementedError
    def datasets(self) -> tuple[views.DatasetView, ...]: raise NotImplementedError
    def reports(self, dataset: str) -> tuple[views.IngestView, ...]: raise NotImplementedError


class Features:
    def apply_view(self, actor: Actor, view: FeatureView, *, key: str) -> dict[str, object]: raise NotImplementedError
    def views(self) -> tuple[views.FeatureViewView, ...]: raise NotImplementedError
    def materialize(self, actor: Actor, names: tuple[str, ...], *, to_us: int | None, key: str) -> dict[str, object]: raise NotImplementedError


class Training:
    def apply_model(self, actor: Actor, spec: ModelSpec, *, key: str) -> dict[str, object]: raise NotImplementedError
    def start(self, actor: Actor, request: views.TrainRequest, *, key: str) -> views.RunView: raise NotImplementedError
    def run(self, run_id: str) -> views.RunView: raise NotImplementedError
    def runs(self, model: str = "") -> tuple[views.RunView, ...]: raise NotImplementedError
    def models(self) -> tuple[ModelSpec, ...]: raise NotImplementedError
    def versions(self, model: str) -> tuple[ModelVersion, ...]: raise NotImplementedError
    def version(self, name: str) -> views.VersionView: raise NotImplementedError


class Release:
    def plan(self, actor: Actor, request: views.PlanRequest, *, key: str) -> views.PlanView: raise NotImplementedError
    def plan_of(self, digest: str) -> views.PlanView: raise NotImplementedError
    def plans(self) -> tuple[views.PlanView, ...]: raise NotImplementedError
    def approve(self, actor: Actor, digest: str, *, note: str, key: str) -> views.PlanView: raise NotImplementedError
    def apply(self, actor: Actor, digest: str, *, key: str) -> views.ReleaseView: raise NotImplementedError
    def release(self, release_id: str) -> views.ReleaseView: raise NotImplementedError
    def releases(self, endpoint: str = "") -> tuple[views.ReleaseView, ...]: raise NotImplementedError
    def endpoints(self) -> tuple[views.EndpointView, ...]: raise NotImplementedError
    def rollback(self, actor: Actor, environment: str, endpoint: str, *, reason: str, key: str) -> views.EndpointView: raise NotImplementedError
    def operate(self, actor: Actor, environment: str, endpoint: str, lever: str, *, argument: str, reason: str, key: str) -> views.EndpointView:
        """``lever``: pin, unpin, kill, unkill, fallback, disable-feature, enable-feature, freeze, unfreeze, abort."""
        raise NotImplementedError
    def history(self, environment: str, endpoint: str, at_us: int | None) -> tuple[views.HistoryEntry, ...]: raise NotImplementedError


class Monitoring:
    def monitor(self, endpoint: str) -> views.MonitorView: raise NotImplementedError
    def alerts(self, *, open_only: bool = False) -> tuple[Alert, ...]: raise NotImplementedError
    def diagnose(self, endpoint: str) -> views.DiagnosisView: raise NotImplementedError


class Audit:
    def entries(self, *, after: int = 0, limit: int = 100, newest_first: bool = True) -> tuple[views.AuditView, ...]: raise NotImplementedError
    def verify(self) -> views.VerifyView: raise NotImplementedError
    def export(self) -> bytes:
        """The whole chain as JSON lines, for verification off-host (``lever audit verify --file``)."""
        raise NotImplementedError


class Access:
    def authenticate(self, bearer: str) -> Actor: raise NotImplementedError
    def issue(self, actor: Actor, subject: str, roles: tuple[str, ...], teams: tuple[str, ...], *, days: int, key: str) -> views.TokenView: raise NotImplementedError
    def revoke(self, actor: Actor, token_id: str, *, key: str) -> None: raise NotImplementedError
    def tokens(self) -> tuple[views.TokenView, ...]: raise NotImplementedError
    def permit(self, actor: Actor, action: str, resource: str, team: str = "") -> None:
        """Raise Forbidden unless policy permits (the choke point for reads; writes are decided inside the ledger)."""
        raise NotImplementedError


class Platform:
    data: Data
    features: Features
    training: Training
    release: Release
    monitoring: Monitoring
    audit: Audit
    access: Access

    def status(self) -> views.StatusView: raise NotImplementedError
    def doctor(self) -> tuple[views.Check, ...]: raise NotImplementedError
    def now_us(self) -> int: raise NotImplementedError
