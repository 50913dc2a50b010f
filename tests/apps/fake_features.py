"""Features and projects of a fake platform."""

from tests.apps import fake_records as records
from tests.apps.fake_access import Calls, FakeAccess

from leverframe.apps.platform import views
from leverframe.apps.platform.project_plan import State, compare
from leverframe.core.actor import Actor
from leverframe.core.errors import NotFound
from leverframe.core.feature import FeatureView
from leverframe.core.feature_service import Entity, FeatureService, service_version
from leverframe.features.materialization.jobs import JobRecord


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
