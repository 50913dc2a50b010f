"""Materialisations as jobs: what was asked, how far it is, what it cost. Recorded by commands, so that a crash anywhere is continued."""

import math
from collections.abc import Iterable
from typing import Literal

import msgspec

from leverframe.core.digest import Digest
from leverframe.core.feature import FeatureView

Mode = Literal["full", "incremental", "backfill"]
KIND_JOB = "materialization_job"
KIND_LEASE = "materialization_lease"


class JobRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides a job's outcome, pinned when it is asked for.

    ``snapshot`` is the digest of the source's rows: what is ingested later is not seen. ``step_us`` is the length of a backfill's
    partitions, ``parts`` how many ranges of keys a full job is cut into (0: by its rows). ``activate``: False for a version that only
    models bound to it still read.
    """

    job_id: str
    view: FeatureView
    mode: Mode
    snapshot: Digest
    from_us: int
    to_us: int
    step_us: int = 0
    parts: int = 0
    activate: bool = True
    owning_team: str = ""


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One materialisation of one version of a view.

    ``rows`` of the source were read, ``bytes`` kept between steps, ``seconds`` spent, of them ``cpu_seconds`` by processors; ``price`` is
    what those cost at the rate in force when it ended. ``entities`` were written, and the store is complete up to ``watermark_us``.
    """

    id: str
    view: str
    view_version: Digest
    source: str
    mode: Mode
    snapshot: Digest
    from_us: int
    to_us: int
    started_by: str
    started_at_us: int
    status: Literal["running", "done", "failed", "superseded"] = "running"
    partitions: int = 0
    partitions_done: int = 0
    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    price: float = 0.0
    entities: int = 0
    watermark_us: int = 0
    finished_at_us: int | None = None
    failure: str = ""

    @property
    def rows_per_second(self) -> float:
        """Source rows read a second of work, 0 before there is any."""
        return self.rows / self.seconds if self.seconds else 0.0


def most_alike(jobs: Iterable[JobRecord], view: str, rows: int) -> JobRecord | None:
    """The finished job whose speed tells most of filling ``view`` from ``rows`` rows; None before anything was measured.

    Its own jobs tell more than another view's, for two views of one source need not be alike; of these the one with about as many rows,
    since of a job of a few rows nearly all was start-up, which must not be taken for the price of a row. Then the newest.
    """
    done = [job for job in jobs if job.status == "done" and job.rows and job.seconds > 0]
    own = [job for job in done if job.view == view]
    return min(own or done, key=lambda job: (abs(math.log(job.rows / max(rows, 1))), -job.started_at_us), default=None)


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The job that may write a version of a view."""

    job_id: str
