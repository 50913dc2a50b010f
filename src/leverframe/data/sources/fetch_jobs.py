"""Records of fetches: what decides one, how far it is, and which of them may write a dataset."""

from typing import Literal

import msgspec

from leverframe.core.command import Transaction
from leverframe.core.digest import Digest
from leverframe.core.errors import Conflict, NotFound
from leverframe.data.snapshots.source_marks import SourceMark
from leverframe.data.sources.registered import Source

KIND_FETCH = "fetch"
KIND_FETCH_LEASE = "fetch-lease"

FetchStatus = Literal["running", "done", "nothing_new", "refused", "failed", "superseded"]


class FetchOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides a fetch, pinned when it is asked for: the source as declared, how far it was read, the contract in force."""

    job_id: str
    dataset: str
    source: Source
    pattern: str
    full: bool
    held: SourceMark
    contract_digest: Digest
    owner_team: str


class FetchJob(msgspec.Struct, frozen=True, kw_only=True):
    """One fetch of a registered source into a dataset.

    ``pieces`` are how many it was cut into (0: not known before the end), ``rows`` read in ``pieces_done`` of them, ``reached`` the last
    object or watermark. ``refused``: the rows broke the contract, ``quarantine`` and ``report_digest`` say how.
    """

    id: str
    dataset: str
    source: str
    pattern: str
    full: bool
    started_by: str
    started_at_us: int
    status: FetchStatus = "running"
    pieces: int = 0
    pieces_done: int = 0
    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0
    reached: str = ""
    snapshot: Digest = ""
    quarantine: Digest = ""
    report_digest: Digest = ""
    failure: str = ""
    finished_at_us: int | None = None


class FetchLease(msgspec.Struct, frozen=True, kw_only=True):
    """The job that may fetch into a dataset."""

    job_id: str


def fetch_key(dataset: str, job_id: str) -> str:
    """The job's id in the ledger: fetches are listed by dataset."""
    return f"{dataset}/{job_id}"


def running_fetch(tx: Transaction, dataset: str, job_id: str) -> FetchJob:
    """The job, while it may write.

    Raises
    ------
    NotFound: no such job.    Conflict: it is over.
    """
    job = tx.get(KIND_FETCH, fetch_key(dataset, job_id), FetchJob)
    if job is None:
        raise NotFound("no such fetch", where=job_id[:120], next_step="lever data fetches")
    if job.status != "running":
        raise Conflict("this fetch may not write any more", where=job_id, expected="running", got=job.status)
    return job
