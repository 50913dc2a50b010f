"""What every use case shares: the opened stores, keys and clock of one installation."""

from dataclasses import dataclass, replace

from leverframe.apps.durable import DurableQueue
from leverframe.apps.gateway_view.probe import GatewayProbe
from leverframe.apps.platform.lineage_bundles import Bundles
from leverframe.apps.publishing import Publisher
from leverframe.apps.settings import Settings
from leverframe.core.clock import Clock
from leverframe.features.online.online import OnlineStore
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.ledger.store import Ledger
from leverframe.governance.policy import Policy
from leverframe.governance.pseudonyms import Pseudonyms
from leverframe.governance.signing import SigningKey, TrustStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The opened parts of one installation; made by ``apps.wiring``."""

    settings: Settings
    clock: Clock
    ledger: Ledger
    policy: Policy
    artifacts: ArtifactStore
    bundles: Bundles
    key: SigningKey
    pseudonyms: Pseudonyms
    trust: TrustStore
    online: OnlineStore
    queue: DurableQueue
    publisher: Publisher
    probe: GatewayProbe

    @property
    def whole(self) -> "Parts":
        """These parts with a ledger that leaves nothing out: for what must count everybody, as who reads a column."""
        return self if self.ledger.whole is self.ledger else replace(self, ledger=self.ledger.whole)
