"""Unseen arms: what another arm answered is scored again for the log alone."""

import asyncio
from collections.abc import Mapping
from time import perf_counter_ns

from leverframe.core.errors import InvalidInput, Overloaded, Refused
from leverframe.serving.engine.lane import UNSEEN, Lane
from leverframe.serving.features.lookup import Lookup
from leverframe.serving.log_segments import SegmentLog
from leverframe.serving.protocol.oip import InferDocument
from leverframe.serving.protocol.tensors import Column
from leverframe.serving.routes.routing import CompiledArm, CompiledEndpoint
from leverframe.serving.walk.ask import Ask, Outcome
from leverframe.serving.walk.model_input import NO_INPUT, ModelInput, model_input
from leverframe.serving.walk.record import prediction
from leverframe.serving.walk.scoring import failed, score_in_lane, score_now
from leverframe.serving.walk.shadow import ShadowJob, ShadowQueue


class Unseen:
    """Scores for shadow arms and mirroring canaries on one worker. Whatever goes wrong stays in the log."""

    def __init__(self, log: SegmentLog, lookup: Lookup, queue: ShadowQueue) -> None:
        self._log = log
        self._lookup = lookup
        self._queue = queue
        self._tasks: set[asyncio.Task[None]] = set()
        queue.attach(self.score, lambda: log.served)

    def mirror(self, endpoint: CompiledEndpoint, answered: CompiledArm, ask: Ask, document: InferDocument) -> None:
        """Queue a request for every unseen arm that did not answer it; drop and count it where there is no room."""
        for arm in endpoint.unseen:
            if arm is answered:
                continue
            columns: Mapping[str, Column] = ask.columns
            if not (arm.reads_as_live and answered.reads_as_live):
                try:
                    columns, _ = arm.model.inputs.read(document)
                except InvalidInput:
                    columns = {}  # scoring fails then, and the log says that this version could not have answered
            if not self._queue.offer(ShadowJob(endpoint, arm, ask.id, ask.asked_at_us, columns, ask.rows, ask.entities)):
                self._log.drop_shadow()

    def score(self, job: ShadowJob) -> None:
        """Do one job; a costly model's goes to its lane, last in line."""
        ask = Ask(job.id, job.asked_at_us, perf_counter_ns(), job.columns, job.rows, job.entities, priority=UNSEEN)
        lane = job.arm.model.unseen_lane
        try:
            inputs = model_input(self._lookup, job.arm, ask)
            if lane is not None:
                task = asyncio.ensure_future(self._score_later(job, ask, inputs, lane))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                return
            outcome = score_now(job.arm, inputs)
        except Refused as error:
            inputs, outcome = NO_INPUT, Outcome([], "refused", error.code)
        except Exception:  # whatever a shadow does stays unseen; the log has it as an error
            inputs, outcome = NO_INPUT, failed(job.arm)
        self._note(job, ask, inputs, outcome)

    async def _score_later(self, job: ShadowJob, ask: Ask, inputs: ModelInput, lane: Lane) -> None:
        try:
            outcome = await score_in_lane(job.arm, ask, inputs, lane)
        except asyncio.CancelledError:
            self._log.drop_shadow()
            raise
        if outcome.code == Overloaded.code:
            self._log.drop_shadow()
        else:
            self._note(job, ask, inputs, outcome)

    def _note(self, job: ShadowJob, ask: Ask, inputs: ModelInput, outcome: Outcome) -> None:
        latency_us = (perf_counter_ns() - ask.arrived_ns) // 1000
        self._log.shadow(prediction(job.endpoint, job.arm, ask, inputs, outcome, latency_us, "shadow"))

    async def finish(self, grace_s: float) -> None:
        """Work off what is left (at a stop); what is not done within ``grace_s`` is dropped and counted."""
        self._queue.drain()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.sleep(0)
