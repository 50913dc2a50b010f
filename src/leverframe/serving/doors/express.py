"""The usual request, answered with nothing built that it does not need: one row of plain numbers as one tensor, JSON in and JSON out.

Everything here is said again in full by :mod:`leverframe.serving.walk.inference`, which answers whatever this declines; a test holds
answers, records and counts of the two equal. It declines before anything is counted or logged: a missing value, an output by name,
parameters, a row that breaks a rule of the contract, a score that is not finite, a fault of any kind. Which endpoints can have usual
requests at all is decided when routes are compiled.
"""

from collections.abc import Sequence
from math import isfinite
from time import perf_counter_ns
from typing import Any

import msgspec

from leverframe.core.errors import LeverframeError
from leverframe.core.prediction import PredictionRecord
from leverframe.serving.protocol.inputs import InputPlan
from leverframe.serving.protocol.message import JSON, Request, Response
from leverframe.serving.protocol.oip import ID_CHARS_MAX
from leverframe.serving.protocol.tensors import NUMBERS
from leverframe.serving.routes.routing import CompiledArm, CompiledEndpoint
from leverframe.serving.walk.inference import Inference

USUAL_BYTES_MAX = 8192
"""A longer body holds more than one usual row: it is not decoded twice to find that out."""
_encode = msgspec.json.encode


class UsualTensor(msgspec.Struct, gc=False):
    """A tensor whose data is a flat list of numbers, decoded in the same pass as the document."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float]
    parameters: dict[str, Any] = {}


class UsualDocument(msgspec.Struct, gc=False):
    """An inference request of such tensors; otherwise the general document."""

    inputs: list[UsualTensor]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[Any] = []


_decode = msgspec.json.Decoder(UsualDocument).decode


def read_usual(body: bytes, inputs: InputPlan) -> UsualDocument | None:
    """The document in ``body`` when it is one usual row, else None: also when it is wrong, the general reader says how."""
    if len(body) > USUAL_BYTES_MAX:
        return None
    try:
        document = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if len(document.inputs) != 1 or document.outputs or document.parameters or len(document.id) > ID_CHARS_MAX:
        return None
    tensor, width = document.inputs[0], len(inputs.positions)
    if tensor.shape != [1, width] or len(tensor.data) != width or tensor.parameters:
        return None
    return document if tensor.datatype in NUMBERS and tensor.name not in inputs.positions else None


class Express:
    """Answers usual requests of usual endpoints.

    Parameters
    ----------
    inference: the general way, whose clock, log and ids are used here too.
    """

    def __init__(self, inference: Inference) -> None:
        self._now_us = inference.clock.now_us
        self._log_answer = inference.log.answer
        self._next_id = inference.next_id

    def answer(self, endpoint: CompiledEndpoint, request: Request) -> Response | None:
        """The answer, logged and counted; None when the request is not a usual one, with nothing done."""
        asked_at_us = self._now_us()
        inputs = endpoint.live.model.inputs
        document = read_usual(request.body, inputs)
        if document is None:
            return None
        row = document.inputs[0].data
        prediction_id = document.id or self._next_id()
        scored = self.score(endpoint, row, endpoint.live.model.plan.pack(*row), prediction_id, asked_at_us, request.arrived_ns)
        if scored is None:
            return None
        arm, score = scored
        return Response(200, b"%b%b%b%b]}]}" % (arm.model.answer_start, _encode(prediction_id), arm.single, _encode(score)), JSON)

    def score(
        self, endpoint: CompiledEndpoint, row: Sequence[float], packed: bytes, prediction_id: str, asked_at_us: int, arrived_ns: int
    ) -> tuple[CompiledArm, float] | None:
        """The arm that answers and its score of one ``row`` (``packed``: as little-endian float64), logged and counted; None: decline."""
        arm, exposure = endpoint.live, None
        if endpoint.intervals:
            sticky = arm.model.inputs.positions.get(endpoint.sticky)
            arm, exposure = endpoint.pick(prediction_id if sticky is None else str(row[sticky]))
        model = arm.model
        if model.contract and not model.contract.keeps(row):
            return None
        try:
            score = model.score_row(packed)
        except LeverframeError:
            return None
        if not isfinite(score):
            return None
        record, latency_us = endpoint.record, (perf_counter_ns() - arrived_ns) // 1000
        self._log_answer(
            PredictionRecord(
                id=prediction_id,
                endpoint=record.name,
                tenant=record.tenant,
                version=arm.version,
                role=arm.arm.role,
                generation=endpoint.generation,
                asked_at_us=asked_at_us,
                latency_us=latency_us,
                status="ok",
                outputs=(score,),
                features=packed,
                exposure=exposure,
            )
        )
        arm.stats.ok += 1
        arm.stats.observe(latency_us)
        return arm, score
