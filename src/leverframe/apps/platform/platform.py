"""The whole platform as one object: every use case, with the actor first and an idempotency key on each change."""

from dataclasses import replace

from leverframe.apps.platform.access import Access
from leverframe.apps.platform.audit import Audit
from leverframe.apps.platform.contract_details import ContractDetails
from leverframe.apps.platform.contracts import Contracts
from leverframe.apps.platform.data import Data
from leverframe.apps.platform.doctor import checks
from leverframe.apps.platform.erasing import Erasing
from leverframe.apps.platform.exceptions import Exceptions
from leverframe.apps.platform.experiments import Experiments
from leverframe.apps.platform.feature_details import FeatureDetails, KeptDistributions
from leverframe.apps.platform.feature_health import FeatureHealth
from leverframe.apps.platform.feature_services import FeatureServices
from leverframe.apps.platform.features import Features
from leverframe.apps.platform.fetching import Fetching
from leverframe.apps.platform.history import History
from leverframe.apps.platform.keeping import Keeping
from leverframe.apps.platform.leakage import Leakage
from leverframe.apps.platform.lineage import Lineage
from leverframe.apps.platform.materializing import Materializing
from leverframe.apps.platform.monitoring import Monitoring
from leverframe.apps.platform.objectives import ServiceObjectives
from leverframe.apps.platform.online_values import OnlineValues
from leverframe.apps.platform.operating import Operating
from leverframe.apps.platform.owners import OWNERS
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.policies import Policies, own_texts
from leverframe.apps.platform.projects import Projects
from leverframe.apps.platform.promoting import Promoting
from leverframe.apps.platform.pushing import Pushing
from leverframe.apps.platform.registries import Registries
from leverframe.apps.platform.release import Releases
from leverframe.apps.platform.reproducing import Reproducing
from leverframe.apps.platform.rollouts import Rollouts
from leverframe.apps.platform.serving import Serving
from leverframe.apps.platform.sources import Sources
from leverframe.apps.platform.status import Status
from leverframe.apps.platform.streams import Streams
from leverframe.apps.platform.tables import Tables
from leverframe.apps.platform.tenancy import TeamSight, apart
from leverframe.apps.platform.training import Training
from leverframe.apps.platform.views import Check, StatusView
from leverframe.apps.platform.watching import Watching
from leverframe.apps.platform.webhooks import Webhooks
from leverframe.core.actor import EVERY_TEAM, PLATFORM, Actor


class Platform:
    """One installation's use cases, by room."""

    def __init__(self, parts: Parts, *, kept: KeptDistributions | None = None, sight: TeamSight | None = None) -> None:
        self.parts = parts
        self._sight = sight
        self._kept = kept or KeptDistributions()
        self.data = Data(parts)
        self.contracts = Contracts(parts)
        self.keeping = Keeping(parts)
        self.contract_details = ContractDetails(parts, self.data, self.keeping)
        self.erasing = Erasing(parts)
        self.sources = Sources(parts)
        self.fetching = Fetching(parts, self.sources)
        self.streams = Streams(parts)
        self.features = Features(parts)
        self.materializing = Materializing(parts)
        self.health = FeatureHealth(parts)
        self.online_values = OnlineValues(parts)
        self.pushing = Pushing(parts)
        self.services = FeatureServices(parts)
        self.details = FeatureDetails(parts, self._kept)
        self.leakage = Leakage(parts)
        self.lineage = Lineage(parts)
        self.training = Training(parts)
        self.reproducing = Reproducing(parts)
        self.projects = Projects(parts, self.contracts)
        self.release = Releases(parts)
        self.exceptions = Exceptions(parts)
        self.history = History(parts, self.release)
        self.operating = Operating(parts, self.release)
        self.experiments = Experiments(parts)
        self.tables = Tables(parts)
        self.promoting = Promoting(parts, self.release)
        self.rollouts = Rollouts(parts, self.release)
        self.watching = Watching(parts)
        self.serving = Serving(parts, self.training)
        self.monitoring = Monitoring(parts)
        self.objectives = ServiceObjectives(parts)
        self.audit = Audit(parts)
        self.access = Access(parts)
        self.policies = Policies(parts)
        self.registries = Registries(parts)
        self.webhooks = Webhooks(parts)
        self._status = Status(parts, self.release, self.monitoring, self.audit, self.experiments)

    def seen_by(self, actor: Actor) -> "Platform":
        """This platform as ``actor`` has it: what belongs to other teams is not there (decision 0054). For one request."""
        parts = self.parts.whole
        policy = parts.policy.with_own(own_texts(parts.ledger))
        if not apart(policy, actor, EVERY_TEAM):
            return self
        sight = TeamSight(parts.ledger, policy, actor, parts.settings.environment)
        return Platform(replace(parts, ledger=parts.ledger.seen_with(sight)), kept=self._kept, sight=sight)

    def teams(self, kind: str, id: str) -> frozenset[str] | None:
        """Whose a record is, whoever looks; None: there is none, or nobody knows."""
        parts = self.parts
        return (self._sight or TeamSight(parts.ledger, parts.policy, PLATFORM, parts.settings.environment)).teams(kind, id)

    def hides(self, kind: str, id: str) -> bool:
        """Whether there is such a record, and not for whom this platform is."""
        return self._sight is not None and self._sight.hides(kind, id)

    def shares(self, kind: str) -> bool:
        """Whether records of this kind are there for everybody to read."""
        owner = OWNERS.get(kind)
        return owner is not None and owner.shared

    def status(self) -> StatusView:
        """Is everything all right? What changed? What needs me?"""
        return self._status.status()

    def doctor(self) -> tuple[Check, ...]:
        """Clock, disk, durability, exposure, credentials, reachability, age of the last route."""
        return checks(self.parts)

    def now_us(self) -> int:
        """The installation's time."""
        return self.parts.clock.now_us()

    def close(self) -> None:
        """Let go of every store."""
        self.parts.queue.close()
        self.parts.online.close()
        self.parts.ledger.close()
