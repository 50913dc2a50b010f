"""What can be asked of fetches: start one, say how far it is, say how it ended. A dataset has one at a time."""

from typing import Any, ClassVar, Literal

import msgspec

from leverframe.core.command import Handles, Transaction
from leverframe.core.digest import Digest
from leverframe.core.errors import Conflict
from leverframe.data.of_dataset import OfDataset
from leverframe.data.retention.doomed import doom
from leverframe.data.sources.fetch_jobs import KIND_FETCH, KIND_FETCH_LEASE, FetchJob, FetchLease, fetch_key, running_fetch

FETCHES_KEPT = 50
"""Finished fetches of a dataset that stay in the list; older ones remain in the ledger's history."""


class _OfFetch(OfDataset, frozen=True, kw_only=True):
    """About one fetch into a dataset."""

    action: ClassVar[str] = "Data.Ingest"
    job_id: str


class StartFetch(_OfFetch, frozen=True, kw_only=True):
    """Record that a job fetches what is new in ``source``; ``take_over`` ends one that is under way."""

    source: str
    pattern: str = ""
    full: bool = False
    take_over: bool = False


class RecordFetched(_OfFetch, frozen=True, kw_only=True):
    """Say how far a fetch is: totals, so that saying it twice changes nothing."""

    pieces: int
    pieces_done: int
    rows: int
    bytes: int
    seconds: float
    reached: str


class FinishFetch(_OfFetch, frozen=True, kw_only=True):
    """Say how a fetch ended. ``staged`` are the blobs that were kept for it: those that nothing names are deleted."""

    outcome: Literal["done", "nothing_new", "refused", "failed"]
    snapshot: Digest = ""
    quarantine: Digest = ""
    report_digest: Digest = ""
    failure: str = ""
    staged: tuple[Digest, ...] = ()


def start_fetch(command: StartFetch, tx: Transaction) -> dict[str, Any]:
    """Put the job and its lease.

    Raises
    ------
    Conflict: another fetch into this dataset is under way, and nobody said to take over.
    """
    lease = tx.get(KIND_FETCH_LEASE, command.dataset, FetchLease)
    if lease is not None:
        other = running_fetch(tx, command.dataset, lease.job_id)
        if not command.take_over:
            raise Conflict(
                "another fetch into this dataset is under way",
                where=f"dataset {command.dataset}",
                got=f"{other.id} of {other.source}, {other.rows:,} rows read",
                next_step=f"lever data fetches --attach {other.id}, or repeat with --take-over",
            )
        ended = msgspec.structs.replace(other, status="superseded", finished_at_us=tx.now_us, failure=f"taken over by {command.job_id}")
        tx.put(KIND_FETCH, fetch_key(command.dataset, other.id), ended)
    job = FetchJob(
        id=command.job_id,
        dataset=command.dataset,
        source=command.source,
        pattern=command.pattern,
        full=command.full,
        started_by=tx.actor.subject,
        started_at_us=tx.now_us,
    )
    tx.put(KIND_FETCH, fetch_key(command.dataset, job.id), job)
    tx.put(KIND_FETCH_LEASE, command.dataset, FetchLease(job_id=job.id))
    _forget_old(command.dataset, tx)
    return {"job": job.id}


def _forget_old(dataset: str, tx: Transaction) -> None:
    ended = sorted((job for job in tx.find(KIND_FETCH, FetchJob, f"{dataset}/") if job.status != "running"), key=lambda j: j.started_at_us)
    for job in ended[: max(0, len(ended) - FETCHES_KEPT)]:
        tx.delete(KIND_FETCH, fetch_key(dataset, job.id))


def record_fetched(command: RecordFetched, tx: Transaction) -> dict[str, Any]:
    """Put how far the job is.

    Raises
    ------
    Conflict: it may not write any more.
    """
    job = running_fetch(tx, command.dataset, command.job_id)
    record = msgspec.structs.replace(
        job,
        pieces=command.pieces,
        pieces_done=command.pieces_done,
        rows=command.rows,
        bytes=command.bytes,
        seconds=command.seconds,
        reached=command.reached,
    )
    tx.put(KIND_FETCH, fetch_key(job.dataset, job.id), record)
    return {"pieces_done": record.pieces_done}


def finish_fetch(command: FinishFetch, tx: Transaction) -> dict[str, Any]:
    """Put the job's end, give the lease back, and mark blobs that were kept for nothing.

    Raises
    ------
    Conflict: it was taken over.
    """
    job = running_fetch(tx, command.dataset, command.job_id)
    record = msgspec.structs.replace(
        job,
        status=command.outcome,
        snapshot=command.snapshot,
        quarantine=command.quarantine,
        report_digest=command.report_digest,
        failure=command.failure,
        finished_at_us=tx.now_us,
    )
    tx.put(KIND_FETCH, fetch_key(job.dataset, job.id), record)
    tx.delete(KIND_FETCH_LEASE, job.dataset)
    return {"outcome": command.outcome, "blobs": len(doom(command.staged, f"fetch {job.id}", tx))}


HANDLERS: tuple[Handles, ...] = (
    Handles(command=StartFetch, run=start_fetch),
    Handles(command=RecordFetched, run=record_fetched),
    Handles(command=FinishFetch, run=finish_fetch),
)
