"""Use cases of materialisation: jobs that fill the online store, and the versions it holds."""

from leverframe.apps.durable import FEATURES_QUEUE
from leverframe.apps.platform.bound_views import bound_versions, held_definitions
from leverframe.apps.platform.datasets import contract_of, latest_snapshot
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views import MaterializeRequest
from leverframe.core.actor import Actor
from leverframe.core.digest import canonical_json, digest_bytes
from leverframe.core.errors import Forbidden, InvalidInput, NotFound
from leverframe.core.feature import FeatureView
from leverframe.data.commands import KIND_CONTRACT
from leverframe.data.contract.contracts import Contract
from leverframe.features.commands import KIND_VIEW
from leverframe.features.declared.definitions import view_version
from leverframe.features.job_commands import StartMaterialization, job_key
from leverframe.features.materialization.jobs import KIND_JOB, JobRecord, JobRequest, Mode
from leverframe.features.materialization.materialize import check_forward
from leverframe.features.materialization.slices import PARTITIONS_MAX, time_slices
from leverframe.features.online.online import NEVER_US

WORKFLOW = "materialize"
JOB_ID_DIGITS = 12


class Materializing:
    """Materialisation jobs."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def start(self, actor: Actor, request: MaterializeRequest, *, key: str) -> tuple[JobRecord, ...]:
        """Record a job for each named view (none: all) and hand it to a worker, and one for each older version that models still read.

        The snapshot is pinned now: what is ingested while a job runs is left to the next one. All jobs are checked before any is recorded.

        Raises
        ------
        Forbidden: a view is another team's.
        NotFound: a name is no view, or its source was never ingested.    Conflict: a job for the view is under way.
        InvalidInput: the moment lies before what the store holds, or the partitions make no sense.
        """
        parts = self._parts
        views = {view.name: view for view in parts.ledger.find(KIND_VIEW, FeatureView)}
        unknown = [name for name in request.names if name not in views]
        if unknown:
            raise NotFound("no such feature view", where=", ".join(unknown), expected=", ".join(views), next_step="lever features list")
        # Every view is there to be read; whose rows it is made of, may bring it to a moment.
        datasets = {contract.dataset for contract in parts.ledger.find(KIND_CONTRACT, Contract)}
        foreign = [name for name in request.names if views[name].source not in datasets]
        if foreign and parts.whole is not parts:
            raise Forbidden(
                "this view belongs to another team", where=", ".join(foreign), next_step="ask its owner: lever features show NAME"
            )
        own = tuple(name for name, view in views.items() if parts.whole is parts or view.source in datasets)
        to_us = parts.clock.now_us() if request.to_us is None else request.to_us
        bound = bound_versions(parts)
        asked: list[JobRequest] = []
        for name in request.names or own:
            asked.append(self._job(actor, views[name], request, to_us, key, activate=True))
            for older in self._older(views[name], set(bound.get(name, ()))):
                asked.append(self._job(actor, older, request, to_us, key, activate=False))
        for job in asked:
            self._begin(actor, job, request.take_over, key)
        return tuple(self.job(job.job_id) for job in asked)

    def _older(self, view: FeatureView, bound: set[str]) -> list[FeatureView]:
        """Earlier declarations of ``view`` that the store holds and models still read."""
        wanted = bound - {view_version(view)}
        return [version for version in held_definitions(self._parts, view.name) if view_version(version) in wanted]

    def _job(self, actor: Actor, view: FeatureView, request: MaterializeRequest, to_us: int, key: str, *, activate: bool) -> JobRequest:
        snapshot = latest_snapshot(self._parts, view.source)
        if snapshot is None:
            raise NotFound("nothing was ingested yet", where=view.source, next_step=f"lever data ingest {view.source} <file>")
        held = self._parts.online.meta(view.name, view_version(view))
        mode: Mode = "full" if held is None else request.mode
        from_us = NEVER_US
        if held is not None and mode != "full":
            check_forward(view, held.watermark_us, to_us)
            from_us = held.watermark_us if request.from_us is None else request.from_us
            if from_us > held.watermark_us:
                raise InvalidInput(
                    "between what the store holds and the first partition there would be a gap",
                    where=view.name,
                    expected=f"a moment up to {held.watermark_us}",
                    got=str(from_us),
                    next_step=f"lever features materialize {view.name}",
                )
            if request.step_us:
                time_slices(from_us, to_us, request.step_us)
        return JobRequest(
            job_id=f"mat-{digest_bytes(f'{actor.subject}/{key}/{view_version(view)}'.encode())[7:][:JOB_ID_DIGITS]}",
            view=view,
            mode=mode,
            snapshot=snapshot.digest,
            from_us=from_us,
            to_us=to_us,
            step_us=request.step_us,
            parts=min(request.parts, PARTITIONS_MAX),
            activate=activate,
            owning_team=contract_of(self._parts, view.source).team,
        )

    def _begin(self, actor: Actor, job: JobRequest, take_over: bool, key: str) -> None:
        command = StartMaterialization(
            job_id=job.job_id,
            view=job.view.name,
            view_version=view_version(job.view),
            source=job.view.source,
            mode=job.mode,
            snapshot=job.snapshot,
            from_us=job.from_us,
            to_us=job.to_us,
            take_over=take_over,
            owning_team=job.owning_team,
        )
        held = self._parts.ledger.get(KIND_JOB, job_key(job.view.name, job.job_id), JobRecord)
        argument = self._parts.artifacts.put(canonical_json(job))
        if held is None:
            self._parts.ledger.write(actor, command, key=f"{key}/{job.job_id}")
        # A crash here leaves a job that nobody works on; asking again with the same key hands it over.
        self._parts.queue.enqueue(WORKFLOW, job.job_id, argument, queue=FEATURES_QUEUE)

    def jobs(self, view: str = "") -> tuple[JobRecord, ...]:
        """Jobs of a view (empty: of all), newest first."""
        found = self._parts.ledger.find(KIND_JOB, JobRecord, prefix=f"{view}/" if view else "")
        return tuple(sorted(found, key=lambda job: (job.started_at_us, job.id), reverse=True))

    def job(self, job_id: str) -> JobRecord:
        """One job.

        Raises
        ------
        NotFound: no such job.
        """
        found = next((job for job in self._parts.ledger.find(KIND_JOB, JobRecord) if job.id == job_id), None)
        if found is None:
            raise NotFound("no such materialisation", where=job_id[:120], next_step="lever features jobs")
        return found
