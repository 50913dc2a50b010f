"""One materialisation as a durable workflow: each partition a remembered step, and one last step that switches the store over.

A partition's rows lie in a file of the job until then, so a killed worker goes on at the partition where it died, and the online store is
written once, whole. The last step writes only while the job holds its lease and the store is as it was read; it may be repeated.
"""

import io
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from leverframe.apps.durable import StepCaller
from leverframe.apps.platform.datasets import latest_snapshot
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.pushing import Pushing, rows_of
from leverframe.core.actor import PLATFORM
from leverframe.core.dataset import Snapshot
from leverframe.core.errors import Conflict, LeverframeError, NotFound
from leverframe.core.feature import FeatureView
from leverframe.data.commands import KIND_SNAPSHOT
from leverframe.data.snapshots.snapshots import read_snapshot
from leverframe.data.streams.taken import KIND_STREAM, Stream
from leverframe.features.commands import KIND_VIEW, RecordMaterialization
from leverframe.features.declared.definitions import view_version
from leverframe.features.job_commands import FinishMaterialization, RecordPartition, job_key
from leverframe.features.materialization.jobs import KIND_JOB, JobRecord, JobRequest
from leverframe.features.materialization.materialize import ATTEMPTS_MAX, Materialized, write_slices
from leverframe.features.materialization.slices import Partition, Slice, compute, key_ranges, time_slices
from leverframe.features.online.online import NEVER_US
from leverframe.governance.durable_files import write_durably

SWITCH_RETRIES = 3
"""A store that cannot be reached at the end of a long job is tried again this often."""


class Computed(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a computed partition: source rows read, and event and arrival time of the newest one."""

    rows: int
    newest_us: tuple[int, int]


class MaterializeWorkflow:
    """Carries out materialisation jobs; the body is replayed after a crash, and remembered steps are not run again."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._folder = parts.settings.home / "materialize"

    def run(self, argument: str, call: StepCaller) -> str:
        """Carry out the job whose request is the artifact ``argument``; returns its outcome."""
        request = msgspec.json.decode(self._parts.artifacts.get(argument), type=JobRequest)
        try:
            planned = msgspec.convert(call("plan", partial(self._plan, request)), list[Partition])
            found = [msgspec.convert(call(part.name, partial(self._partition, request, part, len(planned))), Computed) for part in planned]
            done = call("switch", partial(self._switch, request, planned, found), retries=SWITCH_RETRIES)
            self._finish(request, FinishMaterialization(**self._whose(request), outcome="done", **done))
            return "done"
        except Exception as error:
            sentence = error.sentence() if isinstance(error, LeverframeError) else f"{type(error).__name__}: {error}"
            self._finish(request, FinishMaterialization(**self._whose(request), outcome="failed", failure=sentence[:1000]))
            return "failed"

    # Steps ------------------------------------------------------------------------------------------------------------

    def _plan(self, request: JobRequest) -> list[dict[str, Any]]:
        """Into which partitions the job is cut."""
        if request.mode == "full":
            planned = key_ranges(request.view, self._rows(request), request.to_us, request.parts)
        elif request.step_us:
            planned = time_slices(request.from_us, request.to_us, request.step_us)
        else:
            planned = [Partition(name="span-0", from_us=request.from_us, to_us=request.to_us)]
        return [dict(msgspec.to_builtins(part)) for part in planned]

    def _partition(self, request: JobRequest, part: Partition, partitions: int) -> dict[str, Any]:
        """Compute a partition, keep its rows, and record what it took."""
        began, began_cpu = time.perf_counter(), time.process_time()
        found = compute(request.view, self._rows(request), part)
        data = self._keep(request, part, found)
        command = RecordPartition(
            **self._whose(request),
            partition=part.name,
            partitions=partitions,
            rows=found.rows_read,
            bytes=len(data),
            seconds=round(time.perf_counter() - began, 6),
            cpu_seconds=round(time.process_time() - began_cpu, 6),
        )
        self._recorded(request, command)
        return dict(msgspec.to_builtins(Computed(rows=found.rows_read, newest_us=found.newest_us)))

    def _recorded(self, request: JobRequest, command: RecordPartition) -> None:
        """Record a partition once: a death before the step was remembered repeats it, and it took other seconds then."""
        try:
            self._parts.ledger.write(PLATFORM, command, key=f"{request.job_id}/{command.partition}")
        except Conflict:
            job = self._parts.ledger.get(KIND_JOB, job_key(request.view.name, request.job_id), JobRecord)
            if job is None or job.status != "running":
                raise

    def _switch(self, request: JobRequest, planned: list[Partition], found: list[Computed]) -> dict[str, Any]:
        """Write what the partitions found, in one transaction of the store, and make the version the active one."""
        began, began_cpu = time.perf_counter(), time.process_time()
        slices = [self._kept(request, part, computed) for part, computed in zip(planned, found, strict=True)]
        done = self._write(request, slices)
        self._catch_up(request)
        return {
            "entities": done.entities,
            "watermark_us": done.watermark_us,
            "seconds": round(time.perf_counter() - began, 6),
            "cpu_seconds": round(time.process_time() - began_cpu, 6),
            "core_hour_price": self._parts.settings.core_hour_price,
        }

    def _write(self, request: JobRequest, slices: list[Slice]) -> Materialized:
        view, store = request.view, self._parts.online
        for attempt in range(ATTEMPTS_MAX):
            # First the revision, then the checks: what ends the right to write also changes the store, or comes before the write.
            revision = store.revision(view.name, view_version(view))
            self._check_may_write(request)
            held = store.meta(view.name, view_version(view))
            if request.mode != "full" and held is not None and held.watermark_us > request.to_us:
                # Another writer has come further: it wrote everything that is in these slices.
                return Materialized(
                    view=view.name, view_version=held.view_version, entities=0, watermark_us=held.watermark_us, incremental=True
                )
            since_us = NEVER_US if request.mode == "full" else request.from_us
            try:
                return write_slices(view, slices, store, request.to_us, since_us=since_us, activate=request.activate, revision=revision)
            except Conflict:
                if attempt == ATTEMPTS_MAX - 1:
                    raise
        raise AssertionError("the loop above returns or raises")

    def _catch_up(self, request: JobRequest) -> None:
        """Rows that were pushed while the job ran are not in its snapshot: their entities are brought to now again.

        A part may hold old rows beside new ones (a stream joins small parts); bringing those to now changes nothing. A dataset that was
        replaced as a whole is left to the next job.
        """
        pinned, newest = self._snapshot(request), latest_snapshot(self._parts, request.view.source)
        if newest is None or newest.digest == pinned.digest:
            return
        known, there = ({part.digest for part in snapshot.blobs} for snapshot in (pinned, newest))
        if not known & there and not self._streamed(request):
            return
        # A part at a time: whatever came meanwhile, memory is bounded by a part.
        for digest in there - known:
            Pushing(self._parts).apply(request.view.source, rows_of(self._parts, newest, there - {digest}))

    def _streamed(self, request: JobRequest) -> bool:
        """Whether a stream that pushes brought rows since the job began."""
        job = self._parts.ledger.get(KIND_JOB, job_key(request.view.name, request.job_id), JobRecord)
        streams = self._parts.ledger.find(KIND_STREAM, Stream, prefix=f"{request.view.source}/")
        return job is not None and any(each.rules.push and (each.taken_at_us or 0) >= job.started_at_us for each in streams)

    def _check_may_write(self, request: JobRequest) -> None:
        """Return while the job holds its lease, its version is declared (or kept for models), and no row it read was deleted since.

        Raises
        ------
        Conflict: it was taken over, the view was declared anew, or rows of its snapshot were deleted for good.
        """
        self._snapshot(request)
        job = self._parts.ledger.get(KIND_JOB, job_key(request.view.name, request.job_id), JobRecord)
        if job is None or job.status != "running":
            raise Conflict("this materialisation may not write any more", where=request.job_id, got=job.status if job else "not known")
        declared = self._parts.ledger.get(KIND_VIEW, request.view.name, FeatureView)
        if request.activate and (declared is None or view_version(declared) != view_version(request.view)):
            raise Conflict(
                "the view was declared anew meanwhile", where=request.view.name, next_step=f"lever features materialize {request.view.name}"
            )

    # Rows and files ---------------------------------------------------------------------------------------------------

    def _snapshot(self, request: JobRequest) -> Snapshot:
        snapshot = self._parts.ledger.get(KIND_SNAPSHOT, f"{request.view.source}/{request.snapshot}", Snapshot)
        if snapshot is None:
            raise NotFound("the job's snapshot is not known any more", where=request.view.source, got=request.snapshot)
        if snapshot.erased is not None:
            raise Conflict(
                "rows that this job read were deleted for good meanwhile",
                where=request.view.source,
                got=request.snapshot,
                next_step=f"lever features materialize {request.view.name}",
            )
        return snapshot

    def _rows(self, request: JobRequest) -> pl.LazyFrame:
        return read_snapshot(self._parts.artifacts, self._snapshot(request))

    def _path(self, request: JobRequest, part: Partition) -> Path:
        return self._folder / request.job_id / f"{part.name}.arrow"

    def _keep(self, request: JobRequest, part: Partition, found: Slice) -> bytes:
        buffer = io.BytesIO()
        found.latest.write_ipc(buffer, compression="lz4")
        write_durably(self._path(request, part), buffer.getvalue(), mode=0o600)
        return buffer.getvalue()

    def _kept(self, request: JobRequest, part: Partition, computed: Computed) -> Slice:
        """A partition's rows; computed again where its file is not (another machine took the job up)."""
        try:
            latest = pl.read_ipc(self._path(request, part).read_bytes())
        except FileNotFoundError:
            return compute(request.view, self._rows(request), part)
        return Slice(latest=latest, rows_read=computed.rows, newest_us=computed.newest_us)

    # Records ----------------------------------------------------------------------------------------------------------

    def _whose(self, request: JobRequest) -> dict[str, Any]:
        return {"job_id": request.job_id, "view": request.view.name, "owning_team": request.owning_team}

    def _finish(self, request: JobRequest, command: FinishMaterialization) -> None:
        """Record the job's end, once, and remove its files."""
        shutil.rmtree(self._folder / request.job_id, ignore_errors=True)
        job = self._parts.ledger.get(KIND_JOB, job_key(request.view.name, request.job_id), JobRecord)
        if job is None or job.status not in ("running", command.outcome):
            return
        if job.status == "running":
            self._parts.ledger.write(PLATFORM, command, key=f"{request.job_id}/{command.outcome}")
        if command.outcome == "done" and request.activate:
            record = RecordMaterialization(
                view=request.view.name,
                view_version=view_version(request.view),
                watermark_us=command.watermark_us,
                entities=command.entities,
                owning_team=request.owning_team,
            )
            self._parts.ledger.write(PLATFORM, record, key=f"{request.job_id}/recorded")
