"""Streams as a data source: a batch is checked, kept and recorded with the position it reaches, in one transaction (decision 0037)."""

import io

import msgspec
import polars as pl

from leverframe.apps.platform.datasets import contract_of, latest_snapshot, referenced_rows
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.pushing import Pushing
from leverframe.apps.platform.stream_health import stream_metrics
from leverframe.apps.platform.views.streams import OpenStreamRequest, StreamBatch, StreamTaken, StreamView
from leverframe.core.actor import Actor
from leverframe.core.dataset import Snapshot
from leverframe.core.errors import Conflict, Integrity, InvalidInput, LimitExceeded, NotFound, Refused
from leverframe.data.commands import RecordQuarantine
from leverframe.data.contract.contracts import Contract
from leverframe.data.streams.batch import Batch, Taken, take_batch
from leverframe.data.streams.commands_streams import REASON_CHARACTERS_MAX, OpenStream, PauseStream, ResumeStream, TakeBatch
from leverframe.data.streams.messages import MESSAGES_MAX
from leverframe.data.streams.seen import Seen
from leverframe.data.streams.taken import GAPS_KEPT, KIND_STREAM, Position, Stream, check_position
from leverframe.governance.decision import require

ATTEMPTS_MAX = 10
"""A batch that always finds other rows first is given up after so many."""
GAP_CHARACTERS_MAX = 300


class Streams:
    """Streams that are read into datasets."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._pushing = Pushing(parts)

    def streams(self, dataset: str = "") -> tuple[StreamView, ...]:
        """Every stream (of ``dataset``), by name."""
        found = self._parts.ledger.find(KIND_STREAM, Stream, prefix=f"{dataset}/" if dataset else "")
        return tuple(self._view(each, contract_of(self._parts, each.dataset)) for each in found)

    def stream(self, dataset: str, name: str) -> StreamView:
        """One stream.

        Raises
        ------
        NotFound: none of that name.
        """
        return self._view(self._held(dataset, name), contract_of(self._parts, dataset))

    def open(self, actor: Actor, dataset: str, name: str, asked: OpenStreamRequest, *, key: str) -> StreamView:
        """Declare a stream, or say where the reading of it goes on. A batch whose rows were kept and perhaps not pushed is pushed again.

        Raises
        ------
        InvalidInput: no name of a stream.  NotFound: no contract.  Forbidden: policy.
        """
        contract = contract_of(self._parts, dataset)
        held = self._parts.ledger.get(KIND_STREAM, f"{dataset}/{name}"[:300], Stream)
        if held is None or (held.source, held.rules) != (asked.source, asked.rules):
            command = OpenStream(dataset=dataset, name=name, owner_team=contract.team, source=asked.source, rules=asked.rules)
            self._parts.ledger.write(actor, command, key=key)
        else:
            require(self._parts.policy, actor, "Data.Ingest", f"dataset/{dataset}", contract.team, {})
        now = self._held(dataset, name)
        self._push(now)
        return self._view(now, contract)

    def take(self, actor: Actor, dataset: str, name: str, batch: StreamBatch, *, key: str) -> StreamTaken:
        """Take one batch. A batch that was taken already is answered so and not taken twice.

        Raises
        ------
        Conflict: the stream stands elsewhere: another reader took it on, or it waits.  LimitExceeded: too many messages.
        """
        if len(batch.messages) > MESSAGES_MAX:
            got = f"{len(batch.messages):,}"
            raise LimitExceeded("too many messages in one batch", where="messages", expected=f"at most {MESSAGES_MAX:,}", got=got)
        check_position(batch.after, "after")
        check_position(batch.upto, "upto")
        if batch.upto == batch.after:
            raise InvalidInput("a batch that reaches no further", where=f"stream {dataset}/{name}"[:200], got=str(batch.upto)[:200])
        contract = contract_of(self._parts, dataset)
        require(self._parts.policy, actor, "Data.Ingest", f"dataset/{dataset}", contract.team, {})
        for attempt in range(ATTEMPTS_MAX):
            held = self._held(dataset, name)
            if held.position == batch.upto:
                return StreamTaken(stream=held, again=True, pushed=self._push(held))
            if held.state == "paused":
                return StreamTaken(stream=held)
            if held.position != batch.after:
                raise _elsewhere(held, batch.after)
            try:
                return self._taken(actor, held, contract_of(self._parts, dataset), batch, key=f"{key}/{attempt}")
            except Conflict:
                if attempt == ATTEMPTS_MAX - 1:
                    raise
        raise AssertionError("the loop above returns or raises")

    def metrics(self) -> bytes:
        """Every stream in Prometheus' text format."""
        return stream_metrics(self._parts)

    def pause(self, actor: Actor, dataset: str, name: str, reason: str, *, key: str) -> StreamView:
        """Let a stream wait; its messages stay in the broker."""
        team = contract_of(self._parts, dataset).team
        self._parts.ledger.write(actor, PauseStream(dataset=dataset, name=name, owner_team=team, reason=reason), key=key)
        return self.stream(dataset, name)

    def resume(self, actor: Actor, dataset: str, name: str, *, key: str) -> StreamView:
        """Let a stream go on where it was left."""
        team = contract_of(self._parts, dataset).team
        self._parts.ledger.write(actor, ResumeStream(dataset=dataset, name=name, owner_team=team), key=key)
        return self.stream(dataset, name)

    # How a batch is taken ------------------------------------------------------------------------------------------

    def _taken(self, actor: Actor, held: Stream, contract: Contract, batch: StreamBatch, *, key: str) -> StreamTaken:
        base = latest_snapshot(self._parts, held.dataset)
        seen = Seen(self._parts.artifacts, () if contract.primary_key else held.ids)
        against = self._batch(held, contract, base, seen.ids)
        try:
            taken = take_batch(against, batch.messages)
        except Refused as error:
            # The contract in force and the rows there no longer go together: no batch can be taken until somebody offers all rows again.
            return StreamTaken(stream=self.pause(actor, held.dataset, held.name, error.sentence()[:REASON_CHARACTERS_MAX], key=key).stream)
        if taken.pause:
            reason = f"the schema changed: {taken.pause}"[:REASON_CHARACTERS_MAX]
            return StreamTaken(stream=self.pause(actor, held.dataset, held.name, reason, key=key).stream)
        after = self._after(held, batch, taken, seen)
        command = TakeBatch(
            dataset=held.dataset,
            name=held.name,
            owner_team=contract.team,
            after=batch.after,
            stream=after,
            base=base.digest if base is not None else "",
            snapshot=taken.snapshot,
            quarantine=_quarantine(taken, contract, held),
        )
        self._parts.ledger.write(actor, command, key=key)
        return StreamTaken(
            stream=self._held(held.dataset, held.name),
            rows=taken.rows,
            quarantined=taken.quarantined,
            repeated=taken.repeated,
            reasons=taken.reasons,
            snapshot=taken.snapshot.digest if taken.snapshot is not None else "",
            pushed=self._pushing.apply(held.dataset, taken.new) if held.rules.push else {},
        )

    def _batch(self, held: Stream, contract: Contract, base: Snapshot | None, seen: set[bytes]) -> Batch:
        return Batch(
            dataset=held.dataset,
            stream=held.name,
            contract=contract,
            rules=held.rules,
            base=base,
            blobs=self._parts.artifacts,
            now_us=self._parts.clock.now_us(),
            parents=referenced_rows(self._parts, contract),
            pseudonyms=self._parts.pseudonyms,
            seen=seen,
            newest_us=held.newest_us,
        )

    def _after(self, held: Stream, batch: StreamBatch, taken: Taken, seen: Seen) -> Stream:
        """The stream as it stands once the batch is recorded."""
        window, expired = seen.window()
        moments = [held.newest_us, taken.snapshot.event_time_max_us if taken.snapshot is not None else None]
        return msgspec.structs.replace(
            held,
            position={**held.position, **batch.upto},
            messages=held.messages + len(batch.messages),
            rows=held.rows + taken.rows,
            quarantined=held.quarantined + taken.quarantined,
            repeated=held.repeated + taken.repeated,
            late=held.late + taken.late,
            batches=held.batches + 1,
            behind=batch.behind,
            newest_us=max((moment for moment in moments if moment is not None), default=None),
            strange=taken.strange,
            broken=taken.broken,
            gaps=(*held.gaps, batch.gap[:GAP_CHARACTERS_MAX])[-GAPS_KEPT:] if batch.gap else held.gaps,
            ids=window,
            ids_expired=(*held.ids_expired, *expired),
            fresh=taken.fresh,
        )

    def _push(self, held: Stream) -> dict[str, int]:
        """Bring the entities of the last batch to now, where this was declared; doing it twice changes nothing."""
        if not held.rules.push or not held.fresh:
            return {}
        try:
            rows = pl.read_parquet(io.BytesIO(self._parts.artifacts.get(held.fresh)))
        except (NotFound, Integrity):
            return {}  # retention let the rows go: nothing of them is left to push
        return self._pushing.apply(held.dataset, rows)

    def _held(self, dataset: str, name: str) -> Stream:
        found = self._parts.ledger.get(KIND_STREAM, f"{dataset}/{name}"[:300], Stream)
        if found is None:
            raise NotFound("no such stream", where=f"{dataset}/{name}"[:160], next_step="lever data streams list")
        return found

    def _view(self, held: Stream, contract: Contract) -> StreamView:
        return StreamView(stream=held, contract_version=contract.version, keyed=bool(contract.primary_key))


def _elsewhere(held: Stream, after: Position) -> Conflict:
    return Conflict(
        "another reader took this stream on",
        where=f"stream {held.id}",
        expected=f"to stand at {after}"[:300],
        got=f"at {held.position}"[:300],
        next_step="stop the other reader, or read under another --name",
    )


def _quarantine(taken: Taken, contract: Contract, held: Stream) -> RecordQuarantine | None:
    if not taken.quarantine:
        return None
    return RecordQuarantine(
        dataset=held.dataset,
        contract=contract.name,
        digest=taken.quarantine,
        report_digest=taken.report_digest,
        rows=taken.quarantined,
        reasons=taken.reasons,
        owner_team=contract.team,
        stream=held.name,
        whole=taken.snapshot is None,
    )
