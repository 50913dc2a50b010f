"""The walk of one inference: document → arm → columns → features → matrix → scores → record → answer.

A cheap model is scored on the spot; a costly one in its lane, and then the answer comes later. Either way what an arm was asked is logged
before its answer leaves here, and no protocol is known here: the doors bring documents and give answers their form.
"""

import asyncio
import itertools
import math
from collections.abc import Awaitable, Mapping, Sequence
from time import perf_counter_ns
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from leverframe.core.assemble import assemble
from leverframe.core.clock import Clock
from leverframe.core.errors import DeadlineExceeded, InvalidInput, LeverframeError, Overloaded, Refused
from leverframe.core.prediction import PredictionRecord
from leverframe.serving import fallback
from leverframe.serving.answers import Answer
from leverframe.serving.inputs import PackedRow, PackedTable
from leverframe.serving.lane import NORMAL, UNSEEN, Lane
from leverframe.serving.log_segments import SegmentLog
from leverframe.serving.lookup import Looked, Lookup, freshness
from leverframe.serving.missing import NOTHING_LACKING, Lacking, lacking_facts
from leverframe.serving.models import LoadedVersion
from leverframe.serving.oip import InferDocument
from leverframe.serving.routing import CompiledArm, CompiledEndpoint
from leverframe.serving.shadow import ShadowJob, ShadowQueue
from leverframe.serving.tensors import Column

_encode = msgspec.json.encode
_EMPTY: dict[str, str] = {}
_NO_AGES: Mapping[str, int] = {}
_NOT_LOOKED = Looked({})
Float = npt.NDArray[np.float64]
Status = Literal["ok", "fallback", "error", "refused"]


class Inputs(msgspec.Struct, gc=False):
    """What a model is asked for one request; ``features`` is its input matrix as little-endian float64, ``ages_us`` each view's age."""

    features: bytes
    rows: int
    lacking: Lacking = NOTHING_LACKING
    unreachable: Sequence[str] = ()
    ages_us: Mapping[str, int] = _NO_AGES

    def matrix(self) -> Float:
        """The input matrix ``[rows, columns]``, read-only."""
        return np.frombuffer(self.features, dtype="<f8").reshape(self.rows, -1)


_NOTHING = Inputs(b"", 1)


class Ask(msgspec.Struct):
    """One request as an arm sees it. ``deadline_ns`` is on the clock of ``time.perf_counter_ns``; 0: none."""

    id: str
    asked_at_us: int
    arrived_ns: int
    columns: Mapping[str, Column]
    rows: int
    entities: dict[str, str]
    routed: bool = True
    deadline_ns: int = 0
    priority: int = NORMAL


class Outcome(msgspec.Struct, gc=False):
    """What came of asking an arm: scores, or why there are none and the error to answer with."""

    scores: list[float]
    status: Status = "ok"
    code: str = ""
    error: LeverframeError | None = None
    fallback: str = ""
    cached: bool = False


class Inference:
    """Answers inference requests on one worker.

    Parameters
    ----------
    clock: decides TTLs and ``asked_at_us``.
    id_prefix: makes the ids of requests that bring none unique over workers and restarts.
    """

    def __init__(self, *, clock: Clock, log: SegmentLog, lookup: Lookup, shadows: ShadowQueue, id_prefix: str) -> None:
        self.clock = clock
        self.log = log
        self.lookup = lookup
        self._shadows = shadows
        self._id_prefix = id_prefix
        self._ids = itertools.count(1)
        self._unseen: set[asyncio.Task[None]] = set()
        shadows.attach(self.score_unseen, lambda: log.served)

    def next_id(self) -> str:
        """An id for a request that brings none."""
        return f"{self._id_prefix}{next(self._ids)}"

    def infer(
        self,
        endpoint: CompiledEndpoint,
        document: InferDocument,
        arrived_ns: int,
        *,
        version: str = "",
        deadline_ns: int = 0,
        priority: int = NORMAL,
    ) -> Answer | Awaitable[Answer]:
        """Answer ``document``, at once or later; what an arm was asked is logged before the answer is there.

        Parameters
        ----------
        arrived_ns, deadline_ns: on the clock of ``time.perf_counter_ns``; a deadline of 0 is none.
        version: answer by this version and not by the routes' weights.

        Raises (at once, or when awaited)
        ------
        InvalidInput: the request is not one this endpoint's model can take; no arm was asked and nothing is logged.
        Unavailable, Refused: an arm was asked and could not answer; that is logged.
        """
        asked_at_us = self.clock.now_us()
        prediction_id = document.id or self.next_id()
        columns, rows = endpoint.live.model.inputs.read(document)
        arm = self._arm(endpoint, columns, prediction_id, version)
        model = arm.model
        if not arm.reads_as_live:
            columns, rows = model.inputs.read(document)
        if document.outputs:
            model.outputs.check_wanted([wish.name for wish in document.outputs])
        limit_ms = endpoint.record.deadline_ms
        if limit_ms:
            latest_ns = arrived_ns + limit_ms * 1_000_000
            deadline_ns = min(deadline_ns, latest_ns) if deadline_ns else latest_ns
        ask = Ask(
            id=prediction_id,
            asked_at_us=asked_at_us,
            arrived_ns=arrived_ns,
            columns=columns,
            rows=rows,
            entities=_entities(arm, columns) if rows == 1 and model.entity_fields else _EMPTY,
            routed=not version,
            deadline_ns=deadline_ns,
            priority=priority,
        )
        if endpoint.record.killed:
            return self._finish(endpoint, arm, ask, *self._killed(endpoint, arm, ask), document)
        try:
            inputs = self._inputs(arm, ask)
        except Refused as error:
            return self._finish(endpoint, arm, ask, _NOTHING, Outcome([], "refused", error.code, error), document)
        kept = model.cache.get(inputs.features) if model.cache is not None else None
        if kept is not None:
            return self._finish(endpoint, arm, ask, inputs, Outcome(kept, cached=True), document)
        if model.lane is not None:
            return self._later(endpoint, arm, ask, inputs, model.lane, document)
        outcome = self._score(arm, inputs)
        if outcome.status == "ok":
            return self._finish(endpoint, arm, ask, inputs, outcome, document)
        good = endpoint.last_good
        if good is not None and good.model.lane is not None and good.version != arm.version:
            return self._recover_later(endpoint, arm, ask, inputs, outcome, document)
        return self._finish(endpoint, arm, ask, inputs, self._recover(endpoint, arm, ask, inputs, outcome), document)

    # ---- the arm and its inputs -------------------------------------------------------------------------------------------------------

    def _arm(self, endpoint: CompiledEndpoint, columns: Mapping[str, Column], prediction_id: str, version: str) -> CompiledArm:
        """The arm for this request: the version it names, or the sticky choice by its first row (else by its id)."""
        if version:
            named = endpoint.named(version)
            assert named is not None, "the door has checked the version"
            return named
        if not endpoint.intervals:
            return endpoint.live
        sticky = columns.get(endpoint.record.hash_field)
        return endpoint.pick(prediction_id if sticky is None or sticky[0] is None else str(sticky[0]))

    def _inputs(self, arm: CompiledArm, ask: Ask) -> Inputs:
        """Features and matrix of one request for one arm.

        Raises
        ------
        Refused: a value is missing that the model does not do without.
        """
        model, policy = arm.model, arm.policy
        bindings, now_us = model.signature.views, ask.asked_at_us
        looked, lacking = _NOT_LOOKED, NOTHING_LACKING
        if ask.rows == 1:
            if bindings:
                looked = self.lookup.read_one(bindings, ask.columns, now_us, policy.off_views, policy.remember)
            row = _row(model, ask.columns, looked.values)
            # A sum is NaN when any of its terms is: one cheap look instead of one a column.
            if policy.off or math.isnan(sum(row)):
                row, lacking = policy.apply_row(row, looked.gaps)
            return Inputs(model.plan.pack(*row), 1, lacking, looked.unreachable, looked.ages_us)
        if bindings:
            looked = self.lookup.read(bindings, ask.columns, ask.rows, now_us, policy.off_views, policy.remember)
        sent = ask.columns.table if isinstance(ask.columns, PackedTable) and model.plan.as_sent else None
        matrix = assemble(model.raw, ask.columns, looked.values, ask.rows) if sent is None else sent
        if policy.off or math.isnan(matrix.sum()):
            # Policy is applied in place, and other arms may be about to read the same table.
            matrix, lacking = policy.apply(matrix if sent is None else sent.copy(), looked.gaps)
        return Inputs(np.ascontiguousarray(matrix, dtype="<f8").tobytes(), ask.rows, lacking, looked.unreachable, looked.ages_us)

    # ---- scores -----------------------------------------------------------------------------------------------------------------------

    def _score(self, arm: CompiledArm, inputs: Inputs) -> Outcome:
        """Scores on the spot."""
        model = arm.model
        try:
            if inputs.rows == 1 and model.outputs.simple:
                score = model.score_row(inputs.features)
                return Outcome([score]) if math.isfinite(score) else _failed(arm)
            scores = model.score(inputs.matrix()).ravel().tolist()
        except InvalidInput:
            # Found late, but still the caller's: a value no model could take must not count against this one.
            raise
        except LeverframeError:
            return _failed(arm)
        return Outcome(scores) if _finite(scores) else _failed(arm)

    async def _in_lane(self, arm: CompiledArm, ask: Ask, inputs: Inputs, lane: Lane) -> Outcome:
        """Scores from a lane, or what became of waiting for them."""
        try:
            waiting = lane.submit(inputs.matrix(), deadline_ns=ask.deadline_ns, priority=ask.priority)
            if not ask.deadline_ns:
                result = await waiting
            else:
                async with asyncio.timeout(max(0.0, (ask.deadline_ns - perf_counter_ns()) / 1e9)):
                    result = await waiting
        except TimeoutError:
            error = DeadlineExceeded("the answer was not there in time", where=arm.version, next_step="allow more time")
            return Outcome([], "error", error.code, error)
        except (Overloaded, DeadlineExceeded) as refusal:
            return Outcome([], "error", refusal.code, refusal)
        except LeverframeError:
            return _failed(arm)
        scores = result.ravel().tolist()
        return Outcome(scores) if _finite(scores) else _failed(arm)

    async def _later(
        self, endpoint: CompiledEndpoint, arm: CompiledArm, ask: Ask, inputs: Inputs, lane: Lane, document: InferDocument
    ) -> Answer:
        outcome = await self._in_lane(arm, ask, inputs, lane)
        if outcome.status == "ok":
            if arm.model.cache is not None:
                arm.model.cache.put(inputs.features, outcome.scores)
            return self._finish(endpoint, arm, ask, inputs, outcome, document)
        return await self._recover_later(endpoint, arm, ask, inputs, outcome, document)

    # ---- when an arm cannot -----------------------------------------------------------------------------------------------------------

    def _killed(self, endpoint: CompiledEndpoint, arm: CompiledArm, ask: Ask) -> tuple[Inputs, Outcome]:
        """No model is asked at all: a rule or the constant answers, or the request is refused."""
        record = endpoint.record
        inputs = Inputs(b"", ask.rows)
        if record.fallback.rules:
            try:
                inputs = self._inputs(arm, ask)
            except Refused:
                inputs = Inputs(b"", ask.rows)
        outcome = self._without_model(endpoint, arm, inputs, fallback.KILLED)
        return inputs, outcome or Outcome([], "refused", fallback.KILLED, fallback.killed_error(record))

    def _without_model(self, endpoint: CompiledEndpoint, arm: CompiledArm, inputs: Inputs, code: str) -> Outcome | None:
        matrix = inputs.matrix() if inputs.features else None
        found = fallback.without_model(endpoint.record, matrix, arm.positions, inputs.rows)
        if found is None:
            return None
        scores, kind = found
        width = arm.model.outputs.width
        return Outcome([score for each in scores for score in (each,) * width] if width > 1 else scores, "fallback", code, fallback=kind)

    def _recover(self, endpoint: CompiledEndpoint, arm: CompiledArm, ask: Ask, inputs: Inputs, failed: Outcome) -> Outcome:
        """The fallback chain for an arm that failed: last good version, rule, constant; else the failure."""
        good = endpoint.last_good
        if good is not None and good.model.lane is None and good.version != arm.version and _same_outputs(good, arm):
            try:
                again = self._score(good, self._inputs(good, ask))
            except (Refused, InvalidInput):
                again = failed
            if again.status == "ok":
                return Outcome(again.scores, "fallback", failed.code, fallback=fallback.LAST_GOOD)
        return self._without_model(endpoint, arm, inputs, failed.code) or failed

    async def _recover_later(
        self, endpoint: CompiledEndpoint, arm: CompiledArm, ask: Ask, inputs: Inputs, failed: Outcome, document: InferDocument
    ) -> Answer:
        """The same, when the last good version has a lane: it is asked only while there is time."""
        good = endpoint.last_good
        in_time = not ask.deadline_ns or perf_counter_ns() < ask.deadline_ns
        if good is not None and good.model.lane is not None and good.version != arm.version and in_time and _same_outputs(good, arm):
            try:
                again = await self._in_lane(good, ask, self._inputs(good, ask), good.model.lane)
            except (Refused, InvalidInput):
                again = failed
            if again.status == "ok":
                outcome = Outcome(again.scores, "fallback", failed.code, fallback=fallback.LAST_GOOD)
                return self._finish(endpoint, arm, ask, inputs, outcome, document)
        return self._finish(endpoint, arm, ask, inputs, self._recover(endpoint, arm, ask, inputs, failed), document)

    # ---- the record and the answer ----------------------------------------------------------------------------------------------------

    def _finish(
        self, endpoint: CompiledEndpoint, arm: CompiledArm, ask: Ask, inputs: Inputs, outcome: Outcome, document: InferDocument
    ) -> Answer:
        """Log, count, mirror; the answer, or the outcome's error."""
        latency_us = (perf_counter_ns() - ask.arrived_ns) // 1000
        self.log.answer(_prediction(endpoint, arm, ask, inputs, outcome, latency_us, arm.arm.role))
        _count(arm, inputs, outcome.status, latency_us)
        if endpoint.unseen and outcome.code != fallback.KILLED:
            self._mirror(endpoint, arm, ask, document)
        if outcome.error is not None:
            raise outcome.error
        return Answer(ask.id, arm, ask.rows, outcome.scores, _facts(endpoint, arm, inputs, outcome))

    # ---- unseen arms ------------------------------------------------------------------------------------------------------------------

    def score_unseen(self, job: ShadowJob) -> None:
        """Score a request that was answered by another arm; only the log sees it."""
        ask = Ask(job.id, job.asked_at_us, perf_counter_ns(), job.columns, job.rows, job.entities, priority=UNSEEN)
        lane = job.arm.model.lane
        try:
            inputs = self._inputs(job.arm, ask)
            if lane is not None:
                task = asyncio.ensure_future(self._unseen_later(job, ask, inputs, lane))
                self._unseen.add(task)
                task.add_done_callback(self._unseen.discard)
                return
            outcome = self._score(job.arm, inputs)
        except Refused as error:
            inputs, outcome = _NOTHING, Outcome([], "refused", error.code)
        except Exception:  # whatever a shadow does stays unseen; the log has it as an error
            inputs, outcome = _NOTHING, _failed(job.arm)
        self._log_unseen(job, ask, inputs, outcome)

    async def _unseen_later(self, job: ShadowJob, ask: Ask, inputs: Inputs, lane: Lane) -> None:
        try:
            outcome = await self._in_lane(job.arm, ask, inputs, lane)
        except asyncio.CancelledError:
            self.log.drop_shadow()
            raise
        if outcome.code == Overloaded.code:
            self.log.drop_shadow()
        else:
            self._log_unseen(job, ask, inputs, outcome)

    async def finish_unseen(self, grace_s: float) -> None:
        """Work off what unseen arms were given (at a stop); what is not done within ``grace_s`` is dropped and counted."""
        self._shadows.drain()
        if self._unseen:
            await asyncio.wait(self._unseen, timeout=grace_s)
        for task in list(self._unseen):
            task.cancel()
        await asyncio.sleep(0)

    def _log_unseen(self, job: ShadowJob, ask: Ask, inputs: Inputs, outcome: Outcome) -> None:
        latency_us = (perf_counter_ns() - ask.arrived_ns) // 1000
        self.log.shadow(_prediction(job.endpoint, job.arm, ask, inputs, outcome, latency_us, "shadow"))

    def _mirror(self, endpoint: CompiledEndpoint, answered: CompiledArm, ask: Ask, document: InferDocument) -> None:
        for arm in endpoint.unseen:
            if arm is answered:
                continue
            columns: Mapping[str, Column] = ask.columns
            if not (arm.reads_as_live and answered.reads_as_live):
                try:
                    columns, _ = arm.model.inputs.read(document)
                except InvalidInput:
                    columns = {}  # scoring fails then, and the log says that this version could not have answered
            if not self._shadows.offer(ShadowJob(endpoint, arm, ask.id, ask.asked_at_us, columns, ask.rows, ask.entities)):
                self.log.drop_shadow()


def _finite(scores: list[float]) -> bool:
    # One look for the usual case; only a sum that is not finite is worth a look at each score.
    return math.isfinite(sum(scores)) or all(map(math.isfinite, scores))


def _failed(arm: CompiledArm) -> Outcome:
    return Outcome([], "error", fallback.MODEL_FAILED, fallback.failed_error(arm.endpoint, arm.version))


def _same_outputs(one: CompiledArm, other: CompiledArm) -> bool:
    return one.model.signature.outputs == other.model.signature.outputs


def _row(model: LoadedVersion, columns: Mapping[str, Column], views: Mapping[str, Sequence[float]]) -> Sequence[float]:
    """The single row of a request, before any missing-value policy."""
    if isinstance(columns, PackedRow) and model.plan.as_sent and None not in columns.row:
        return columns.row
    values = {name: column[0] for name, column in columns.items()}
    return model.plan.row(values, views)


def _entities(arm: CompiledArm, columns: Mapping[str, Column]) -> dict[str, str]:
    return {name: str(columns[name][0]) for name in arm.model.entity_fields if columns[name][0] is not None}


def _prediction(
    endpoint: CompiledEndpoint, arm: CompiledArm, ask: Ask, inputs: Inputs, outcome: Outcome, latency_us: int, role: Any
) -> PredictionRecord:
    record, width, scores, more = endpoint.record, arm.model.outputs.width, outcome.scores, b""
    if width > 1 and scores:
        table = np.array(scores, dtype="<f8").reshape(-1, width)
        scores, more = table[:, 0].tolist(), table[:, 1:].tobytes()
    return PredictionRecord(
        id=ask.id,
        endpoint=record.name,
        tenant=record.tenant,
        version=arm.version,
        role=role,
        generation=endpoint.generation,
        asked_at_us=ask.asked_at_us,
        latency_us=latency_us,
        status=outcome.status,
        outputs=tuple(scores),
        features=inputs.features,
        entities=ask.entities,
        missing=inputs.lacking.count,
        disabled=len(arm.policy.off) * ask.rows,
        code=outcome.code,
        more_outputs=more,
        routed=ask.routed,
    )


def _count(arm: CompiledArm, inputs: Inputs, status: Status, latency_us: int) -> None:
    stats = arm.stats
    if status == "ok":
        stats.ok += 1
    elif status == "fallback":
        stats.fallbacks += 1
    elif status == "refused":
        stats.refused += 1
    else:
        stats.errors += 1
    stats.missing += inputs.lacking.count
    stats.disabled += len(arm.policy.off)
    stats.observe(latency_us)


def _facts(endpoint: CompiledEndpoint, arm: CompiledArm, inputs: Inputs, outcome: Outcome) -> bytes:
    """What the answer says about itself: the inside of a JSON object."""
    facts = arm.parameters
    if inputs.ages_us:
        facts += freshness(inputs.ages_us)
    if inputs.lacking.count:
        facts += lacking_facts(inputs.lacking)
    if inputs.unreachable:
        facts += b',"unreachable_views":%b' % _encode(",".join(inputs.unreachable))
    if arm.policy.off:
        facts += b',"disabled_features":%b' % _encode(",".join(arm.policy.disabled))
    if outcome.cached:
        facts += b',"cached":true'
    if outcome.fallback:
        facts += b',"fallback":%b,"fallback_reason":%b' % (_encode(outcome.fallback), _encode(outcome.code))
        if outcome.fallback == fallback.LAST_GOOD and endpoint.last_good is not None:
            facts += b',"fallback_version":%b' % _encode(endpoint.last_good.version)
    return facts
