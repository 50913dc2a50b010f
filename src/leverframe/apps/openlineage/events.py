"""From audit entries to run events. The same entry always gives the same events, run ids included, so that a repeat is seen as one."""

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from leverframe.apps.openlineage import records as ol
from leverframe.apps.openlineage.datasets import Datasets
from leverframe.apps.platform.lineage import Lineage
from leverframe.core.clock import SECOND_US
from leverframe.core.errors import LeverframeError
from leverframe.core.feature import FeatureView
from leverframe.core.lineage import graph_of
from leverframe.data.commands import RecordQuarantine, RecordSnapshot
from leverframe.data.commands_fetch import FinishFetch
from leverframe.data.sources.fetch_jobs import KIND_FETCH, FetchJob, fetch_key
from leverframe.data.streams.commands_streams import TakeBatch
from leverframe.features.commands import KIND_VIEW
from leverframe.features.declared.definitions import view_version
from leverframe.features.job_commands import FinishMaterialization, StartMaterialization, job_key
from leverframe.features.materialization.jobs import KIND_JOB, JobRecord
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.ledger.chain import AuditEntry
from leverframe.governance.ledger.store import Ledger
from leverframe.release.records import KIND_RELEASE, Release
from leverframe.training.commands import FinishRun, StartRun

_ENDS: Mapping[str, ol.EventType] = {"CompleteRelease": "COMPLETE", "AbortRelease": "ABORT", "Rollback": "FAIL"}


class EventMaker:
    """Makes the events of one installation.

    Parameters
    ----------
    installation: what tells its runs from another's with the same names (its signing key's id).
    """

    def __init__(self, ledger: Ledger, artifacts: ArtifactStore, lineage: Lineage, environment: str, installation: str) -> None:
        self._ledger = ledger
        self._lineage = lineage
        self._namespace = f"leverframe://{environment}"
        self._datasets = Datasets(ledger, artifacts, self._namespace)
        self._runs = uuid.uuid5(uuid.NAMESPACE_URL, f"{self._namespace}/{installation}")
        self._made: Mapping[str, Callable[[AuditEntry], tuple[ol.RunEvent, ...]]] = {
            "RecordSnapshot": self._ingested,
            "RecordQuarantine": self._refused,
            "FinishFetch": self._fetch_ended,
            "TakeBatch": self._batch_taken,
            "StartMaterialization": self._materialization_started,
            "FinishMaterialization": self._materialization_ended,
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
        command = msgspec.json.decode(entry.body, type=RecordSnapshot)
        snapshot = command.snapshot
        offered = self._datasets.offered(snapshot.dataset, snapshot.report_digest)
        fetched = self._datasets.source(command.mark.source, entry.at_us) if command.mark is not None else ()
        taken = self._datasets.dataset(snapshot.dataset, entry.at_us, snapshot)
        return self._whole(entry, f"ingest.{snapshot.dataset}", (offered, *fetched), (taken,))

    def _refused(self, entry: AuditEntry) -> tuple[ol.RunEvent, ...]:
        command = msgspec.json.decode(entry.body, type=RecordQuarantine)
        if command.rows:
            return ()  # The other rows of this file were taken in: its snapshot tells.
        offered = self._datasets.offered(command.dataset, command.report_digest)
        failure = ol.ErrorFacet(message=f"refused by contract {command.contract}: {', '.join(command.reasons)}")
        return self._whole(entry, f"ingest.{command.dataset}", (offered,), (), failure)

    def _batch_taken(self, entry: AuditEntry) -> tuple[ol.RunEvent, ...]:
        """A batch of a stream that brought rows."""
        command = msgspec.json.decode(entry.body, type=TakeBatch)
        if command.snapshot is None:
            return ()
        read = (self._datasets.offered(command.dataset, command.snapshot.report_digest), self._datasets.stream(command.stream.source))
        taken = self._datasets.dataset(command.dataset, entry.at_us, command.snapshot)
        return self._whole(entry, f"ingest.{command.dataset}", read, (taken,))

    def _fetch_ended(self, entry: AuditEntry) -> tuple[ol.RunEvent, ...]:
        """A fetch that failed; what one brought is told by the snapshot or the quarantine it ended in."""
        command = msgspec.json.decode(entry.body, type=FinishFetch)
        if command.outcome != "failed":
            return ()
        states = self._ledger.history(KIND_FETCH, fetch_key(command.dataset, command.job_id), FetchJob)
        source = next((r.record.source for r in reversed(states) if r.record is not None), "")
        read = self._datasets.source(source, entry.at_us) if source else ()
        return self._whole(entry, f"ingest.{command.dataset}", read, (), ol.ErrorFacet(message=command.failure))

    def _materialization_started(self, entry: AuditEntry) -> tuple[ol.RunEvent, ...]:
        command = msgspec.json.decode(entry.body, type=StartMaterialization)
        read = self._datasets.dataset(command.source, entry.at_us, version=command.snapshot)
        begun = self._event(entry, "START", f"materialize.{command.view}", command.job_id, (read,))
        taken_over = str(msgspec.json.decode(entry.result).get("superseded", ""))
        if not taken_over:
            return (begun,)
        failure = ol.ErrorFacet(message=f"taken over by {command.job_id}")
        return (self._event(entry, "ABORT", f"materialize.{command.view}", taken_over, failure=failure), begun)

    def _materialization_ended(self, entry: AuditEntry) -> tuple[ol.RunEvent, ...]:
        command = msgspec.json.decode(entry.body, type=FinishMaterialization)
        job = f"materialize.{command.view}"
        if command.outcome == "failed":
            return (self._event(entry, "FAIL", job, command.job_id, failure=ol.ErrorFacet(message=command.failure)),)
        states = self._ledger.history(KIND_JOB, job_key(command.view, command.job_id), JobRecord)
        record = next((r.record for r in reversed(states) if r.record is not None), None)
        if record is None:
            return (self._event(entry, "COMPLETE", job, command.job_id),)
        declared = reversed(self._ledger.history(KIND_VIEW, command.view, FeatureView))
        view = next((r.record for r in declared if r.record is not None and view_version(r.record) == record.view_version), None)
        written = (self._datasets.online(view, command.entities),) if view is not None else ()
        read = self._datasets.dataset(record.source, entry.at_us, version=record.snapshot)
        return (self._event(entry, "COMPLETE", job, command.job_id, (read,), written),)

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
        made = self._datasets.model(command.version, graph, shown.focus[0])
        inputs = tuple(self._datasets.dataset(dataset, entry.at_us) for dataset in read)
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


def safely(make: Callable[[AuditEntry], tuple[ol.RunEvent, ...]], entry: AuditEntry) -> tuple[tuple[ol.RunEvent, ...], str]:
    """The events and no complaint, or no events and why: one damaged bundle must not end the story of everything after it."""
    try:
        return make(entry), ""
    except (LeverframeError, msgspec.MsgspecError) as error:
        return (), str(error)
