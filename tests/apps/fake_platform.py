"""A platform without rooms: every use case answers with a plausible record, permission is asked as the real one asks it."""

from tests.apps import fake_records as records
from tests.apps.fake_access import TOKENS, Calls, FakeAccess
from tests.apps.fake_data import FakeContractDetails, FakeContracts, FakeData, FakeLineage
from tests.apps.fake_experiments import FakeExperiments
from tests.apps.fake_features import FakeDetails, FakeFeatures, FakeHealth, FakeMaterializing, FakeOnline, FakeProjects, FakeServices
from tests.apps.fake_governance import FakeExceptions, FakeHistory, FakeRegistries
from tests.apps.fake_keeping import FakeErasing, FakeFetching, FakeKeeping, FakeSources
from tests.apps.fake_operations import FakeAudit, FakeMonitoring, FakeObjectives, FakePolicies, FakeServing, FakeWebhooks
from tests.apps.fake_release import FakeOperating, FakePromoting, FakeRelease, FakeRollouts
from tests.apps.fake_reproducing import FakeReproducing
from tests.apps.fake_streams import FakeStreams
from tests.apps.fake_tables import FakeTables
from tests.apps.fake_training import FakeLeakage, FakeTraining

from leverframe.apps.platform import views
from leverframe.core.actor import Actor
from leverframe.core.lineage import graph_of

__all__ = ["TOKENS", "Calls", "EmptyPlatform", "FakeAccess", "FakePlatform"]


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
        self.leakage = FakeLeakage()
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
