"""One fetch as a durable workflow: each piece of what is new a remembered step, and one last step that records all of it.

A piece is checked and kept when it was read; what is remembered of it are the names of its parts, so memory is bounded by a batch, and a
killed worker goes on at the piece where it died. The rows, how far the source was read, and the dataset's newest snapshot change in one
transaction at the end, while the job still holds its lease (decision 0036).
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import msgspec
import polars as pl

from leverframe.apps.durable import StepCaller
from leverframe.apps.platform.datasets import contract_of, latest_snapshot
from leverframe.apps.platform.deliveries import deliver, open_intake
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views import IngestView
from leverframe.apps.source_readers import SourceReader, Span
from leverframe.core.actor import PLATFORM
from leverframe.core.digest import canonical_json, digest_record
from leverframe.core.errors import Conflict, LeverframeError, LimitExceeded
from leverframe.data.commands_fetch import FinishFetch, RecordFetched
from leverframe.data.contract.contracts import Contract
from leverframe.data.intake.intake import Ingested
from leverframe.data.intake.staged import Staged, StagedIntake, staged_blobs
from leverframe.data.snapshots.source_marks import SourceMark
from leverframe.data.sources.fetch_jobs import KIND_FETCH, FetchJob, FetchOrder, fetch_key
from leverframe.governance.stored_objects import Stamp

PIECES_MAX = 10_000
RECORDS_MAX = 10
"""The last step is tried again this often when other rows came meanwhile, or bytes that it needs were just going."""
AGAIN_S = 1.0
FAILURE_CHARACTERS_MAX = 1_000


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a piece: what was kept, and where the next one of a table begins."""

    staged: Staged
    after: Span = Span(done=True)


class Taken(NamedTuple):
    """A piece, and how it is read."""

    piece: Piece
    read: Callable[[], dict[str, Any]]


class FetchWorkflow:
    """Carries out fetches; the body is replayed after a crash, and remembered steps are not run again."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def run(self, argument: str, call: StepCaller) -> str:
        """Carry out the fetch whose order is the artifact ``argument``; returns its outcome."""
        order = msgspec.json.decode(self._parts.artifacts.get(argument), type=FetchOrder)
        pieces: list[Taken] = []
        try:
            objects = order.source.kind == "objects"
            mark = self._objects(order, call, pieces) if objects else self._table(order, call, pieces)
            done = call("record", partial(self._record, order, pieces, mark))
        except Exception as error:
            sentence = error.sentence() if isinstance(error, LeverframeError) else f"{type(error).__name__}: {error}"
            done = {"outcome": "failed", "failure": sentence[:FAILURE_CHARACTERS_MAX]}
        self._finish(order, FinishFetch(**_whose(order), **done, staged=staged_blobs(taken.piece.staged for taken in pieces)))
        return str(done["outcome"])

    # Pieces ----------------------------------------------------------------------------------------------------------

    def _objects(self, order: FetchOrder, call: StepCaller, pieces: list[Taken]) -> SourceMark:
        """Read new objects, and say which were read."""
        planned = msgspec.convert(call("plan", lambda: msgspec.to_builtins(self._reader(order).new_objects())), list[list[Stamp]])
        for number, stamps in enumerate(planned):
            read = partial(self._piece_of_objects, order, stamps, list(pieces), len(planned))
            pieces.append(Taken(msgspec.convert(call(f"objects-{number}", read), Piece), read))
            if pieces[-1].piece.staged.failed:
                break
        known = {**order.held.objects, **{stamp.name: f"{stamp.size}/{stamp.mark}" for stamps in planned for stamp in stamps}}
        return SourceMark(source=order.source.name, dataset=order.dataset, objects=known)

    def _table(self, order: FetchOrder, call: StepCaller, pieces: list[Taken]) -> SourceMark:
        """Read new rows, and say how far they go."""
        span = Span(since=order.held.position, again=bool(self._contract(order).primary_key))
        while not span.done:
            if len(pieces) >= PIECES_MAX:
                raise LimitExceeded("too many rows at once", where=f"source {order.source.name}", expected=f"{PIECES_MAX:,} pieces")
            read = partial(self._piece_of_table, order, span, list(pieces))
            pieces.append(Taken(msgspec.convert(call(f"rows-{len(pieces)}", read), Piece), read))
            span = pieces[-1].piece.after
            if pieces[-1].piece.staged.failed:
                break
        return SourceMark(source=order.source.name, dataset=order.dataset, position=span.since)

    def _piece_of_objects(self, order: FetchOrder, stamps: list[Stamp], before: list[Taken], planned: int) -> dict[str, Any]:
        began = time.perf_counter()
        staged = self._stage(order, lambda reader: reader.object_rows(stamps))
        return self._told(order, Piece(staged=staged), before, planned, stamps[-1].name, time.perf_counter() - began)

    def _piece_of_table(self, order: FetchOrder, span: Span, before: list[Taken]) -> dict[str, Any]:
        began = time.perf_counter()
        rows = self._reader(order).table_rows(span)
        piece = Piece(staged=self._stage(order, lambda _: rows.batches()))
        piece = msgspec.structs.replace(piece, after=rows.after) if not piece.staged.failed else piece
        return self._told(order, piece, before, 0, piece.after.since, time.perf_counter() - began)

    def _stage(self, order: FetchOrder, rows: Callable[[SourceReader], Iterator[pl.DataFrame]]) -> Staged:
        return open_intake(self._parts, self._contract(order), order.dataset).stage(rows(self._reader(order)))

    def _reader(self, order: FetchOrder) -> SourceReader:
        return SourceReader(self._parts, order, [column.name for column in self._contract(order).columns])

    def _contract(self, order: FetchOrder) -> Contract:
        """The contract that the order pinned, if it is still in force."""
        contract = contract_of(self._parts, order.dataset)
        if contract.digest != order.contract_digest:
            step = f"lever data ingest {order.dataset} --source {order.source.name}"
            raise Conflict("the contract changed while rows were fetched", where=f"dataset {order.dataset}", next_step=step)
        return contract

    def _told(self, order: FetchOrder, piece: Piece, before: list[Taken], planned: int, reached: str, seconds: float) -> dict[str, Any]:
        """Record how far the fetch is, and give the piece to be remembered."""
        staged = [*(taken.piece.staged for taken in before), piece.staged]
        job = self._job(order)
        command = RecordFetched(
            **_whose(order),
            pieces=planned,
            pieces_done=len(staged),
            rows=sum(each.rows for each in staged),
            bytes=sum(part.bytes for each in staged for part in each.parts),
            seconds=round((job.seconds if job is not None else 0.0) + seconds, 6),
            reached=reached,
        )
        # A step that is repeated after a crash says the same totals, at another moment.
        self._parts.ledger.write(PLATFORM, command, key=f"{order.job_id}/{len(staged)}/{self._parts.clock.now_us()}/{seconds}")
        return dict(msgspec.to_builtins(piece))

    # The end ---------------------------------------------------------------------------------------------------------

    def _record(self, order: FetchOrder, pieces: list[Taken], mark: SourceMark) -> dict[str, Any]:
        """Make one snapshot of what was kept, and record it together with how far the source was read."""
        contract = self._contract(order)
        if not any(taken.piece.staged.report is not None for taken in pieces) and latest_snapshot(self._parts, order.dataset) is not None:
            return {"outcome": "nothing_new"}
        delivery = digest_record([order.job_id, order.dataset])
        for attempt in range(RECORDS_MAX):
            staged = [self._whole(taken) for taken in pieces]
            try:
                done = deliver(
                    self._parts,
                    PLATFORM,
                    order.dataset,
                    partial(_settled, pieces=staged),
                    delivery=delivery,
                    append=not order.full,
                    key=f"{order.job_id}/{attempt}/{self._parts.clock.now_us()}",
                    mark=mark,
                    fetch=order.job_id,
                )
                return _became(done, self._parts)
            except Conflict:
                job = self._job(order)
                if attempt == RECORDS_MAX - 1 or job is None or job.status != "running" or self._contract(order) != contract:
                    raise
                time.sleep(AGAIN_S)
        raise AssertionError("the loop above returns or raises")

    def _whole(self, taken: Taken) -> Staged:
        """A piece whose bytes are all there; read once more where they are not (a fetch that failed had kept the same, and they went)."""
        if all(self._parts.artifacts.has(digest) for digest in taken.piece.staged.blobs):
            return taken.piece.staged
        return msgspec.convert(taken.read(), Piece).staged

    def _job(self, order: FetchOrder) -> FetchJob | None:
        return self._parts.ledger.get(KIND_FETCH, fetch_key(order.dataset, order.job_id), FetchJob)

    def _finish(self, order: FetchOrder, command: FinishFetch) -> None:
        """Record the job's end, once. What a job that was taken over has kept may be what the other one keeps: it stays."""
        job = self._job(order)
        if job is not None and job.status == "running":
            self._parts.ledger.write(PLATFORM, command, key=f"{order.job_id}/{command.outcome}")


def _settled(intake: StagedIntake, pieces: list[Staged]) -> Ingested:
    return intake.settle(pieces)


def _whose(order: FetchOrder) -> dict[str, Any]:
    return {"job_id": order.job_id, "dataset": order.dataset, "owner_team": order.owner_team}


def _became(done: IngestView, parts: Parts) -> dict[str, Any]:
    report = done.snapshot.report_digest if done.snapshot is not None else parts.artifacts.put(canonical_json(done.report))
    return {
        "outcome": "done" if done.accepted else "refused",
        "snapshot": done.snapshot.digest if done.snapshot is not None else "",
        "quarantine": done.quarantine,
        "report_digest": report,
    }
