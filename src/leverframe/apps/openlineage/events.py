"""From audit entries to run events. The same entry always gives the same events, run ids included, so that a repeat is seen as one."""

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from leverframe.apps.openlineage import records as ol
from leverframe.apps.platform.lineage import Lineage
from leverframe.core.clock import SECOND_US
from leverframe.core.dataset import ContractReport, Snapshot
from leverframe.core.errors import LeverframeError, NotFound
from leverframe.core.feature import FeatureView
from leverframe.core.lineage import Graph, graph_of
from leverframe.data.commands import KIND_CONTRACT, RecordQuarantine, RecordSnapshot
from leverframe.data.contract.contracts import Contract
from leverframe.features.commands import KIND_VIEW, RecordMaterialization
from leverframe.features.declared.lineage import ColumnUse, view_columns
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.ledger.chain import AuditEntry
from leverframe.governance.ledger.store import Ledger
from leverframe.release.records import KIND_RELEASE, Release
from leverframe.training.commands import FinishRun, StartRun

_SUBTYPES = {"filter": "FILTER", "key": "JOIN", "event_time": "WINDOW", "arrival_time": "WINDOW"}
_ENDS: Mapping[str, ol.EventType] = {"CompleteRelease": "COMPLETE", "AbortRelease": "ABORT", "Rollback": "FAIL"}


class EventMaker:
    """Makes the events of one installation.

    Parameters
    ----------
    installation: what tells its runs from another's with the same names (its signing key's id).
    """

    def __init__(self, ledger: Ledger, artifacts: ArtifactStore, lineage: Lineage, environment: str, installation: str) -> None:
        self._ledger = ledger
        self._artifacts = artifacts
        self._lineage = lineage
        self._namespace = f"leverframe://{environment}"
        self._runs = uuid.uuid5(uuid.NAMESPACE_URL, f"{self._namespace}/{installation}")
        self._made: Mapping[str, Callable[[AuditEntry], tuple[ol.RunEvent, ...]]] = {
            "RecordSnapshot": self._ingested,
            "RecordQuarantine": self._refused,
            "RecordMaterialization": self._materialized,
            "StartRun": self._training_started,
            "FinishRun": self._training_finished,
            "ApplyPlan": self._release_started,
            **dict.fromkeys(_ENDS, self._release_ended),
        }

    def events(self, entry: AuditEntry) -> tuple[ol.RunEvent, ...]:
        """The events of ``entry``, in order; none for a command that is no run."""
        make = self._made.get(entry.command)
        return make(entry) if make is not None else ()

    # Runs ------------------------------------------------------------------------------------------------------------

    def _ingested(self, entry: AuditEntry) -> tuple[ol.RunEvent, ...]:
        snapshot = msgspec.json.decode(entry.body, type=RecordSnapshot).snapshot
        offered = self._offered(snapshot.dataset, snapshot.report_digest)
        taken = self._dataset(snapshot.dataset, entry.at_us, snapshot)
        return self._whole(entry, f"ingest.{snapshot.dataset}", (offered,), (taken,))

    def _refused(self, entry: AuditEntry) -> tuple[ol.RunEvent, ...]:
        command = msgspec.json.decode(entry.body, type=RecordQuarantine)
        if command.rows:
            return ()  # The other rows of this file were taken in: its snapshot tells.
        offered = self._offered(command.dataset, command.report_digest)
        failure = ol.ErrorFacet(message=f"refused by contract {command.contract}: {', '.join(command.reasons)}")
        return self._whole(entry, f"ingest.{command.dataset}", (offered,), (), failure)

    def _materialized(self, entry: AuditEntry) -> tuple[ol.RunEvent, ...]:
        command = msgspec.json.decode(entry.body, type=RecordMaterialization)
        view = self._ledger.get(KIND_VIEW, command.view, FeatureView, at_us=entry.at_us)
        if view is None:
            return ()
        facets: dict[str, ol.Facet] = {
            "version": ol.VersionFacet(dataset_version=command.view_version),
            "columnLineage": ol.ColumnLineageFacet(fields=self._of_view(view)),
        }
        if view.owner:
            facets["ownership"] = ol.OwnershipFacet(owners=(ol.Owner(name=view.owner),))
        written = ol.Dataset(
            namespace=self._namespace,
            name=f"online.{view.name}",
            facets=facets,
            output_facets={"outputStatistics": ol.StatisticsFacet(row_count=command.entities)},
        )
        return self._whole(entry, f"materialize.{view.name}", (self._dataset(view.source, entry.at_us),), (written,))

    def _training_started(self, entry: AuditEntry) -> tuple[ol.RunEvent, ...]:
        command = msgspec.json.decode(entry.body, type=StartRun)
        return (self._event(entry, "START", f"train.{command.model}", command.run_id),)

    def _training_finished(self, entry: AuditEntry) -> tuple[ol.RunEvent, ...]:
        command = msgspec.json.decode(entry.body, type=FinishRun)
        job = f"train.{command.model}"
        if command.outcome == "failed":
            return (self._event(entry, "FAIL", job, command.run_id, failure=ol.ErrorFacet(message=command.failure)),)
        # The graph as it is now: of a version it is what the bundle froze, whenever one asks.
        shown = self._lineage.of(f"version/{command.version}")
        graph = graph_of(shown.nodes, shown.edges)
        read = dict.fromkeys(graph.nodes[id].group for id in graph.upstream(shown.focus) if graph.nodes[id].kind == "column")
        facet = ol.ColumnLineageFacet(fields=self._of_version(graph, shown.focus[0]))
        made = ol.Dataset(namespace=self._namespace, name=f"model.{command.version}", facets={"columnLineage": facet})
        inputs = tuple(self._dataset(dataset, entry.at_us) for dataset in read)
        return (self._event(entry, "COMPLETE", job, command.run_id, inputs, (made,)),)

    def _release_started(self, entry: AuditEntry) -> tuple[ol.RunEvent, ...]:
        return self._release(entry, "START")

    def _release_ended(self, entry: AuditEntry) -> tuple[ol.RunEvent, ...]:
        return self._release(entry, _ENDS[entry.command])

    def _release(self, entry: AuditEntry, type: ol.EventType) -> tuple[ol.RunEvent, ...]:
        id = str(msgspec.json.decode(entry.result).get("release", ""))
        release = self._ledger.get(KIND_RELEASE, id, Release) if id else None
        if release is None:
            return ()
        model = ol.Dataset(namespace=self._namespace, name=f"model.{release.candidate}")
        answers = ol.Dataset(namespace=self._namespace, name=f"endpoint.{release.environment}.{release.endpoint}")
        failure = ol.ErrorFacet(message=str(msgspec.json.decode(entry.body).get("reason", "rolled back"))) if type == "FAIL" else None
        job = f"release.{release.environment}.{release.endpoint}"
        return (self._event(entry, type, job, release.id, (model,), (answers,), failure),)

    # Parts -----------------------------------------------------------------------------------------------------------

    def _whole(
        self,
        entry: AuditEntry,
        job: str,
        inputs: tuple[ol.Dataset, ...],
        outputs: tuple[ol.Dataset, ...],
        failure: ol.ErrorFacet | None = None,
    ) -> tuple[ol.RunEvent, ...]:
        """A run that is recorded when it is over: both of its events."""
        run = f"{job}/{entry.seq}"
        end = self._event(entry, "FAIL" if failure else "COMPLETE", job, run, inputs, outputs, failure)
        return (self._event(entry, "START", job, run), end)

    def _event(
        self,
        entry: AuditEntry,
        type: ol.EventType,
        job: str,
        run: str,
        inputs: tuple[ol.Dataset, ...] = (),
        outputs: tuple[ol.Dataset, ...] = (),
        failure: ol.ErrorFacet | None = None,
    ) -> ol.RunEvent:
        return ol.RunEvent(
            event_type=type,
            event_time=datetime.fromtimestamp(entry.at_us / SECOND_US, UTC).isoformat(),
            run=ol.Run(run_id=str(uuid.uuid5(self._runs, run)), facets={"errorMessage": failure} if failure else {}),
            job=ol.Job(namespace=self._namespace, name=job),
            inputs=inputs,
            outputs=outputs,
        )

    def _offered(self, dataset: str, report_digest: str) -> ol.Dataset:
        """A file as it was offered, with what the contract said of it; examples of failing rows stay here."""
        try:
            report = msgspec.json.decode(self._artifacts.get(report_digest), type=ContractReport)
        except NotFound:
            return ol.Dataset(namespace=self._namespace, name=f"{dataset}.offered")
        kept = tuple(ol.Assertion(assertion=result.rule, success=result.passed, column=result.column) for result in report.results)
        facets: dict[str, ol.Facet] = {"dataQualityAssertions": ol.AssertionsFacet(assertions=kept)}
        return ol.Dataset(namespace=self._namespace, name=f"{dataset}.offered", input_facets=facets)

    def _dataset(self, name: str, at_us: int, snapshot: Snapshot | None = None) -> ol.Dataset:
        """A dataset with its contract's columns and owner; ``snapshot`` is what was just written of it."""
        contract = next((c for c in self._ledger.find(KIND_CONTRACT, Contract, at_us=at_us) if c.dataset == name), None)
        facets: dict[str, ol.Facet] = {}
        if contract is not None:
            fields = tuple(ol.SchemaField(name=column.name, type=column.physical_type) for column in contract.columns)
            facets["schema"] = ol.SchemaFacet(fields=fields)
            facets["ownership"] = ol.OwnershipFacet(owners=(ol.Owner(name=contract.owner),))
        written: dict[str, ol.Facet] = {}
        if snapshot is not None:
            facets["version"] = ol.VersionFacet(dataset_version=snapshot.digest)
            written["outputStatistics"] = ol.StatisticsFacet(row_count=snapshot.rows, size=snapshot.bytes)
        return ol.Dataset(namespace=self._namespace, name=name, facets=facets, output_facets=written)

    def _of_view(self, view: FeatureView) -> dict[str, ol.OutputField]:
        found: dict[str, list[ol.InputField]] = {feature: [] for feature in view.features}
        for use in view_columns(view):
            step = _transformation(use)
            found[use.feature].append(ol.InputField(namespace=self._namespace, name=view.source, field=use.column, transformations=(step,)))
        return {feature: ol.OutputField(input_fields=tuple(fields)) for feature, fields in found.items()}

    def _of_version(self, graph: Graph, version: str) -> dict[str, ol.OutputField]:
        """Each input column of a version with the dataset columns that it comes from."""
        found: dict[str, dict[str, Any]] = {}
        for edge in graph.entering(version):
            if edge.column:
                columns = (graph.nodes[id] for id in graph.upstream([edge.source]) if graph.nodes[id].kind == "column")
                found.setdefault(edge.column, {}).update({node.id: node for node in columns})
        return {
            column: ol.OutputField(
                input_fields=tuple(
                    ol.InputField(namespace=self._namespace, name=node.group, field=node.name.removeprefix(f"{node.group}."))
                    for node in nodes.values()
                )
            )
            for column, nodes in found.items()
        }


def _transformation(use: ColumnUse) -> ol.Transformation:
    if use.role == "expression":
        return ol.Transformation(type="DIRECT", subtype="IDENTITY" if use.how == use.column else "TRANSFORMATION", description=use.how)
    if use.role == "aggregate":
        return ol.Transformation(type="DIRECT", subtype="AGGREGATION", description=use.how)
    return ol.Transformation(type="INDIRECT", subtype=_SUBTYPES[use.role], description=use.how)


def safely(make: Callable[[AuditEntry], tuple[ol.RunEvent, ...]], entry: AuditEntry) -> tuple[tuple[ol.RunEvent, ...], str]:
    """The events and no complaint, or no events and why: one damaged bundle must not end the story of everything after it."""
    try:
        return make(entry), ""
    except (LeverframeError, msgspec.MsgspecError) as error:
        return (), str(error)
