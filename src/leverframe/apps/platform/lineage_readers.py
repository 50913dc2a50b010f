"""The lineage graph of what the ledger declares, and from it who reads a column: asked outside of a change, and inside of one."""

from collections.abc import Callable, Iterable

from leverframe.apps.platform.lineage_bundles import Bundles, Frozen
from leverframe.apps.platform.lineage_graph import GraphBuilder
from leverframe.core.consumers import Consumer, Finds, consumers_of
from leverframe.core.feature import FeatureView
from leverframe.core.feature_service import KIND_SERVICE, FeatureService
from leverframe.core.lineage import Graph
from leverframe.core.model import ModelSpec, ModelVersion
from leverframe.core.route import Endpoint
from leverframe.data.commands import KIND_CONTRACT
from leverframe.data.contract.contracts import Contract
from leverframe.data.retention.commands_erasure import KIND_ERASURE, ErasureRecord
from leverframe.data.snapshots.source_marks import KIND_MARK, SourceMark
from leverframe.data.sources.registered import KIND_SOURCE, Source
from leverframe.data.streams.taken import KIND_STREAM, Stream
from leverframe.features.commands import KIND_VIEW
from leverframe.release.records import KIND_ENDPOINT
from leverframe.training.commands import KIND_MODEL, KIND_MODEL_VERSION


def build(ledger: Finds, frozen: Callable[[ModelVersion], Frozen | None], environment: str, *, versions_max: int = 0) -> tuple[Graph, bool]:
    """The graph of everything in ``ledger``, and whether it was cut at its bound.

    Parameters
    ----------
    frozen: what a version's bundle says of itself.
    versions_max: so many versions of a model are in it, the newest first, besides those that answer in ``environment``.
    """
    builder = GraphBuilder()
    contracts = ledger.find(KIND_CONTRACT, Contract)
    builder.add_contracts(contracts)
    builder.add_sources(ledger.find(KIND_SOURCE, Source), ledger.find(KIND_MARK, SourceMark), contracts)
    builder.add_streams(ledger.find(KIND_STREAM, Stream), contracts)
    for view in ledger.find(KIND_VIEW, FeatureView):
        builder.add_view(view)
    for service in ledger.find(KIND_SERVICE, FeatureService):
        builder.add_service(service)
    models = ledger.find(KIND_MODEL, ModelSpec)
    for spec in models:
        builder.add_model(spec)
    endpoints = ledger.find(KIND_ENDPOINT, Endpoint, prefix=f"{environment}/")
    answering = [arm for endpoint in endpoints for arm in (*endpoint.arms, endpoint.fallback.last_good) if arm is not None]
    routed = {arm.version for arm in answering}
    deleted = {old: record.id for record in ledger.find(KIND_ERASURE, ErasureRecord) for old in record.replaced}
    for spec in models:
        versions = ledger.find(KIND_MODEL_VERSION, ModelVersion, prefix=f"{spec.name}/")
        oldest = len(versions) - versions_max
        for place, version in enumerate(versions):
            if place >= oldest or version.name in routed:
                builder.add_version(version.name, version.model, frozen(version), deleted)
    for endpoint in endpoints:
        builder.add_endpoint(environment, endpoint)
    return builder.graph(), builder.cut


class GraphReaders:
    """Who reads a column, by the graph of a ledger or of a transaction on it.

    Within a transaction only what is declared comes from it. What a bundle says never changes; whoever asks inside a transaction has asked
    outside before, so that no bundle has to be opened while others wait.
    """

    def __init__(self, bundles: Bundles, environment: str) -> None:
        self._bundles = bundles
        self._environment = environment

    def __call__(self, ledger: Finds, dataset: str, columns: Iterable[str]) -> tuple[Consumer, ...]:
        """Everyone who loses something with ``columns`` of ``dataset`` (``*``: any of them)."""
        wanted = frozenset(columns)
        return consumers_of(build(ledger, self._bundles.frozen, self._environment)[0], dataset, wanted) if wanted else ()
