"""The walk of one inference: document → arm → columns → features → matrix → scores → record → answer.

A cheap model is scored on the spot; a costly one in its lane, and then the answer comes later. Either way what an arm was asked is logged
before its answer leaves here, and no protocol is known here: the doors bring documents and give answers their form.
"""

import itertools
from collections.abc import Awaitable, Mapping
from time import perf_counter_ns

from leverframe.core.clock import Clock
from leverframe.core.errors import Refused
from leverframe.core.prediction import Exposure
from leverframe.serving.engine.lane import NORMAL, Lane
from leverframe.serving.features.lookup import Lookup
from leverframe.serving.log_segments import SegmentLog
from leverframe.serving.protocol.oip import InferDocument
from leverframe.serving.protocol.tensors import Column
from leverframe.serving.routes.routing import CompiledArm, CompiledEndpoint
from leverframe.serving.telemetry.trace import LOG, MODEL, Trace
from leverframe.serving.walk import fallback
from leverframe.serving.walk.answers import Answer
from leverframe.serving.walk.ask import Ask, Outcome
from leverframe.serving.walk.model_input import NO_INPUT, ModelInput, model_input
from leverframe.serving.walk.record import count, facts, prediction
from leverframe.serving.walk.recovery import killed, recover, recover_later, waits_for_last_good
from leverframe.serving.walk.scoring import score_in_lane, score_now
from leverframe.serving.walk.shadow import ShadowQueue
from leverframe.serving.walk.unseen import Unseen

_EMPTY: dict[str, str] = {}


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
        self.unseen = Unseen(log, lookup, shadows)
        self._id_prefix = id_prefix
        self._ids = itertools.count(1)

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
        trace: Trace | None = None,
    ) -> Answer | Awaitable[Answer]:
        """Answer ``document``, at once or later; what an arm was asked is logged before the answer is there.

        Parameters
        ----------
        arrived_ns, deadline_ns: on the clock of ``time.perf_counter_ns``; a deadline of 0 is none.
        version: answer by this version and not by the routes' weights.
        trace: takes the stages of a sampled request.

        Raises (at once, or when awaited)
        ------
        InvalidInput: the request is not one this endpoint's model can take, or breaks its contract; no arm was asked and nothing is logged.
        Unavailable, Refused: an arm was asked and could not answer; that is logged.
        """
        asked_at_us = self.clock.now_us()
        prediction_id = document.id or self.next_id()
        columns, rows = endpoint.live.model.inputs.read(document)
        arm, exposure = self._arm(endpoint, columns, prediction_id, version)
        model = arm.model
        if not arm.reads_as_live:
            columns, rows = model.inputs.read(document)
        warned = model.contract.check(columns, rows) if model.contract else ()
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
            exposure=exposure,
            deadline_ns=deadline_ns,
            priority=priority,
            trace=trace,
            warned=warned,
        )
        if endpoint.record.killed:
            return self._finish(endpoint, arm, ask, *killed(self.lookup, endpoint, arm, ask), document)
        try:
            inputs = model_input(self.lookup, arm, ask)
        except Refused as error:
            return self._finish(endpoint, arm, ask, NO_INPUT, Outcome([], "refused", error.code, error), document)
        kept = model.cache.get(inputs.features) if model.cache is not None else None
        if kept is not None:
            return self._finish(endpoint, arm, ask, inputs, Outcome(kept, cached=True), document)
        if model.lane is not None:
            return self._later(endpoint, arm, ask, inputs, model.lane, document)
        if trace is None:
            outcome = score_now(arm, inputs)
        else:
            started_ns = perf_counter_ns()
            outcome = score_now(arm, inputs)
            trace.stage(MODEL, started_ns, perf_counter_ns())
        if outcome.status != "ok":
            if waits_for_last_good(endpoint, arm):
                return self._recover_later(endpoint, arm, ask, inputs, outcome, document)
            outcome = recover(self.lookup, endpoint, arm, ask, inputs, outcome)
        return self._finish(endpoint, arm, ask, inputs, outcome, document)

    def _arm(
        self, endpoint: CompiledEndpoint, columns: Mapping[str, Column], prediction_id: str, version: str
    ) -> tuple[CompiledArm, Exposure | None]:
        """The arm for this request: the version it names, or the sticky choice by its first row (else by its id)."""
        if version:
            named = endpoint.named(version)
            assert named is not None, "the door has checked the version"
            return named, None
        if not endpoint.intervals:
            return endpoint.live, None
        sticky = columns.get(endpoint.sticky)
        return endpoint.pick(prediction_id if sticky is None or sticky[0] is None else str(sticky[0]))

    async def _later(
        self, endpoint: CompiledEndpoint, arm: CompiledArm, ask: Ask, inputs: ModelInput, lane: Lane, document: InferDocument
    ) -> Answer:
        outcome = await score_in_lane(arm, ask, inputs, lane)
        if outcome.status == "ok":
            if arm.model.cache is not None:
                arm.model.cache.put(inputs.features, outcome.scores)
            return self._finish(endpoint, arm, ask, inputs, outcome, document)
        return await self._recover_later(endpoint, arm, ask, inputs, outcome, document)

    async def _recover_later(
        self, endpoint: CompiledEndpoint, arm: CompiledArm, ask: Ask, inputs: ModelInput, failed: Outcome, document: InferDocument
    ) -> Answer:
        outcome = await recover_later(self.lookup, endpoint, arm, ask, inputs, failed)
        return self._finish(endpoint, arm, ask, inputs, outcome, document)

    def _finish(
        self, endpoint: CompiledEndpoint, arm: CompiledArm, ask: Ask, inputs: ModelInput, outcome: Outcome, document: InferDocument
    ) -> Answer:
        """Log, count, mirror; the answer, or the outcome's error."""
        now_ns = perf_counter_ns()
        latency_us = (now_ns - ask.arrived_ns) // 1000
        self.log.answer(prediction(endpoint, arm, ask, inputs, outcome, latency_us, arm.arm.role))
        if ask.trace is not None:
            ask.trace.stage(LOG, now_ns, perf_counter_ns())
        count(arm, ask, inputs, outcome.status, latency_us)
        if endpoint.unseen and outcome.code != fallback.KILLED:
            self.unseen.mirror(endpoint, arm, ask, document)
        if outcome.error is not None:
            raise outcome.error
        return Answer(ask.id, arm, ask.rows, outcome.scores, facts(endpoint, arm, ask, inputs, outcome))


def _entities(arm: CompiledArm, columns: Mapping[str, Column]) -> dict[str, str]:
    return {name: str(columns[name][0]) for name in arm.model.entity_fields if columns[name][0] is not None}
