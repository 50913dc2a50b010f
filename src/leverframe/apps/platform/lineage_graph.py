"""The lineage graph of an installation, built from what the ledger declared at a moment and from what each bundle froze.

Declared things (sources, columns, features, services, a model's inputs) come from the ledger as of the moment asked about. A version is
joined to what its bundle says it was trained on: its own columns, and the definitions its views had *then*, found again in the ledger's
history.
"""

from collections.abc import Iterable, Mapping, Sequence

from leverframe.apps.platform.lineage_bundles import Frozen
from leverframe.core.column_reads import column_features, column_fields
from leverframe.core.digest import short
from leverframe.core.expressions.tree import Input
from leverframe.core.feature import FeatureView
from leverframe.core.feature_service import FeatureService, service_columns
from leverframe.core.lineage import NODES_MAX, Edge, Graph, Node, NodeKind, Role, graph_of
from leverframe.core.model import IMPORTED, ModelSpec
from leverframe.core.route import Endpoint
from leverframe.core.schema import InputColumn
from leverframe.data.contract.contracts import Contract
from leverframe.data.snapshots.source_marks import SourceMark
from leverframe.data.sources.registered import Source
from leverframe.data.streams.taken import Stream
from leverframe.features.declared.definitions import view_version
from leverframe.features.declared.lineage import sql_columns, view_columns


def past_name(feature: str, version: str) -> str:
    """What a feature is called by a definition that is no longer the one in force.

    >>> past_name("weather.temp", "sha256:0123456789abcdef")
    'weather.temp@0123456789ab'
    """
    return f"{feature}@{short(version)}"


def _place(source: Source) -> str:
    """What a reader sees of where a source is: no address, no name of a secret."""
    return f"{source.kind} {source.table or ('a declared query' if source.query else source.location)}"


def _reach(mark: SourceMark) -> str:
    if mark.objects:
        return f"{len(mark.objects)} objects"
    return f"up to {mark.position}" if mark.position else "whole"


class GraphBuilder:
    """Takes declarations one kind at a time, upstream first, and gives the graph of them."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._edges: list[Edge] = []
        self._current: dict[str, FeatureView] = {}
        self._services: dict[str, FeatureService] = {}
        self.cut = False

    def graph(self) -> Graph:
        """Everything that was added."""
        return graph_of(self._nodes.values(), self._edges)

    # Nodes and edges -------------------------------------------------------------------------------------------------

    def _node(self, kind: NodeKind, name: str, group: str, *, owner: str = "", team: str = "", note: str = "", gone: bool = False) -> str:
        id = f"{kind}/{name}"
        if id not in self._nodes:
            self._nodes[id] = Node(id=id, kind=kind, name=name, group=group, owner=owner, team=team, note=note, gone=gone)
        return id

    def _column(self, dataset: str, column: str) -> str:
        """A dataset's column; one that no contract declares is used all the same."""
        return self._node("column", f"{dataset}.{column}", dataset, note="no contract declares this column", gone=True)

    def _join(self, source: str, target: str, role: Role, how: str = "", *, column: str = "", weight: float = 0.0) -> None:
        self._edges.append(Edge(source=source, target=target, role=role, how=how, column=column, weight=weight))

    # Declarations ----------------------------------------------------------------------------------------------------

    def add_contracts(self, contracts: Iterable[Contract]) -> None:
        """Datasets' columns, with who answers for them."""
        for contract in contracts:
            for column in contract.columns:
                self._node(
                    "column",
                    f"{contract.dataset}.{column.name}",
                    contract.dataset,
                    owner=contract.owner,
                    team=contract.team,
                    note=column.physical_type,
                )

    def add_sources(self, sources: Iterable[Source], marks: Iterable[SourceMark], contracts: Iterable[Contract]) -> None:
        """Registered sources and the columns that were fetched from each: a source is read by the names of the contract's columns.

        A source that was taken back is still where its rows came from.
        """
        declared = {source.name: source for source in sources}
        columns = {contract.dataset: [column.name for column in contract.columns] for contract in contracts}
        read: dict[str, list[SourceMark]] = {name: [] for name in declared}
        for mark in marks:
            read.setdefault(mark.source, []).append(mark)
        for name, into in read.items():
            source = declared.get(name)
            told = "; ".join(f"{mark.dataset} read {_reach(mark)}" for mark in into) or "nothing was fetched from it yet"
            note = f"{_place(source)}; {told}" if source is not None else f"was taken back; {told}"
            node = self._node("source", name, name, team=source.team if source is not None else "", note=note, gone=source is None)
            for mark in into:
                for column in columns.get(mark.dataset, ()):
                    how = f"{source.table}.{column}" if source is not None and source.table else column
                    self._join(node, self._column(mark.dataset, column), "fetch", how, column=column)

    def add_streams(self, streams: Iterable[Stream], contracts: Iterable[Contract]) -> None:
        """Streams that are read into datasets, as sources of all their columns: messages carry the contract's names."""
        columns = {contract.dataset: [column.name for column in contract.columns] for contract in contracts}
        for stream in streams:
            note = f"stream {stream.source}; {stream.dataset} took {stream.rows:,} rows of it"
            node = self._node("source", stream.id, stream.id, note=f"{note}, paused: {stream.reason}" if stream.reason else note)
            for column in columns.get(stream.dataset, ()):
                self._join(node, self._column(stream.dataset, column), "fetch", column, column=column)

    def add_view(self, view: FeatureView, *, past: bool = False) -> None:
        """A view's features and the columns they are made from; ``past``: by a definition that was replaced."""
        version = view_version(view)
        named = {feature: f"{view.name}.{feature}" for feature in view.features}
        if past:
            named = {feature: past_name(name, version) for feature, name in named.items()}
        else:
            self._current[view.name] = view
        for name in named.values():
            self._node("feature", name, view.name, owner=view.owner, note="by a definition that was replaced since" if past else "")
        if view.transform:
            self._transformed(view, named.values())
            return
        for use in view_columns(view):
            self._join(self._column(view.source, use.column), f"feature/{named[use.feature]}", use.role, use.how)

    def add_service(self, service: FeatureService) -> None:
        """What a service selects."""
        self._services[service.name] = service
        for served in service.features:
            name = f"{service.name}.{served.column}"
            node = self._node("service_feature", name, service.name, owner=service.owner, team=service.team)
            renamed = f"as {served.column}" if served.column != served.feature else ""
            self._join(self._feature(served.view, served.feature), node, "selection", renamed)

    def add_model(self, spec: ModelSpec) -> None:
        """A declared model's inputs as they are declared now."""
        model = self._node("model", spec.name, spec.name, owner=spec.owner, team=spec.team)
        service = self._services.get(spec.service)
        columns = service_columns(spec, service) if service else spec.columns
        stated = {column.name for column in spec.columns}
        for column in columns:
            node = self._node("input", f"{spec.name}.{column.name}", spec.name, owner=spec.owner, team=spec.team)
            self._join(node, model, "input")
            if service is not None and column.name not in stated:
                self._join(f"service_feature/{service.name}.{column.name}", node, "selection")
            else:
                for feature in column_features(column):
                    self._join(self._feature(feature.view, feature.name), node, "selection", column.sql)
            for view in dict.fromkeys(feature.view for feature in column_features(column)):
                if view in self._current:
                    self._keys(spec.dataset, view, self._current[view].entity, node)
            self._asked(spec.dataset, column, node)
        self._prepared(spec, columns, {column.name: f"input/{spec.name}.{column.name}" for column in columns})
        self._questions(spec, spec.dataset, model)

    def add_version(self, name: str, model: str, frozen: Frozen | None, deleted: Mapping[str, str] | None = None) -> None:
        """A registered version and what it was trained on; None: its bundle cannot be read. In a graph that is full it is left out.

        ``deleted``: snapshots (``dataset/digest``) of which rows were deleted for good, and by which deletions.
        """
        if len(self._nodes) > NODES_MAX:
            self.cut = True
            return
        if frozen is None:
            self._node("version", name, model, note="its bundle cannot be read: lever models show says why", gone=True)
            return
        spec = frozen.spec
        node = self._node("version", name, model, owner=spec.owner, team=spec.team, note=frozen.note(deleted or {}))
        for view in frozen.views.values():
            if not self._is_current(view.name, view_version(view)):
                self.add_view(view, past=True)
        for column in frozen.signature.columns:
            for feature in column_features(column):
                self._join(self._trained(feature, frozen), node, "input", column.sql, column=column.name)
            self._asked(frozen.dataset, column, node)
        for binding in frozen.signature.views:
            self._keys(frozen.dataset, binding.view, binding.entity_fields, node)
        self._prepared(spec, frozen.signature.columns, {column.name: node for column in frozen.signature.columns}, frozen)
        self._questions(spec, frozen.dataset, node)

    def add_endpoint(self, environment: str, endpoint: Endpoint) -> None:
        """Who answers here, and with which share."""
        name = f"{environment}/{endpoint.name}"
        node = self._node("endpoint", name, name, note="killed: the fallback answers" if endpoint.killed else "")
        for arm in endpoint.arms:
            self._join(self._version(arm.version), node, "serves", f"{arm.role} {arm.weight:g} %", weight=arm.weight)
        last_good = endpoint.fallback.last_good
        if last_good is not None and last_good.version not in {arm.version for arm in endpoint.arms}:
            self._join(self._version(last_good.version), node, "serves", "last good, as fallback")

    def add_answering(self, endpoint: str, version: str) -> None:
        """That ``version`` has a share of what an endpoint answers, where no more is known of it."""
        self._join(self._version(version), self._node("endpoint", endpoint, endpoint), "serves")

    # Parts -----------------------------------------------------------------------------------------------------------

    def _version(self, name: str) -> str:
        return self._node("version", name, name.partition("@")[0], gone=True, note="no such version is registered")

    def _feature(self, view: str, feature: str) -> str:
        return self._node("feature", f"{view}.{feature}", view, gone=True, note="no view declares this feature")

    def _transformed(self, view: FeatureView, features: Iterable[str]) -> None:
        """A function may make any column from any other: every column of its source is taken to be in every feature."""
        columns = [node.id for node in self._nodes.values() if node.kind == "column" and node.group == view.source]
        for feature in features:
            for column in columns:
                self._join(column, f"feature/{feature}", "expression", f"through {view.transform}")

    def _is_current(self, view: str, version: str) -> bool:
        return view in self._current and view_version(self._current[view]) == version

    def _trained(self, feature: Input, frozen: Frozen) -> str:
        """The feature by the definition the version was trained with; a bundle that names none is taken to mean today's."""
        trained = frozen.feature_views.get(feature.view, "")
        if not trained or self._is_current(feature.view, trained):
            return self._feature(feature.view, feature.name)
        name = past_name(f"{feature.view}.{feature.name}", trained)
        return self._node("feature", name, feature.view, gone=True, note="the ledger knows no definition of that version")

    def _asked(self, dataset: str, column: InputColumn, node: str) -> None:
        how = column.sql or (f"{column.function}({column.field})" if column.function else "request field")
        for field in column_fields(column) if dataset else ():
            self._join(self._column(dataset, field), node, "request", how, column=column.name)

    def _keys(self, dataset: str, view: str, keys: Iterable[str], node: str) -> None:
        """The columns of the questions that a view's values are looked up by."""
        for key in keys if dataset else ():
            self._join(self._column(dataset, key), node, "lookup", f"looks {view} up")

    def _prepared(self, spec: ModelSpec, columns: Sequence[InputColumn], targets: Mapping[str, str], frozen: Frozen | None = None) -> None:
        """A prepared column also needs whatever the columns of its expression are made from."""
        named = {column.name: column for column in columns}
        for target, sql in spec.prepare.items():
            for name in sql_columns(sql) if target in targets else ():
                column, how = named.get(name), f"{target} = {sql}"
                for feature in column_features(column) if column else ():
                    source = self._trained(feature, frozen) if frozen else self._feature(feature.view, feature.name)
                    self._join(source, targets[target], "prepare", how)
                for field in (column_fields(column) if column else (name,)) if spec.dataset != IMPORTED else ():
                    self._join(self._column(spec.dataset, field), targets[target], "prepare", how)

    def _questions(self, spec: ModelSpec, dataset: str, node: str) -> None:
        """The label and the moments of the questions: without them there is nothing to train on."""
        named: tuple[tuple[str, Role, str], ...] = (
            (spec.label, "label", "label"),
            (spec.asked_at, "time", "moment of the question"),
            (spec.label_known_at, "time", "moment the label is known"),
        )
        for column, role, how in named if dataset else ():
            if column:
                self._join(self._column(dataset, column), node, role, how)
