"""A dataset's past without a store behind it."""

from typing import Any

from tests.apps import fake_records as records

from leverframe.apps.platform.views.keeping import PartView, RetentionView, SnapshotView, VerifiedView
from leverframe.apps.platform.views.sources import FetchRequest
from leverframe.core.actor import Actor
from leverframe.core.dataset import Snapshot
from leverframe.core.errors import NotFound
from leverframe.data.retention.commands_erasure import ErasureRecord
from leverframe.data.retention.retention import Kept, Retention
from leverframe.data.sources.fetch_jobs import FetchJob
from leverframe.data.sources.registered import Source


def snapshot(dataset: str) -> Snapshot:
    found = records.ingest(dataset, True).snapshot
    assert found is not None
    return found


class FakeKeeping:
    def __init__(self, calls: Any, access: Any) -> None:
        self._calls, self._access = calls, access

    def snapshots(self, dataset: str) -> tuple[SnapshotView, ...]:
        return (SnapshotView(snapshot=snapshot(dataset), latest=True, used_by=("version flight-delay@v1",)),)

    def verify(self, dataset: str, digest: str) -> VerifiedView:
        part = PartView(digest=digest, rows=3, bytes=100, state="intact" if digest != "sha256:" + "f" * 64 else "damaged")
        return VerifiedView(snapshot=digest, intact=part.state == "intact", manifest="none", parts=(part,))

    def export(self, dataset: str, *, format: str, as_of_us: int | None = None, snapshot: str = "") -> bytes:
        return f"{format} of {dataset} at {as_of_us}".encode()

    def plan_retention(self, dataset: str) -> RetentionView:
        kept = Kept(digest="sha256:" + "0" * 64, created_at_us=0, rows=3, bytes=100, because=())
        return RetentionView(dataset=dataset, policy=Retention(dataset=dataset), snapshots=(kept,))

    def set_retention(self, actor: Actor, policy: Retention, *, key: str) -> Retention:
        self._calls.write(self._access, actor, "Data.Retain", key, policy)
        return policy

    def apply_retention(self, actor: Actor, dataset: str, *, key: str) -> RetentionView:
        self._calls.write(self._access, actor, "Data.Retain", key, dataset)
        return RetentionView(dataset=dataset, policy=None, snapshots=(), applied=1)


class FakeErasing:
    def __init__(self, calls: Any, access: Any) -> None:
        self._calls, self._access = calls, access

    def ask(self, actor: Actor, dataset: str, column: str, value: str, *, reason: str, key: str) -> ErasureRecord:
        self._calls.write(self._access, actor, "Data.Forget", key, dataset, column, reason)
        return self.record("erasure-1")

    def record(self, id: str) -> ErasureRecord:
        if id != "erasure-1":
            raise NotFound("no such deletion", where=id, next_step="lever data forgotten")
        return ErasureRecord(
            id=id, dataset="trips", column="rider", subject="0" * 64, reason="asked", asked_by="ana", asked_at_us=0, status="done", rows=2
        )

    def records(self) -> tuple[ErasureRecord, ...]:
        return (self.record("erasure-1"),)


class FakeSources:
    def __init__(self, calls: Any, access: Any) -> None:
        self._calls, self._access = calls, access

    def sources(self) -> tuple[Source, ...]:
        return (Source(name="landing", kind="objects", team="rides", location="s3://rows/landing"),)

    def declare(self, actor: Actor, source: Source, *, key: str) -> Source:
        self._calls.write(self._access, actor, "Data.DeclareSource", key, source)
        return source

    def remove(self, actor: Actor, name: str, *, key: str) -> Source:
        self._calls.write(self._access, actor, "Data.DeclareSource", key, name)
        return self.sources()[0]


def fetch_job(status: str = "done") -> FetchJob:
    return FetchJob(
        id="fetch-1",
        dataset="weather",
        source="landing",
        pattern="",
        full=False,
        started_by="ana",
        started_at_us=records.NOW_US,
        status=status,  # type: ignore[arg-type]
        pieces=2,
        pieces_done=2,
        rows=1_000,
        bytes=500,
        seconds=0.5,
        reached="day-2.parquet",
        snapshot=records.ingest("weather", True).snapshot.digest,
        finished_at_us=records.NOW_US,
    )


class FakeFetching:
    def __init__(self, calls: Any, access: Any) -> None:
        self._calls, self._access = calls, access

    def start(self, actor: Actor, dataset: str, request: FetchRequest, *, key: str) -> FetchJob:
        self._calls.write(self._access, actor, "Data.Ingest", key, dataset, request)
        return fetch_job()

    def jobs(self, dataset: str = "") -> tuple[FetchJob, ...]:
        return (fetch_job(), fetch_job("running"))

    def job(self, job_id: str) -> FetchJob:
        if job_id != "fetch-1":
            raise NotFound("no such fetch", where=job_id)
        return fetch_job()
