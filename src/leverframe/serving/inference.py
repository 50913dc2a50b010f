"""The walk of one inference: document → arm → columns → features → matrix → scores → record → answer."""

import itertools
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from leverframe.core.assemble import assemble
from leverframe.core.clock import Clock
from leverframe.core.errors import InvalidInput, LeverframeError, Refused
from leverframe.core.prediction import PredictionRecord
from leverframe.serving import fallback, oip
from leverframe.serving.express import Express
from leverframe.serving.inputs import PackedRow, PackedTable
from leverframe.serving.log_segments import SegmentLog
from leverframe.serving.lookup import Lookup
from leverframe.serving.message import JSON, Request, Response
from leverframe.serving.models import LoadedVersion
from leverframe.serving.routing import CompiledArm, CompiledEndpoint
from leverframe.serving.shadow import ShadowJob, ShadowQueue
from leverframe.serving.tensors import Column

_encode = msgspec.json.encode
_EMPTY: dict[str, str] = {}


class Scored(msgspec.Struct, gc=False):
    """What came out of a model for one request; ``features`` is its input matrix as little-endian float64."""

    scores: list[float]
    features: bytes
    missing: int = 0
    missing_names: Sequence[str] = ()
    unreachable: Sequence[str] = ()


class Inference:
    """Answers inference requests on one worker.

    Parameters
    ----------
    clock: decides TTLs and ``asked_at_us``.
    id_prefix: makes the ids of requests that bring none unique over workers and restarts.
    body_bytes_max: bound of a decompressed body.
    """

    def __init__(self, *, clock: Clock, log: SegmentLog, lookup: Lookup, shadows: ShadowQueue, id_prefix: str, body_bytes_max: int) -> None:
        self._clock = clock
        self._log = log
        self._lookup = lookup
        self._shadows = shadows
        self._id_prefix = id_prefix
        self._ids = itertools.count(1)
        self._body_bytes_max = body_bytes_max
        self._express = Express(clock, log, self._next_id)

    def _next_id(self) -> str:
        return f"{self._id_prefix}{next(self._ids)}"

    def answer(self, endpoint: CompiledEndpoint, request: Request, version: str = "") -> Response:
        """Answer ``request``; what an arm was asked is logged before this returns.

        Raises
        ------
        InvalidInput: the request is not one this endpoint's model can take; no arm was asked and nothing is logged.
        Unavailable, Refused: an arm was asked and could not answer; that is logged.
        """
        # A known head says that the body is plain JSON.
        if endpoint.usual and request.head is not None and not version and (usual := self._express.answer(endpoint, request)) is not None:
            return usual
        asked_at_us = self._clock.now_us()
        document = oip.read_document(request, self._body_bytes_max)
        prediction_id = document.id or self._next_id()
        live = endpoint.live.model
        columns, rows = live.inputs.read(document)
        arm = self._arm(endpoint, columns, prediction_id, version)
        model = arm.model
        if not arm.reads_as_live:
            columns, rows = model.inputs.read(document)
        binary = oip.wants_binary(document, model.output) if document.outputs or document.parameters else False
        entities = _entities(arm, columns) if rows == 1 and model.entity_fields else _EMPTY
        ask = Ask(prediction_id, asked_at_us, columns, rows, entities)
        scored, status, code, error = self._score(endpoint, arm, ask)
        latency_us = (time.perf_counter_ns() - request.arrived_ns) // 1000
        self._log.answer(_prediction(endpoint, arm, ask, scored, status, code, latency_us, arm.arm.role))
        _count(arm, status, scored, latency_us)
        if endpoint.unseen and code != fallback.KILLED:
            self._mirror(endpoint, arm, ask, document)
        if error is not None:
            raise error
        return _response(arm, prediction_id, scored, code, binary)

    def score_unseen(self, job: ShadowJob) -> None:
        """Score a request that was answered by another arm; only the log sees it."""
        started = time.perf_counter_ns()
        ask = Ask(job.id, job.asked_at_us, job.columns, job.rows, job.entities)
        scored, status, code = Scored([], b""), "ok", ""
        try:
            scored = self.run(job.arm, ask)
            if not all(map(math.isfinite, scored.scores)):
                status, code = "error", fallback.MODEL_FAILED
        except Refused as error:
            status, code = "refused", error.code
        except Exception:  # whatever a shadow does stays unseen; the log has it as an error
            status, code = "error", fallback.MODEL_FAILED
        latency_us = (time.perf_counter_ns() - started) // 1000
        self._log.shadow(_prediction(job.endpoint, job.arm, ask, scored, status, code, latency_us, "shadow"))

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

    def _score(self, endpoint: CompiledEndpoint, arm: CompiledArm, ask: "Ask") -> tuple[Scored, str, str, LeverframeError | None]:
        """Scores with status and code, or the constant, or the error to answer with."""
        record = endpoint.record
        if record.killed:
            scores = fallback.constant(record, ask.rows)
            if scores is None:
                return Scored([], b""), "refused", fallback.KILLED, fallback.killed_error(record)
            return Scored(scores, b""), "fallback", fallback.KILLED, None
        try:
            scored = self.run(arm, ask)
            # One look for the usual case; only a sum that is not finite is worth a look at each score.
            if math.isfinite(sum(scored.scores)) or all(map(math.isfinite, scored.scores)):
                return scored, "ok", "", None
        except Refused as error:
            return Scored([], b""), "refused", error.code, error
        except InvalidInput:
            # Found late, but still the caller's: a value no model could take must not count against this one.
            raise
        except LeverframeError:
            scored = Scored([], b"")
        scores = fallback.constant(record, ask.rows)
        if scores is None:
            return scored, "error", fallback.MODEL_FAILED, fallback.failed_error(record, arm.version)
        return Scored(scores, scored.features, scored.missing), "fallback", fallback.MODEL_FAILED, None

    def run(self, arm: CompiledArm, ask: "Ask") -> Scored:
        """Features, matrix and scores of one request by one arm.

        Raises
        ------
        Refused: a value is missing that the model does not do without.    Integrity: the runtime failed.
        """
        model, policy = arm.model, arm.policy
        bindings, now_us = model.signature.views, ask.asked_at_us
        unreachable: Sequence[str] = ()
        if ask.rows == 1:
            values: Mapping[str, Sequence[float]] = {}
            if bindings:
                values, unreachable = self._lookup.read_one(bindings, ask.columns, now_us, policy.off_views)
            row = _row(model, ask.columns, values)
            missing: Sequence[str] = ()
            # A sum is NaN when any of its terms is: one cheap look instead of one a column.
            if policy.off or math.isnan(sum(row)):
                row, missing = policy.apply_row(row)
            packed = model.plan.pack(*row)
            return Scored([model.score_row(packed)], packed, len(missing), missing, unreachable)
        views: Mapping[str, Any] = {}
        if bindings:
            views, unreachable = self._lookup.read(bindings, ask.columns, ask.rows, now_us, policy.off_views)
        sent = ask.columns.table if isinstance(ask.columns, PackedTable) and model.plan.as_sent else None
        matrix = assemble(model.raw, ask.columns, views, ask.rows) if sent is None else sent
        count, missing = 0, ()
        if policy.off or math.isnan(matrix.sum()):
            # Policy is applied in place, and other arms may be about to read the same table.
            matrix, count, missing = policy.apply(matrix if sent is None else sent.copy())
        scores = model.score(matrix).tolist()
        return Scored(scores, np.ascontiguousarray(matrix, dtype="<f8").tobytes(), count, missing, unreachable)

    def _mirror(self, endpoint: CompiledEndpoint, answered: CompiledArm, ask: "Ask", document: oip.InferDocument) -> None:
        for arm in endpoint.unseen:
            if arm is answered:
                continue
            columns: Mapping[str, Column] = ask.columns
            if arm.model.signature.request != answered.model.signature.request:
                try:
                    columns, _ = arm.model.inputs.read(document)
                except InvalidInput:
                    columns = {}  # scoring fails then, and the log says that this version could not have answered
            if not self._shadows.offer(ShadowJob(endpoint, arm, ask.id, ask.asked_at_us, columns, ask.rows, ask.entities)):
                self._log.drop_shadow()


class Ask(msgspec.Struct):
    """One request as an arm sees it."""

    id: str
    asked_at_us: int
    columns: Mapping[str, Column]
    rows: int
    entities: dict[str, str]


def _row(model: LoadedVersion, columns: Mapping[str, Column], views: Mapping[str, Sequence[float]]) -> Sequence[float]:
    """The single row of a request, before any missing-value policy."""
    if isinstance(columns, PackedRow) and model.plan.as_sent and None not in columns.row:
        return columns.row
    values = {name: column[0] for name, column in columns.items()}
    return model.plan.row(values, views)


def _entities(arm: CompiledArm, columns: Mapping[str, Column]) -> dict[str, str]:
    return {name: str(columns[name][0]) for name in arm.model.entity_fields if columns[name][0] is not None}


def _prediction(
    endpoint: CompiledEndpoint, arm: CompiledArm, ask: Ask, scored: Scored, status: Any, code: str, latency_us: int, role: Any
) -> PredictionRecord:
    record = endpoint.record
    return PredictionRecord(
        id=ask.id,
        endpoint=record.name,
        tenant=record.tenant,
        version=arm.version,
        role=role,
        generation=endpoint.generation,
        asked_at_us=ask.asked_at_us,
        latency_us=latency_us,
        status=status,
        outputs=tuple(scored.scores),
        features=scored.features,
        entities=ask.entities,
        missing=scored.missing,
        disabled=len(arm.policy.off) * ask.rows,
        code=code,
    )


def _count(arm: CompiledArm, status: str, scored: Scored, latency_us: int) -> None:
    stats = arm.stats
    if status == "ok":
        stats.ok += 1
    elif status == "fallback":
        stats.fallbacks += 1
    elif status == "refused":
        stats.refused += 1
    else:
        stats.errors += 1
    stats.missing += scored.missing
    stats.disabled += len(arm.policy.off)
    stats.observe(latency_us)


def _response(arm: CompiledArm, prediction_id: str, scored: Scored, code: str, binary: bool) -> Response:
    model = arm.model
    parameters = arm.parameters
    if scored.missing:
        parameters += b',"missing":%d,"missing_features":%b' % (scored.missing, _encode(",".join(scored.missing_names)))
    if scored.unreachable:
        parameters += b',"unreachable_views":%b' % _encode(",".join(scored.unreachable))
    if arm.policy.off:
        parameters += b',"disabled_features":%b' % _encode(",".join(arm.policy.disabled))
    if code:
        parameters += b',"fallback":"constant","fallback_reason":%b' % _encode(code)
    parameters += b"}"
    if binary:
        return oip.binary_answer(model.answer_start, prediction_id, parameters, model.answer_outputs, scored.scores, model.output_type)
    return Response(200, oip.json_answer(model.answer_start, prediction_id, parameters, model.answer_outputs, scored.scores), JSON)
