"""What is read and written, as OpenLineage's datasets with their facets: rows as offered, datasets, registered sources, online views."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from leverframe.apps.openlineage import records as ol
from leverframe.core.dataset import ContractReport, Snapshot
from leverframe.core.errors import NotFound
from leverframe.core.feature import FeatureView
from leverframe.core.lineage import Graph
from leverframe.data.commands import KIND_CONTRACT
from leverframe.data.contract.contracts import Contract
from leverframe.data.sources.registered import KIND_SOURCE, Source
from leverframe.features.declared.definitions import view_version
from leverframe.features.declared.lineage import ColumnUse, view_columns
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.ledger.store import Ledger

_SUBTYPES = {"filter": "FILTER", "key": "JOIN", "event_time": "WINDOW", "arrival_time": "WINDOW"}
POSTGRESQL_PORT = 5432


class Datasets:
    """Describes datasets of one installation, under its ``namespace``."""

    def __init__(self, ledger: Ledger, artifacts: ArtifactStore, namespace: str) -> None:
        self._ledger = ledger
        self._artifacts = artifacts
        self._namespace = namespace

    def offered(self, dataset: str, report_digest: str) -> ol.Dataset:
        """Rows as they were offered, with what the contract said of them; examples of failing rows stay here."""
        try:
            report = msgspec.json.decode(self._artifacts.get(report_digest), type=ContractReport)
        except NotFound:
            return ol.Dataset(namespace=self._namespace, name=f"{dataset}.offered")
        kept = tuple(ol.Assertion(assertion=result.rule, success=result.passed, column=result.column) for result in report.results)
        facets: dict[str, ol.Facet] = {"dataQualityAssertions": ol.AssertionsFacet(assertions=kept)}
        return ol.Dataset(namespace=self._namespace, name=f"{dataset}.offered", input_facets=facets)

    def source(self, name: str, at_us: int) -> tuple[ol.Dataset, ...]:
        """A registered source as other producers call it; none when it is not on record.

        Source: OpenLineage, "Dataset naming" (https://openlineage.io/docs/spec/naming).
        """
        source = self._ledger.get(KIND_SOURCE, name, Source, at_us=at_us)
        if source is None:
            return ()
        namespace, spelled = named_source(source)
        return (ol.Dataset(namespace=namespace, name=spelled),)

    def stream(self, source: str) -> ol.Dataset:
        """A stream by its broker and name."""
        parts = urlsplit(source)
        return ol.Dataset(namespace=f"{parts.scheme}://{parts.netloc}", name=parts.path.strip("/") or source)

    def dataset(self, name: str, at_us: int, snapshot: Snapshot | None = None, version: str = "") -> ol.Dataset:
        """A dataset with its contract's columns and owner; ``snapshot`` is what was just written of it, ``version`` what is read."""
        contract = next((c for c in self._ledger.find(KIND_CONTRACT, Contract, at_us=at_us) if c.dataset == name), None)
        facets: dict[str, ol.Facet] = {}
        if contract is not None:
            fields = tuple(ol.SchemaField(name=column.name, type=column.physical_type) for column in contract.columns)
            facets["schema"] = ol.SchemaFacet(fields=fields)
            facets["ownership"] = ol.OwnershipFacet(owners=(ol.Owner(name=contract.owner),))
        written: dict[str, ol.Facet] = {}
        if snapshot is not None:
            written["outputStatistics"] = ol.StatisticsFacet(row_count=snapshot.rows, size=snapshot.bytes)
        if snapshot is not None or version:
            facets["version"] = ol.VersionFacet(dataset_version=snapshot.digest if snapshot is not None else version)
        return ol.Dataset(namespace=self._namespace, name=name, facets=facets, output_facets=written)

    def online(self, view: FeatureView, entities: int) -> ol.Dataset:
        """What the online store holds of a version of a view, column by column."""
        facets: dict[str, ol.Facet] = {
            "version": ol.VersionFacet(dataset_version=view_version(view)),
            "columnLineage": ol.ColumnLineageFacet(fields=self._of_view(view)),
        }
        if view.owner:
            facets["ownership"] = ol.OwnershipFacet(owners=(ol.Owner(name=view.owner),))
        written: dict[str, ol.Facet] = {"outputStatistics": ol.StatisticsFacet(row_count=entities)}
        return ol.Dataset(namespace=self._namespace, name=f"online.{view.name}", facets=facets, output_facets=written)

    def _of_view(self, view: FeatureView) -> dict[str, ol.OutputField]:
        found: dict[str, list[ol.InputField]] = {feature: [] for feature in view.features}
        for use in view_columns(view):
            step = _transformation(use)
            found[use.feature].append(ol.InputField(namespace=self._namespace, name=view.source, field=use.column, transformations=(step,)))
        return {feature: ol.OutputField(input_fields=tuple(fields)) for feature, fields in found.items()}

    def model(self, version: str, graph: Graph, node: str) -> ol.Dataset:
        """A registered version: each input column with the dataset columns that it comes from."""
        found: dict[str, dict[str, Any]] = {}
        for edge in graph.entering(node):
            if edge.column:
                columns = (graph.nodes[id] for id in graph.upstream([edge.source]) if graph.nodes[id].kind == "column")
                found.setdefault(edge.column, {}).update({node.id: node for node in columns})
        fields = {column: ol.OutputField(input_fields=self._fields(nodes.values())) for column, nodes in found.items()}
        facet = ol.ColumnLineageFacet(fields=fields)
        return ol.Dataset(namespace=self._namespace, name=f"model.{version}", facets={"columnLineage": facet})

    def _fields(self, nodes: Iterable[Any]) -> tuple[ol.InputField, ...]:
        return tuple(
            ol.InputField(namespace=self._namespace, name=node.group, field=node.name.removeprefix(f"{node.group}.")) for node in nodes
        )


def named_source(source: Source) -> tuple[str, str]:
    """Namespace and name of a source's rows; of a declared query the whole database is named.

    >>> named_source(Source(name="o", kind="postgresql", team="t", location="postgresql://reader@db/shop", table="public.orders"))
    ('postgres://db:5432', 'shop.public.orders')
    >>> named_source(Source(name="l", kind="objects", team="t", location="s3://rows/landing"))
    ('s3://rows', 'landing')
    """
    parts = urlsplit(source.location)
    path = parts.path.strip("/")
    if source.kind == "postgresql":
        table = source.table if "." in source.table or not source.table else f"public.{source.table}"
        return f"postgres://{parts.hostname or 'localhost'}:{parts.port or POSTGRESQL_PORT}", ".".join(filter(None, (path, table)))
    if source.kind == "spark":
        return source.location.rstrip("/"), source.table
    return ("file", parts.path or "/") if parts.scheme == "file" else (f"{parts.scheme}://{parts.netloc}", path or "/")


def _transformation(use: ColumnUse) -> ol.Transformation:
    if use.role == "expression":
        return ol.Transformation(type="DIRECT", subtype="IDENTITY" if use.how == use.column else "TRANSFORMATION", description=use.how)
    if use.role == "aggregate":
        return ol.Transformation(type="DIRECT", subtype="AGGREGATION", description=use.how)
    return ol.Transformation(type="INDIRECT", subtype=_SUBTYPES[use.role], description=use.how)
