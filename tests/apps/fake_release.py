"""Plans, releases and levers of a fake platform."""

from tests.apps import fake_records as records
from tests.apps.fake_access import Calls, FakeAccess

from leverframe.apps.platform import views
from leverframe.apps.platform.views.promoting import EnvironmentView, LiftRequest, PromoteRequest, TeamRulesRequest
from leverframe.apps.platform.views.release import WatchView
from leverframe.core.actor import Actor
from leverframe.core.errors import Conflict, NotFound
from leverframe.core.route import Fallback, Quota
from leverframe.release.plans.team_rules import TeamRules
from leverframe.release.records import Review


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
        self, actor: Actor, environment: str, endpoint: str, lever: str, *, argument: str, reason: str, key: str, for_us: int = 0
    ) -> views.EndpointView:
        self._calls.write(self._access, actor, "Release.Operate", key, environment, endpoint, lever, argument, reason, for_us)
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
