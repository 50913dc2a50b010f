"""Commands of materialisation jobs. A version of a view has one job at a time; whoever takes over ends the other's right to write."""

from typing import ClassVar, Literal

import msgspec

from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.digest import Digest
from leverframe.core.errors import Conflict, NotFound
from leverframe.features.materialization.jobs import KIND_JOB, KIND_LEASE, JobRecord, Lease, Mode

JOBS_KEPT = 50
"""Finished jobs of a version of a view that stay in the list; older ones remain in the ledger's history."""


class _OfJob(Command, frozen=True, kw_only=True):
    """About one job of a view."""

    action: ClassVar[str] = "Features.Materialize"
    job_id: str
    view: str
    owning_team: str = ""

    def resource(self) -> str:
        """``view/<name>``."""
        return f"view/{self.view}"

    def team(self) -> str:
        """The owning team."""
        return self.owning_team


class StartMaterialization(_OfJob, frozen=True, kw_only=True):
    """Record that a job fills a version of a view; ``take_over`` ends a job that is under way."""

    view_version: Digest
    source: str
    mode: Mode
    snapshot: Digest
    from_us: int
    to_us: int
    take_over: bool = False


class RecordPartition(_OfJob, frozen=True, kw_only=True):
    """Record that a partition is computed: ``rows`` of the source read, ``bytes`` kept for the end, and what it took."""

    partition: str
    partitions: int
    rows: int
    bytes: int
    seconds: float
    cpu_seconds: float


class FinishMaterialization(_OfJob, frozen=True, kw_only=True):
    """Record how a job ended; a job that is done has written ``entities`` and brought the store to ``watermark_us``."""

    outcome: Literal["done", "failed"]
    entities: int = 0
    watermark_us: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    core_hour_price: float = 0.0
    failure: str = ""


def lease_id(view: str, view_version: Digest) -> str:
    """The lease's id in the ledger."""
    return f"{view}/{view_version}"


def job_key(view: str, job_id: str) -> str:
    """The job's id in the ledger: jobs are listed by view."""
    return f"{view}/{job_id}"


def start_materialization(command: StartMaterialization, tx: Transaction) -> dict[str, str]:
    """Put the job and its lease; says which job it took the lease from (empty: none).

    Raises
    ------
    Conflict: another job fills this version, and nobody said to take over.
    """
    lease = tx.get(KIND_LEASE, lease_id(command.view, command.view_version), Lease)
    superseded = lease.job_id if lease is not None else ""
    if lease is not None:
        other = _job(tx, command.view, lease.job_id)
        if not command.take_over:
            raise Conflict(
                "another materialisation of this view is under way",
                where=command.view,
                got=f"{other.id}, {other.partitions_done} of {other.partitions} partitions",
                next_step=f"lever features jobs --attach {other.id}, or repeat with --take-over",
            )
        ended = msgspec.structs.replace(other, status="superseded", finished_at_us=tx.now_us, failure=f"taken over by {command.job_id}")
        tx.put(KIND_JOB, job_key(other.view, other.id), ended)
    record = JobRecord(
        id=command.job_id,
        view=command.view,
        view_version=command.view_version,
        source=command.source,
        mode=command.mode,
        snapshot=command.snapshot,
        from_us=command.from_us,
        to_us=command.to_us,
        started_by=tx.actor.subject,
        started_at_us=tx.now_us,
    )
    tx.put(KIND_JOB, job_key(command.view, command.job_id), record)
    tx.put(KIND_LEASE, lease_id(command.view, command.view_version), Lease(job_id=command.job_id))
    _forget_old(command.view, tx)
    return {"job": command.job_id, "superseded": superseded}


def _forget_old(view: str, tx: Transaction) -> None:
    ended = sorted((job for job in tx.find(KIND_JOB, JobRecord, f"{view}/") if job.status != "running"), key=lambda job: job.started_at_us)
    for job in ended[: max(0, len(ended) - JOBS_KEPT)]:
        tx.delete(KIND_JOB, job_key(view, job.id))


def record_partition(command: RecordPartition, tx: Transaction) -> dict[str, int]:
    """Add a partition's figures to its job.

    Raises
    ------
    Conflict: the job may not write any more.
    """
    job = _running(tx, command.view, command.job_id)
    record = msgspec.structs.replace(
        job,
        partitions=command.partitions,
        partitions_done=job.partitions_done + 1,
        rows=job.rows + command.rows,
        bytes=job.bytes + command.bytes,
        seconds=job.seconds + command.seconds,
        cpu_seconds=job.cpu_seconds + command.cpu_seconds,
    )
    tx.put(KIND_JOB, job_key(job.view, job.id), record)
    return {"partitions_done": record.partitions_done}


def finish_materialization(command: FinishMaterialization, tx: Transaction) -> dict[str, float]:
    """Put the job's end and its price, and give the lease back.

    Raises
    ------
    Conflict: the job was taken over.
    """
    job = _running(tx, command.view, command.job_id)
    cpu_seconds = job.cpu_seconds + command.cpu_seconds
    record = msgspec.structs.replace(
        job,
        status=command.outcome,
        entities=command.entities,
        watermark_us=command.watermark_us,
        seconds=job.seconds + command.seconds,
        cpu_seconds=cpu_seconds,
        price=cpu_seconds / 3600 * command.core_hour_price,
        finished_at_us=tx.now_us,
        failure=command.failure,
    )
    tx.put(KIND_JOB, job_key(job.view, job.id), record)
    tx.delete(KIND_LEASE, lease_id(job.view, job.view_version))
    return {"price": record.price}


def _job(tx: Transaction, view: str, job_id: str) -> JobRecord:
    job = tx.get(KIND_JOB, job_key(view, job_id), JobRecord)
    if job is None:
        raise NotFound("no such materialisation", where=job_id, next_step="lever features jobs")
    return job


def _running(tx: Transaction, view: str, job_id: str) -> JobRecord:
    job = _job(tx, view, job_id)
    if job.status != "running":
        raise Conflict("this materialisation may not write any more", where=job_id, expected="running", got=job.status)
    return job


HANDLERS: tuple[Handles, ...] = (
    Handles(command=StartMaterialization, run=start_materialization),
    Handles(command=RecordPartition, run=record_partition),
    Handles(command=FinishMaterialization, run=finish_materialization),
)
