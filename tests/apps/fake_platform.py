"""A platform without rooms: every use case answers with a plausible record, permission is asked as the real one asks it."""

from typing import Any

from tests.apps import fake_records as records
from tests.apps.fake_experiments import FakeExperiments
from tests.apps.fake_governance import FakeExceptions, FakeHistory, FakeRegistries
from tests.apps.fake_keeping import FakeErasing, FakeFetching, FakeKeeping, FakeSources
from tests.apps.fake_reproducing import FakeReproducing
from tests.apps.fake_streams import FakeStreams
from tests.apps.fake_tables import FakeTables

from leverframe.apps.platform import views
from leverframe.apps.platform.lineage import focus_of
from leverframe.apps.platform.lineage_impact import impact_view
from leverframe.apps.platform.project_plan import State, compare
from leverframe.apps.platform.serving import Answered
from leverframe.apps.platform.views.contract import ContractDetailView
from leverframe.apps.platform.views.policies import PolicyView, ProposalView, WhyView
from leverframe.apps.platform.views.promoting import EnvironmentView, LiftRequest, PromoteRequest, TeamRulesRequest
from leverframe.apps.platform.views.release import WatchView
from leverframe.core.actor import Actor
from leverframe.core.alert import Alert
from leverframe.core.consumers import Consumer
from leverframe.core.errors import Conflict, Fault, Forbidden, NotFound, Unauthenticated
from leverframe.core.feature import FeatureView
from leverframe.core.feature_service import Entity, FeatureService, service_version
from leverframe.core.lineage import Graph, graph_of
from leverframe.core.model import ModelSpec, ModelVersion
from leverframe.core.route import Fallback, Quota
from leverframe.core.schema import RequestField
from leverframe.features.materialization.jobs import JobRecord
from leverframe.governance.own_policies import Proposal
from leverframe.governance.policy import rules_in
from leverframe.release.plans.team_rules import TeamRules
from leverframe.release.records import Review
from leverframe.training.difference import VersionDifference, difference

TOKENS = {
    "admin-token": Actor(subject="ana", roles=("admin",), teams=("*",)),
    "viewer-token": Actor(subject="vic", roles=("viewer",), teams=("flights",)),
    "nobody-token": Actor(subject="nora"),
}


class Calls:
    """What was asked: (use case, subject, idempotency key, arguments), and the keys seen."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str, str, tuple[object, ...]]] = []

    def write(self, access: "FakeAccess", actor: Actor, action: str, key: str, *arguments: object) -> None:
        access.permit(actor, action, "")
        assert key, f"{action} came without an idempotency key"
        self.made.append((action, actor.subject, key, arguments))


class FakeAccess:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def authenticate(self, bearer: str) -> Actor:
        if bearer not in TOKENS:
            raise Unauthenticated("nobody issued this token", where="token", next_step="lever token issue")
        return TOKENS[bearer]

    def permit(self, actor: Actor, action: str, resource: str, team: str = "") -> None:
        allowed = "admin" in actor.roles or ("viewer" in actor.roles and action.endswith(".Read"))
        if not allowed:
            raise Forbidden(f"{actor.subject} may not {action}", where=resource, expected="role admin", got=", ".join(actor.roles))

    def issue(
        self,
        actor: Actor,
        subject: str,
        roles: tuple[str, ...],
        teams: tuple[str, ...],
        *,
        days: int,
        key: str,
        priority: str = "normal",
        quota: Quota | None = None,
    ) -> views.TokenView:
        bounds = (priority, quota) if quota or priority != "normal" else ()
        self._calls.write(self, actor, "Tokens.Issue", key, subject, roles, teams, days, *bounds)
        return views.TokenView(id="tok-1", subject=subject, roles=roles, teams=teams, expires_at_us=records.NOW_US, secret="lf_secret")

    def revoke(self, actor: Actor, token_id: str, *, key: str) -> None:
        self._calls.write(self, actor, "Tokens.Revoke", key, token_id)

    def tokens(self) -> tuple[views.TokenView, ...]:
        return (views.TokenView(id="tok-1", subject="ana", roles=("admin",), teams=("*",), expires_at_us=records.NOW_US),)


class FakeData:
    def __init__(self, calls: Calls, access: FakeAccess) -> None:
        self._calls, self._access = calls, access
        self.offered: list[views.IngestView] = [records.ingest("weather", True), records.ingest("weather", False)]

    def apply_contract(self, actor: Actor, text: str, *, key: str, break_consumers: tuple[str, ...] = ()) -> dict[str, object]:
        self._calls.write(self._access, actor, "Data.ApplyContract", key, text)
        return {"contract": "weather", "version": "1.0.0", "change": "first", "breaks": [], "consumers": []}

    def ingest(
        self, actor: Actor, dataset: str, body: bytes, *, format: str, key: str, append: bool = False, made_by: tuple[str, ...] = ()
    ) -> views.IngestView:
        self._calls.write(self._access, actor, "Data.Ingest", key, dataset, body, format)
        return records.ingest(dataset, accepted=b"bad" not in body)

    def datasets(self) -> tuple[views.DatasetView, ...]:
        return tuple(
            views.DatasetView(
                name=name,
                owner="flight-operations",
                team="flights",
                contract_version="1.0.0",
                latest=records.snapshot(name),
                snapshots_total=3,
                quarantined_total=int(name == "weather"),
            )
            for name in ("departures", "flights", "planes", "weather")
        )

    def reports(self, dataset: str) -> tuple[views.IngestView, ...]:
        if dataset not in {d.name for d in self.datasets()}:
            raise NotFound("no such dataset", where=dataset, next_step="lever data list")
        return tuple(self.offered)


class FakeContractDetails:
    def __init__(self, data: FakeData) -> None:
        self._data = data

    def dataset(self, name: str) -> ContractDetailView:
        return records.contract_detail(name, self._data.reports(name))


class FakeFeatures:
    def __init__(self, calls: Calls, access: FakeAccess) -> None:
        self._calls, self._access = calls, access

    def apply_view(self, actor: Actor, view: FeatureView, *, key: str) -> dict[str, object]:
        self._calls.write(self._access, actor, "Features.Apply", key, view)
        return {"view": view.name, "changed": True}

    def views(self) -> tuple[views.FeatureViewView, ...]:
        fresh = records.monitor().freshness[0]
        return (views.FeatureViewView(view=records.WEATHER, version=records.digest("w"), freshness=fresh, consumers=("flight-delay",)),)


class FakeHealth:
    def parity(self, view: str = "") -> tuple[views.ParityView, ...]:
        return (records.parity(),)

    def metrics(self) -> bytes:
        return b'lever_feature_late{view="origin_weather"} 0\n'


class FakeOnline:
    def __init__(self, calls: Calls, access: FakeAccess) -> None:
        self._calls, self._access = calls, access

    def push(self, actor: Actor, name: str, rows: tuple[dict[str, object], ...], *, key: str) -> views.PushView:
        self._calls.write(self._access, actor, "Data.Ingest", key, name, rows)
        return views.PushView(source="weather", snapshot=records.digest("weather2"), rows=len(rows), views={name: len(rows)})

    def forget(self, actor: Actor, name: str, key_parts: tuple[str, ...], *, key: str) -> views.ForgottenView:
        self._calls.write(self._access, actor, "Features.Forget", key, name, key_parts)
        return views.ForgottenView(view=name, versions=2)

    def drop(self, actor: Actor, name: str, version: str = "", *, key: str) -> dict[str, int]:
        self._calls.write(self._access, actor, "Features.Materialize", key, name, version)
        return {records.digest("v"): 3}

    def export(self, name: str, at_us: int | None, *, online: bool = False) -> bytes:
        return f"{name} {at_us} {online}".encode()


class FakeMaterializing:
    def __init__(self, calls: Calls, access: FakeAccess) -> None:
        self._calls, self._access = calls, access

    def start(self, actor: Actor, request: views.MaterializeRequest, *, key: str) -> tuple[JobRecord, ...]:
        self._calls.write(self._access, actor, "Features.Materialize", key, request)
        return (records.job(),)

    def jobs(self, view: str = "") -> tuple[JobRecord, ...]:
        return (records.job(),)

    def job(self, job_id: str) -> JobRecord:
        if job_id != records.job().id:
            raise NotFound("no such materialisation", where=job_id)
        return records.job()


class FakeServices:
    def __init__(self, calls: Calls, access: FakeAccess) -> None:
        self._calls, self._access = calls, access

    def apply_entity(self, actor: Actor, entity: Entity, *, key: str) -> dict[str, object]:
        self._calls.write(self._access, actor, "Features.Apply", key, entity)
        return {"entity": entity.name}

    def entities(self) -> tuple[views.EntityView, ...]:
        return (views.EntityView(entity=records.AIRPORT, views=("origin_weather",)),)

    def apply_service(self, actor: Actor, service: FeatureService, *, allow_breaking: bool = False, key: str) -> dict[str, object]:
        self._calls.write(self._access, actor, "Features.Apply", key, service, allow_breaking)
        return {"service": service.name, "version": service_version(service)}

    def services(self) -> tuple[views.ServiceView, ...]:
        return (views.ServiceView(service=records.SERVICE, version=service_version(records.SERVICE), models=("flight-delay",)),)


class FakeDetails:
    def view(self, name: str) -> views.FeatureDetailView:
        if name not in (records.WEATHER.name, "origin_delays"):
            raise NotFound("no such feature view", where=name, next_step="lever features list")
        return records.feature_detail(name)


class FakeProjects:
    """Plans by the real comparison against the records; applying says which kinds were sent."""

    def __init__(self, calls: Calls, access: FakeAccess) -> None:
        self._calls, self._access = calls, access
        self.held = State(
            contracts={"weather": records.WEATHER_CONTRACT},
            entities={},
            views={records.WEATHER.name: records.WEATHER},
            services={},
            models={records.SPEC.name: records.SPEC},
            endpoints={},
        )

    def plan(self, actor: Actor, declared: views.Declarations) -> views.ProjectPlan:
        self._access.permit(actor, "Features.Read", "")
        seen = compare(declared, self.held)
        return views.ProjectPlan(digest=records.digest("plan"), steps=seen.steps, breaks=seen.breaks, faults=seen.faults)

    def apply(self, actor: Actor, request: views.ProjectRequest, *, key: str) -> views.ProjectApplied:
        self._calls.write(self._access, actor, "Features.Apply", key, request)
        return views.ProjectApplied(plan=request.plan, said=())


class FakeContracts:
    def __init__(self, access: FakeAccess) -> None:
        self._access = access

    def check(self, actor: Actor, text: str, *, last_snapshot: bool = False) -> views.ContractCheckView:
        self._access.permit(actor, "Data.Read", "")
        report = records.ingest("weather", "refused" not in text).report
        return views.ContractCheckView(
            contract="weather",
            version="2.0.0",
            dataset="weather",
            version_in_force="1.0.0",
            change="breaking",
            breaks=(Fault(where="temp", what="readers lose the column", expected="float64", got="absent"),),
            consumers=(Consumer(name="feature origin_weather.temp", through="weather.temp"),),
            report=report if last_snapshot else None,
        )


class FakeWebhooks:
    def __init__(self, calls: Calls, access: FakeAccess) -> None:
        self._calls, self._access = calls, access

    def add(self, actor: Actor, request: views.WebhookRequest, *, key: str) -> views.WebhookView:
        self._calls.write(self._access, actor, "Webhooks.Manage", key, request)
        return records.WEBHOOK

    def remove(self, actor: Actor, name: str, *, key: str) -> dict[str, object]:
        self._calls.write(self._access, actor, "Webhooks.Manage", key, name)
        return {"webhook": name}

    retry = remove

    def webhooks(self) -> tuple[views.WebhookView, ...]:
        return (records.WEBHOOK,)


class FakeLineage:
    def graph(self, at_us: int | None = None) -> tuple[Graph, bool]:
        return records.LINEAGE, False

    def of(self, thing: str, at_us: int | None = None) -> views.LineageView:
        return records.lineage(thing, focus_of(records.LINEAGE, thing), at_us or records.NOW_US)

    def impact(self, columns: tuple[str, ...], change: str = "remove", at_us: int | None = None) -> views.ImpactView:
        return impact_view(records.LINEAGE, ["column/weather.temp"], change, at_us or records.NOW_US)


class FakeTraining:
    def __init__(self, calls: Calls, access: FakeAccess) -> None:
        self._calls, self._access = calls, access

    def apply_model(self, actor: Actor, spec: ModelSpec, *, key: str) -> dict[str, object]:
        self._calls.write(self._access, actor, "Training.ApplyModel", key, spec)
        return {"model": spec.name, "changed": True}

    def start(self, actor: Actor, request: views.TrainRequest, *, key: str) -> views.RunView:
        self._calls.write(self._access, actor, "Training.Start", key, request)
        return records.run("queued")

    def run(self, run_id: str) -> views.RunView:
        if run_id not in ("run-0001", "run-0002", "run-0003"):
            raise NotFound("no such run", where=run_id)
        return records.run()

    def runs(self, model: str = "") -> tuple[views.RunView, ...]:
        return (records.run(),)

    def models(self) -> tuple[ModelSpec, ...]:
        return (records.SPEC,)

    def versions(self, model: str) -> tuple[ModelVersion, ...]:
        return tuple(records.version(number) for number in (1, 2, 3)) if model == "flight-delay" else ()

    def version(self, name: str) -> views.VersionView:
        if name not in ("flight-delay@v1", "flight-delay@v2", "flight-delay@v3"):
            raise NotFound("no such version", where=name, next_step="lever models list")
        return records.version_view(int(name[-1]))

    def compare(self, before: str, after: str) -> VersionDifference:
        return difference(*(records.version_facts(self.version(name)) for name in (before, after)))

    def register_import(self, actor: Actor, model: str, request: views.ImportRequest, *, key: str) -> dict[str, object]:
        self._calls.write(self._access, actor, "Training.RegisterVersion", key, request)
        return {"version": f"{model}@v4", "number": 4}


class FakeRelease:
    def __init__(self, calls: Calls, access: FakeAccess) -> None:
        self._calls, self._access = calls, access

    def plan(self, actor: Actor, request: views.PlanRequest, *, key: str) -> views.PlanView:
        self._calls.write(self._access, actor, "Release.Plan", key, request)
        return records.plan(3, ())

    def plan_of(self, digest: str) -> views.PlanView:
        found = next((p for p in self.plans() if p.digest == digest), None)
        if found is None:
            raise NotFound("no such plan", where=digest)
        return found

    def plans(self) -> tuple[views.PlanView, ...]:
        return (records.plan(3, ("bo",)), records.plan(4, ("bo", "ana")), records.plan(2, ("bo", "ana")))

    def approve(self, actor: Actor, digest: str, *, note: str, key: str) -> views.PlanView:
        self._calls.write(self._access, actor, "Release.Approve", key, digest, note)
        return records.plan(3, ("bo", actor.subject))

    def withdraw(self, actor: Actor, digest: str, note: str = "", *, key: str) -> views.PlanView:
        self._calls.write(self._access, actor, "Release.Approve", key, digest, note)
        return self.plan_of(digest)

    def reviews(self) -> tuple[Review, ...]:
        return (Review(release="rel-0002", team="flights", opened_by="olga", reason="model down", opened_us=records.NOW_US),)

    def review(self, actor: Actor, release_id: str, finding: str, *, key: str) -> Review:
        self._calls.write(self._access, actor, "Release.Review", key, release_id, finding)
        return self.reviews()[0]

    def apply(self, actor: Actor, digest: str, *, break_glass: str = "", key: str) -> views.ReleaseView:
        self._calls.write(self._access, actor, "Release.Apply", key, digest)
        return records.running_release()

    def release(self, release_id: str) -> views.ReleaseView:
        found = next((r for r in self.releases() if r.id == release_id), None)
        if found is None:
            raise NotFound("no such release", where=release_id, next_step="lever release list")
        return found

    def releases(self, endpoint: str = "") -> tuple[views.ReleaseView, ...]:
        return (records.running_release(), records.release(3), records.release(2))

    def endpoints(self) -> tuple[views.EndpointView, ...]:
        return (records.endpoint_view(),)

    def rollback(self, actor: Actor, environment: str, endpoint: str, *, reason: str, key: str) -> views.EndpointView:
        self._calls.write(self._access, actor, "Release.Rollback", key, environment, endpoint, reason)
        if endpoint != "flight-delay":
            raise Conflict("nothing to roll back to", where=endpoint)
        return records.endpoint_view()

    def operate(
        self, actor: Actor, environment: str, endpoint: str, lever: str, *, argument: str, reason: str, key: str
    ) -> views.EndpointView:
        self._calls.write(self._access, actor, "Release.Operate", key, environment, endpoint, lever, argument, reason)
        return records.endpoint_view(killed=lever == "kill", disabled_features=(argument,) if lever == "disable-feature" else ())


class FakeRollouts:
    def __init__(self, calls: Calls, access: FakeAccess) -> None:
        self._calls, self._access = calls, access

    def _one(self, actor: Actor, release_id: str, reason: str, *, key: str, permission: str = "Release.Operate") -> views.ReleaseView:
        self._calls.write(self._access, actor, permission, key, release_id, reason)
        return records.running_release()

    pause = resume = abort = keep = _one

    def watch(self, release_id: str) -> WatchView:
        return records.watched(release_id)

    def rollback(self, actor: Actor, release_id: str, reason: str, *, key: str) -> views.ReleaseView:
        return self._one(actor, release_id, reason, key=key, permission="Release.Rollback")


class FakePromoting:
    def __init__(self, calls: Calls, access: FakeAccess) -> None:
        self._calls, self._access = calls, access

    def rules(self, team: str) -> TeamRules:
        return records.TEAM_RULES if team == records.TEAM_RULES.team else TeamRules(team=team)

    def all_rules(self) -> tuple[TeamRules, ...]:
        return (records.TEAM_RULES,)

    def declare(self, actor: Actor, request: TeamRulesRequest, *, key: str) -> TeamRules:
        self._calls.write(self._access, actor, "Release.Operate", key, request)
        return request.rules

    def environments(self, endpoint: str) -> tuple[EnvironmentView, ...]:
        if endpoint != "flight-delay":
            raise NotFound("there never was such an endpoint", where=endpoint)
        return records.ENVIRONMENTS

    def promote(self, actor: Actor, request: PromoteRequest, *, key: str) -> views.PlanView:
        self._calls.write(self._access, actor, "Release.Plan", key, request)
        return records.plan(3, ())

    def lift(self, actor: Actor, environment: str, endpoint: str, request: LiftRequest, *, key: str) -> dict[str, int]:
        self._calls.write(self._access, actor, "Release.Operate", key, environment, endpoint, request)
        return {"expires_us": records.NOW_US}


class FakeOperating:
    def __init__(self, calls: Calls, access: FakeAccess) -> None:
        self._calls, self._access = calls, access

    def set_fallback(self, actor: Actor, environment: str, endpoint: str, wanted: views.FallbackRequest, *, key: str) -> views.EndpointView:
        self._calls.write(self._access, actor, "Release.Operate", key, environment, endpoint, wanted)
        return records.endpoint_view(fallback=Fallback(value=wanted.value, rules=wanted.rules))

    def set_limits(self, actor: Actor, environment: str, endpoint: str, wanted: views.LimitsRequest, *, key: str) -> views.EndpointView:
        self._calls.write(self._access, actor, "Release.Operate", key, environment, endpoint, wanted)
        return records.endpoint_view(deadline_ms=wanted.deadline_ms or 0)

    def set_tenant_quota(self, actor: Actor, tenant: str, wanted: views.QuotaRequest, *, key: str) -> tuple[views.TenantQuotaView, ...]:
        self._calls.write(self._access, actor, "Tenants.SetQuota", key, tenant, wanted)
        return self.tenant_quotas()

    def tenant_quotas(self) -> tuple[views.TenantQuotaView, ...]:
        quota = Quota(per_second=200.0, burst=400.0)
        return (views.TenantQuotaView(tenant="acme", quota=quota, reason="a share for everyone", by="ana", at_us=records.NOW_US),)


class FakeObjectives:
    def __init__(self, calls: Calls, access: FakeAccess) -> None:
        self._calls, self._access = calls, access

    def objectives(self, endpoint: str) -> views.ObjectivesView:
        if endpoint != "flight-delay":
            raise NotFound("no such endpoint", where=endpoint)
        return records.OBJECTIVES

    def set_objectives(self, actor: Actor, endpoint: str, wanted: views.ObjectivesRequest, *, key: str) -> views.ObjectivesView:
        self._calls.write(self._access, actor, "Monitoring.SetObjectives", key, endpoint, wanted)
        return self.objectives(endpoint)


class FakeMonitoring:
    def monitor(self, endpoint: str) -> views.MonitorView:
        if endpoint != "flight-delay":
            raise NotFound("no such endpoint", where=endpoint)
        return records.monitor()

    def alerts(self, *, open_only: bool = False) -> tuple[Alert, ...]:
        return (records.ALERT,)

    def diagnose(self, endpoint: str) -> views.DiagnosisView:
        return records.DIAGNOSIS


class FakeAudit:
    def entries(self, *, after: int = 0, limit: int = 100, newest_first: bool = True) -> tuple[views.AuditView, ...]:
        seqs = [seq for seq in range(1, 60) if seq > after]
        return tuple(records.audit(seq) for seq in (reversed(seqs) if newest_first else seqs))[:limit]

    def verify(self, checkpoints: tuple[bytes, ...] = ()) -> views.VerifyView:
        if b"older" in checkpoints:
            return views.VerifyView(ok=False, entries=59, first_bad_seq=60, what="cut short", seconds=0.004)
        return views.VerifyView(ok=True, entries=59, first_bad_seq=None, what="", seconds=0.004)

    def checkpoint(self) -> bytes:
        return b'{"payloadType":"checkpoint"}'

    def export(self) -> bytes:
        return b'{"seq":1}\n{"seq":2}\n'

    def evidence(self, release_id: str) -> bytes:
        return b"PK\x05\x06" + bytes(18)


class FakePolicies:
    def __init__(self, calls: Calls, access: FakeAccess) -> None:
        self._calls, self._access = calls, access

    def list(self) -> tuple[PolicyView, ...]:
        text = '@id("read")\n@reason("everyone may read")\npermit (principal, action, resource);\n'
        return (PolicyView(name="shipped-1", text=text, own=False, rules=rules_in(text)),)

    def actions(self) -> tuple[str, ...]:
        return ("Release.Apply", "Release.Read")

    def proposals(self) -> tuple[ProposalView, ...]:
        proposal = Proposal(name="no_fridays", text="forbid …", reason="weekends", author="ana", at_us=records.NOW_US)
        return (ProposalView(digest=proposal.digest, proposal=proposal),)

    def why(self, actor: Actor, action: str, resource: str, *, team: str = "", facts: Any = None) -> WhyView:
        return WhyView(allowed=True, policy_ids=("engineer",), reasons=("engineers may",), facts=dict(facts or {}), subject=actor.subject)

    def propose(self, actor: Actor, name: str, text: str, reason: str, cases: Any = (), *, key: str) -> dict[str, Any]:
        self._calls.write(self._access, actor, "Policy.Propose", key, name, text, reason)
        return {"proposal": records.digest("policy"), "name": name}

    def approve(self, actor: Actor, proposal: str, *, key: str) -> dict[str, Any]:
        self._calls.write(self._access, actor, "Policy.Approve", key, proposal)
        return {"name": "no_fridays", "in_force": "yes"}


class FakeServing:
    address = "http://127.0.0.1:8401"
    grpc_address = "127.0.0.1:8402"

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, dict[str, object]]] = []

    def fields(self, environment: str, endpoint: str) -> tuple[RequestField, ...]:
        if (environment, endpoint) != ("prod", "flight-delay"):
            raise NotFound("nothing is live at this endpoint", where=endpoint, next_step="lever status")
        return records.SPEC.request

    def ask(self, actor: Actor, bearer: str, environment: str, endpoint: str, *rows: dict[str, object]) -> Answered:
        if "admin" not in actor.roles:
            raise Unauthenticated("no valid token", where="Authorization", next_step="lever token issue")
        self.asked.extend((bearer, environment, endpoint, dict(row)) for row in rows)
        each = tuple({"probability": 0.3129 + place} for place in range(len(rows)))
        missing = ("origin_weather_visib",)
        return Answered(id="p-1", outputs={"probability": 0.3129}, version="flight-delay@v3", arm="canary", missing=missing, rows=each)


class FakePlatform:
    """All of it; ``empty`` answers like an installation on its first day."""

    def __init__(self) -> None:
        self.calls = Calls()
        access = FakeAccess(self.calls)
        self.access = access
        self.data = FakeData(self.calls, access)
        self.contract_details = FakeContractDetails(self.data)
        self.keeping = FakeKeeping(self.calls, access)
        self.erasing = FakeErasing(self.calls, access)
        self.sources = FakeSources(self.calls, access)
        self.fetching = FakeFetching(self.calls, access)
        self.streams = FakeStreams(self.calls, access)
        self.features = FakeFeatures(self.calls, access)
        self.lineage = FakeLineage()
        self.contracts = FakeContracts(access)
        self.webhooks = FakeWebhooks(self.calls, access)
        self.online_values = self.pushing = FakeOnline(self.calls, access)
        self.health = FakeHealth()
        self.materializing = FakeMaterializing(self.calls, access)
        self.services = FakeServices(self.calls, access)
        self.details = FakeDetails()
        self.projects = FakeProjects(self.calls, access)
        self.training = FakeTraining(self.calls, access)
        self.reproducing = FakeReproducing(self.calls, access)
        self.release = FakeRelease(self.calls, access)
        self.registries = FakeRegistries(self.calls, access)
        self.exceptions = FakeExceptions(self.calls, access)
        self.history = FakeHistory(self.calls, access)
        self.operating = FakeOperating(self.calls, access)
        self.promoting = FakePromoting(self.calls, access)
        self.tables = FakeTables(self.calls, access)
        self.experiments = FakeExperiments(self.calls, access)
        self.rollouts = self.watching = FakeRollouts(self.calls, access)
        self.serving = FakeServing()
        self.monitoring = FakeMonitoring()
        self.objectives = FakeObjectives(self.calls, access)
        self.audit = FakeAudit()
        self.policies = FakePolicies(self.calls, access)

    def seen_by(self, actor: Actor) -> "FakePlatform":
        return self

    def teams(self, kind: str, id: str) -> frozenset[str]:
        return frozenset(("",))

    def hides(self, kind: str, id: str) -> bool:
        return False

    def shares(self, kind: str) -> bool:
        return False

    def status(self) -> views.StatusView:
        return views.StatusView(
            ok=False,
            now_us=records.NOW_US,
            clock="replay",
            sentence="One alert is open and one plan waits for an approver.",
            endpoints=self.release.endpoints(),
            alerts=(records.ALERT,),
            releases=self.release.releases(),
            needs=(
                {
                    "what": "plan for flight-delay@v3 waits for one more approver",
                    "link": f"/plans/{records.digest('plan3')}",
                    "command": "lever release approve sha256:…",
                },
            ),
            changes=self.audit.entries(limit=8),
            audit_entries=59,
        )

    def doctor(self) -> tuple[views.Check, ...]:
        return (
            views.Check(name="clock", ok=True, detail="within 2 ms of the ledger"),
            views.Check(name="disk", ok=False, detail="1.2 GB free", fix="free some space under .leverframe"),
        )

    def now_us(self) -> int:
        return records.NOW_US


class EmptyPlatform(FakePlatform):
    """An installation on its first day."""

    def __init__(self) -> None:
        super().__init__()
        self.data.datasets = lambda: ()  # type: ignore[method-assign]
        self.features.views = lambda: ()  # type: ignore[method-assign]
        self.services.services = lambda: ()  # type: ignore[method-assign]
        self.services.entities = lambda: ()  # type: ignore[method-assign]
        self.training.models = lambda: ()  # type: ignore[method-assign]
        self.webhooks.webhooks = lambda: ()  # type: ignore[method-assign]
        self.lineage.graph = lambda at_us=None: (graph_of((), ()), False)  # type: ignore[method-assign]
        self.training.runs = lambda model="": ()  # type: ignore[method-assign]
        self.release.plans = lambda: ()  # type: ignore[method-assign]
        self.release.releases = lambda endpoint="": ()  # type: ignore[method-assign]
        self.release.endpoints = lambda: ()  # type: ignore[method-assign]
        self.registries.list = lambda: ()  # type: ignore[method-assign]
        self.exceptions.list = lambda digest="": ()  # type: ignore[method-assign]
        self.tables.tables = lambda: ()  # type: ignore[method-assign]
        self.experiments.plans = lambda: ()  # type: ignore[method-assign]
        self.experiments.experiments = lambda endpoint="": ()  # type: ignore[method-assign]
        self.operating.tenant_quotas = lambda: ()  # type: ignore[method-assign]
        self.monitoring.alerts = lambda *, open_only=False: ()  # type: ignore[method-assign]
        self.audit.entries = lambda *, after=0, limit=100, newest_first=True: ()  # type: ignore[method-assign]

    def status(self) -> views.StatusView:
        return views.StatusView(
            ok=True,
            now_us=records.NOW_US,
            clock="system",
            sentence="Nothing is deployed yet.",
            endpoints=(),
            alerts=(),
            releases=(),
            needs=(),
            changes=(),
            audit_entries=0,
        )
