"""Use case behind a feature view's page: its definition, its data, its age, its readers."""

from collections import OrderedDict
from threading import Lock

from leverframe.apps.platform.datasets import contract_of, latest_rows, latest_snapshot
from leverframe.apps.platform.feature_health import FeatureHealth
from leverframe.apps.platform.feature_services import resolved_models
from leverframe.apps.platform.lineage_bundles import Frozen
from leverframe.apps.platform.materializing import Materializing
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.projects import live_bundles
from leverframe.apps.platform.views import FeatureDetailView
from leverframe.core.column_reads import column_features, reads_feature
from leverframe.core.errors import InvalidInput, NotFound
from leverframe.core.feature import FeatureView
from leverframe.core.feature_page import AgePoint, EndpointReader, FeatureDistribution
from leverframe.core.feature_service import KIND_SERVICE, FeatureService
from leverframe.data.contract.contracts import Contract
from leverframe.data.contract.sql_columns import sql_columns
from leverframe.features.commands import KIND_MATERIALIZATION, KIND_VIEW, Materialization
from leverframe.features.declared.definitions import view_version
from leverframe.features.freshness import freshness
from leverframe.features.timelines.distribution import distributions

AGES_MAX = 60
JOBS_MAX = 12
KEPT_MAX = 64
"""So many views' distributions are kept; the one looked at longest ago goes."""


class FeatureDetails:
    """Everything about one view."""

    def __init__(self, parts: Parts, kept: "KeptDistributions") -> None:
        self._parts = parts
        self._health, self._materializing = FeatureHealth(parts), Materializing(parts)
        self._kept = kept

    def view(self, name: str) -> FeatureDetailView:
        """One view with its freshness and past ages, the distribution of its newest values, its jobs, its parity, and who reads it.

        Raises
        ------
        NotFound: no such view.
        """
        parts = self._parts
        view = parts.ledger.get(KIND_VIEW, name, FeatureView)
        if view is None:
            known = ", ".join(v.name for v in parts.ledger.find(KIND_VIEW, FeatureView)[:10])
            raise NotFound("no such feature view", where=name[:120], expected=known, next_step="lever features list")
        contract = contract_of(parts.whole, view.source)  # Whom to ask about a view is no secret; what its rows are is.
        snapshot = latest_snapshot(parts, view.source)
        meta = parts.online.meta(name)
        history = parts.ledger.history(KIND_MATERIALIZATION, name, Materialization)
        services = parts.ledger.find(KIND_SERVICE, FeatureService)
        found, problem = self._distributions(view, contract, snapshot.digest if snapshot else "")
        return FeatureDetailView(
            view=view,
            version=view_version(view),
            team=contract.team,
            contract_version=contract.version,
            snapshot=snapshot.digest if snapshot else "",
            freshness=freshness(view, meta, parts.clock.now_us()) if meta is not None else None,
            store_version=meta.view_version if meta is not None else "",
            ages=tuple(AgePoint(at_us=r.from_us, watermark_us=r.record.watermark_us) for r in history if r.record is not None)[-AGES_MAX:],
            services=tuple(s.name for s in services if any(f.view == name for f in s.features)),
            models=tuple(m.name for m in resolved_models(parts) if any(reads_feature(c, name) for c in m.columns)),
            endpoints=tuple(_readers(view, live_bundles(parts))),
            distributions=found,
            problem=problem,
            in_time_share=self._health.in_time_share(name),
            jobs=self._materializing.jobs(name)[:JOBS_MAX],
            parity=self._health.parity(name),
        )

    def _distributions(self, view: FeatureView, contract: Contract, snapshot: str) -> tuple[tuple[FeatureDistribution, ...], str]:
        """Computed once for each version of the view and snapshot; a view that does not fit its source says why instead."""
        if not snapshot:
            return (), ""
        key = (view_version(view), snapshot)
        found = self._kept.get(key)
        if found is None:
            try:
                found = distributions(view, latest_rows(self._parts, view.source)[1], personal_features(view, contract))
            except InvalidInput as error:
                return (), error.sentence()
            self._kept.put(key, found)
        return found, ""


class KeptDistributions:
    """The newest distributions by (version of the view, snapshot): at most ``KEPT_MAX``, the longest unread goes first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], tuple[FeatureDistribution, ...]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: tuple[str, str]) -> tuple[FeatureDistribution, ...] | None:
        """What was kept under ``key``."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: tuple[str, str], found: tuple[FeatureDistribution, ...]) -> None:
        """Keep ``found`` under ``key``."""
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)


def personal_features(view: FeatureView, contract: Contract) -> tuple[str, ...]:
    """The features that are made of a column which may identify a person: their values are told to nobody."""
    personal = {column.name for column in contract.columns if column.personal}
    made_of = {e.name: sql_columns(e.sql) for e in view.expressions}
    made_of |= {a.name: frozenset({a.column}) | sql_columns(a.condition) for a in view.aggregates if a.function != "count"}
    return tuple(name for name, columns in made_of.items() if columns & personal)


def _readers(view: FeatureView, live: dict[str, Frozen]) -> list[EndpointReader]:
    found = []
    for name, frozen in live.items():
        bound = frozen.signature
        binding = next((b for b in bound.views if b.view == view.name), None)
        if binding is not None:
            endpoint, _, version = name.rpartition(" ")
            found.append(
                EndpointReader(
                    endpoint=endpoint,
                    version=version.strip("()"),
                    view_version=binding.view_version,
                    features=tuple(dict.fromkeys(f.name for c in bound.columns for f in column_features(c) if f.view == view.name)),
                    current=binding.view_version == view_version(view),
                )
            )
    return found
