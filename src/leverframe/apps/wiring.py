"""Where the rooms meet: opens the stores, keys and clock an installation's settings name, and puts the platform together."""

from leverframe.apps.clocks import open_clock
from leverframe.apps.durable import DurableQueue
from leverframe.apps.gateway_view.probe import GatewayProbe
from leverframe.apps.platform.lineage_bundles import Bundles
from leverframe.apps.platform.lineage_readers import GraphReaders
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.platform import Platform
from leverframe.apps.publishing import Publisher
from leverframe.apps.settings import Settings
from leverframe.core.command import Handles
from leverframe.core.feature import FeatureView
from leverframe.data.commands import contract_handler
from leverframe.data.handlers import HANDLERS as DATA
from leverframe.features.commands import KIND_VIEW
from leverframe.features.handlers import HANDLERS as FEATURES
from leverframe.features.online.online_address import open_for_writing
from leverframe.features.services import HANDLERS as SERVICES
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.commands import HANDLERS as GOVERNANCE
from leverframe.governance.ledger.store import Ledger
from leverframe.governance.own_policies import HANDLERS as POLICIES
from leverframe.governance.policy import Policy
from leverframe.governance.pseudonyms import load_or_create as load_pseudonyms
from leverframe.governance.publication import Publication
from leverframe.governance.signing import TrustStore, load_or_create
from leverframe.governance.webhooks import HANDLERS as WEBHOOKS
from leverframe.monitoring.commands import HANDLERS as MONITORING
from leverframe.monitoring.error_budget import HANDLERS as BUDGETS
from leverframe.monitoring.objectives import HANDLERS as OBJECTIVES
from leverframe.release.commands import HANDLERS as RELEASE
from leverframe.serving.commands import HANDLERS as SERVING
from leverframe.training.handlers import HANDLERS as TRAINING
from leverframe.training.registries import HANDLERS as REGISTRIES

HANDLERS: tuple[Handles, ...] = (
    *GOVERNANCE,
    *POLICIES,
    *DATA,
    *FEATURES,
    *SERVICES,
    *TRAINING,
    *REGISTRIES,
    *RELEASE,
    *SERVING,
    *MONITORING,
    *BUDGETS,
    *OBJECTIVES,
    *WEBHOOKS,
)
"""Every command that any process carries out. A contract is put in force only where the lineage of columns is known: see open_parts."""


def open_parts(settings: Settings) -> Parts:
    """Open everything an installation consists of; missing folders, keys and tables are made.

    Raises
    ------
    Unavailable: a store cannot be opened.    Refused: the signing key can be read by others.
    """
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    clock = open_clock(settings.clock)
    policy = Policy()
    key = load_or_create(settings.keys_folder)
    trust = TrustStore.from_folder(settings.keys_folder)
    artifacts = ArtifactStore(settings.artifact_store_url)
    bundles = Bundles(artifacts, trust, lambda view: ledger.history(KIND_VIEW, view, FeatureView))
    contracts = contract_handler(GraphReaders(bundles, settings.environment))
    ledger = Ledger(settings.ledger_url, clock, policy, (*HANDLERS, contracts))
    publication = Publication(settings.publication_store_url)
    return Parts(
        settings=settings,
        clock=clock,
        ledger=ledger,
        policy=policy,
        artifacts=artifacts,
        bundles=bundles,
        key=key,
        pseudonyms=load_pseudonyms(settings.keys_folder),
        trust=trust,
        online=open_for_writing(settings.online_url, settings.online_folder),
        queue=DurableQueue(settings.durable_url),
        publisher=Publisher(ledger, publication, key, trust, clock, settings.environment),
        probe=GatewayProbe(settings.gateway_host, settings.gateway_port),
    )


def open_platform(settings: Settings) -> Platform:
    """The platform of one installation, ready to be asked."""
    return Platform(open_parts(settings))
