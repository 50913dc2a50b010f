"""The usual call, answered with nothing built that it does not need: one raw row of float64 as one tensor.

The answer is put together from serialised pieces: a protobuf message is the concatenation of its fields in any order, so what is constant
for an arm is serialised once. Whatever this declines the general way answers; a test holds answers, records and counts of the two equal.
"""

from math import isnan
from struct import Struct, unpack

from leverframe.serving.doors.express import Express
from leverframe.serving.doors.grpc import oip_pb2 as oip
from leverframe.serving.doors.grpc.translate import put_parameters
from leverframe.serving.routes.routing import CompiledArm, CompiledEndpoint
from leverframe.serving.walk.answers import Answer
from leverframe.serving.walk.inference import Inference

ID_BYTES_MAX = 127
"""A longer id needs a longer length before it: the general way."""
STARTS_MAX = 1024
"""Constant parts kept, one an arm; when there are more, all are made anew."""
_end = Struct("<BBd").pack
_RAW = 6 << 3 | 2, 8
"""Field 6, ``raw_output_contents``, of 8 bytes."""


class GrpcExpress:
    """Answers usual calls of usual endpoints."""

    def __init__(self, inference: Inference) -> None:
        self._score = Express(inference).score
        self._now_us = inference.clock.now_us
        self._next_id = inference.next_id
        self._starts: dict[int, tuple[CompiledArm, bytes]] = {}

    def answer(self, endpoint: CompiledEndpoint, request: oip.ModelInferRequest, arrived_ns: int) -> bytes | None:
        """The answer, logged and counted; None when the call is not a usual one, with nothing done."""
        asked_at_us = self._now_us()
        inputs, raw = request.inputs, request.raw_input_contents
        if len(inputs) != 1 or len(raw) != 1 or request.model_version or request.outputs or request.parameters:
            return None
        tensor, model = inputs[0], endpoint.live.model
        positions = model.inputs.positions
        width, packed = len(positions), raw[0]
        if tensor.datatype != "FP64" or len(packed) != 8 * width or tensor.shape != [1, width] or tensor.name in positions:
            return None
        if tensor.HasField("contents") or tensor.parameters or model.output_type != "FP64":
            return None
        row = unpack(f"<{width}d", packed)
        prediction_id = request.id or self._next_id()
        name = prediction_id.encode()
        if isnan(sum(row)) or len(name) > ID_BYTES_MAX:
            return None
        scored = self._score(endpoint, row, packed, prediction_id, asked_at_us, arrived_ns)
        if scored is None:
            return None
        arm, score = scored
        return b"%b\x1a%c%b%b" % (self._start(endpoint, arm), len(name), name, _end(*_RAW, score))

    def _start(self, endpoint: CompiledEndpoint, arm: CompiledArm) -> bytes:
        """All of an answer of ``arm`` but its id (field 3) and its score."""
        known = self._starts.get(id(arm))
        if known is not None and known[0] is arm:
            return known[1]
        response = oip.ModelInferResponse(model_name=endpoint.record.name, model_version=arm.version)
        put_parameters(response.parameters, Answer("", arm, 1, [0.0], arm.parameters).facts())
        response.outputs.add(name=arm.model.output, datatype=arm.model.output_type, shape=[1])
        if len(self._starts) >= STARTS_MAX:
            self._starts.clear()
        start: bytes = response.SerializeToString()
        self._starts[id(arm)] = (arm, start)
        return start
