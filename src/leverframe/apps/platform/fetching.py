"""Use cases of fetches: jobs that read what is new in a registered source."""

from leverframe.apps.durable import DATA_QUEUE
from leverframe.apps.platform.datasets import contract_of
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.sources import Sources
from leverframe.apps.platform.views.sources import FetchRequest
from leverframe.core.actor import Actor
from leverframe.core.digest import canonical_json, digest_bytes
from leverframe.core.errors import NotFound, Refused
from leverframe.data.commands_fetch import StartFetch
from leverframe.data.snapshots.source_marks import KIND_MARK, SourceMark
from leverframe.data.sources.fetch_jobs import KIND_FETCH, FetchJob, FetchOrder, fetch_key
from leverframe.data.sources.objects import check_pattern
from leverframe.data.sources.registered import check_allowed
from leverframe.governance.decision import require

WORKFLOW = "fetch"
JOB_ID_DIGITS = 12


class Fetching:
    """Fetches of registered sources."""

    def __init__(self, parts: Parts, sources: Sources) -> None:
        self._parts, self._sources = parts, sources

    def start(self, actor: Actor, dataset: str, request: FetchRequest, *, key: str) -> FetchJob:
        """Record a job that fetches the rows of a source that are new to ``dataset``, and hand it to a worker.

        With ``full`` all of them are fetched, in the place of what is there; ``pattern`` names objects below the source's location, for
        instance ``2026-05/*.parquet``. The source as declared, how far it was read and the contract are pinned now.

        Raises
        ------
        NotFound: no such source or contract.  Refused: another team's source, or a place that is not allowed any more.
        Conflict: another fetch into the dataset is under way.  InvalidInput: no usable pattern.
        """
        parts = self._parts
        source, contract = self._sources.source(request.source), contract_of(parts, dataset)
        require(parts.policy, actor, StartFetch.action, f"dataset/{dataset}", contract.team, {})
        if source.team != contract.team:
            raise Refused("the source belongs to another team", where=f"source {source.name}", expected=contract.team, got=source.team)
        check_allowed(source, parts.settings.sources_allowed.split())
        if source.kind == "objects":
            check_pattern(request.pattern or "*")
        nothing = SourceMark(source=source.name, dataset=dataset)
        held = None if request.full else parts.ledger.get(KIND_MARK, nothing.id, SourceMark)
        order = FetchOrder(
            job_id=f"fetch-{digest_bytes(f'{actor.subject}/{key}/{dataset}'.encode())[7:][:JOB_ID_DIGITS]}",
            dataset=dataset,
            source=source,
            pattern=request.pattern,
            full=request.full,
            held=held or nothing,
            contract_digest=contract.digest,
            owner_team=contract.team,
        )
        started = parts.ledger.get(KIND_FETCH, fetch_key(dataset, order.job_id), FetchJob)
        if started is None:
            command = StartFetch(
                job_id=order.job_id,
                dataset=dataset,
                owner_team=contract.team,
                source=source.name,
                pattern=request.pattern,
                full=request.full,
                take_over=request.take_over,
            )
            parts.ledger.write(actor, command, key=key)
        if started is None or started.status == "running":
            # A crash before this leaves a job that nobody works on; asking again with the same key hands it over.
            parts.queue.enqueue(WORKFLOW, order.job_id, parts.artifacts.put(canonical_json(order)), queue=DATA_QUEUE)
        return self.job(order.job_id)

    def jobs(self, dataset: str = "") -> tuple[FetchJob, ...]:
        """Fetches into a dataset (empty: into all), newest first."""
        found = self._parts.ledger.find(KIND_FETCH, FetchJob, prefix=f"{dataset}/" if dataset else "")
        return tuple(sorted(found, key=lambda job: (job.started_at_us, job.id), reverse=True))

    def job(self, job_id: str) -> FetchJob:
        """One fetch.

        Raises
        ------
        NotFound: no such job.
        """
        found = next((job for job in self._parts.ledger.find(KIND_FETCH, FetchJob) if job.id == job_id), None)
        if found is None:
            raise NotFound("no such fetch", where=job_id[:120], next_step="lever data fetches")
        return found
