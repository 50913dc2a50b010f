"""Batch scoring: rows in, rows out, in parts that are finished once; a job that was killed goes on at the first part that is missing.

Knows no file format: who calls gives a reader of parts and an encoder of scored ones, and the bundle and runtime are those of the gateway.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import msgspec

from leverframe.serving.batch.output import Job, Manifest, OutputFolder, PartReceipt
from leverframe.serving.batch.parts import Part, PartScorer, ScoredPart

ROWS_PER_PART = 65_536
ROWS_PER_PART_MAX = 4_194_304
WAITING_PER_WORKER = 2
"""Parts read ahead of each worker; bounds memory."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is; ``found`` rows were finished by an earlier run."""

    rows: int
    rows_done: int
    rows_found: int
    parts: int
    parts_done: int


class Reader(Protocol):
    """Gives the parts of an input."""

    def parts(self, rows_per_part: int, skip: frozenset[int]) -> Iterator[Part]:
        """Every part in order but those in ``skip``; all have ``rows_per_part`` rows but the last.

        Raises
        ------
        SchemaMismatch: the rows cannot be read as the signature declares.    Conflict: the input changed since it was named.
        """
        ...


Encode = Callable[[Job, ScoredPart], bytes]
"""A scored part as the bytes of one file; the same part gives the same bytes."""


def run_batch(
    job: Job,
    reader: Reader,
    scorer: PartScorer,
    encode: Encode,
    folder: OutputFolder,
    *,
    workers: int = 1,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Manifest:
    """Score every part that is not there yet, then write the manifest; of a finished job, change nothing.

    Parameters
    ----------
    job: as ``folder.begin`` returned it; the folder is held by the caller.
    workers: threads; runtimes and encoders let go of the interpreter lock.
    progress: told at the start and after each part, by the calling thread.

    Raises
    ------
    SchemaMismatch, Conflict: see ``Reader``.    Unavailable: features or disk are not there; what is finished stays.
    Integrity: the runtime failed, or the parts do not add up.
    """
    receipts = folder.receipts(job)
    found = sum(receipt.rows for receipt in receipts.values())

    def tell() -> None:
        done = sum(receipt.rows for receipt in receipts.values())
        progress(Progress(rows=job.rows, rows_done=done, rows_found=found, parts=job.parts, parts_done=len(receipts)))

    def work(part: Part) -> PartReceipt:
        scored = scorer.score(part)
        data = encode(job, scored)
        return folder.put(job, part.number, data, rows=part.rows, codes=scored.counts(), missing=int(scored.missing.sum()))

    tell()
    if len(receipts) < job.parts:
        waiting: deque[Future[PartReceipt]] = deque()
        with ThreadPoolExecutor(workers, thread_name_prefix="score") as pool:
            try:
                for part in reader.parts(job.rows_per_part, frozenset(receipts)):
                    waiting.append(pool.submit(work, part))
                    while len(waiting) >= workers * WAITING_PER_WORKER or (waiting and waiting[0].done()):
                        _take(waiting, receipts)
                        tell()
                while waiting:
                    _take(waiting, receipts)
                    tell()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    return folder.finish(job, receipts)


def _take(waiting: "deque[Future[PartReceipt]]", receipts: dict[int, PartReceipt]) -> None:
    receipt = waiting.popleft().result()
    receipts[receipt.number] = receipt
