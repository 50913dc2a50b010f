"""Inference over REST: a request's bytes become a document, an answer becomes the protocol's bytes; the usual request takes a shorter way.

Source: Open Inference Protocol v2 (KServe); Triton's binary tensor data extension.
"""

from collections.abc import Awaitable
from typing import Any

import msgspec

from leverframe.core.errors import InvalidInput
from leverframe.serving.doors.express import Express
from leverframe.serving.doors.express_lookup import ExpressLookup
from leverframe.serving.doors.forms import USUAL_EVERY, SeenForms
from leverframe.serving.doors.invocations import invocation_response, read_invocation
from leverframe.serving.engine.lane import NORMAL
from leverframe.serving.protocol import oip
from leverframe.serving.protocol.message import JSON, Request, Response
from leverframe.serving.routes.routing import CompiledEndpoint
from leverframe.serving.telemetry.trace import Trace
from leverframe.serving.walk.answers import Answer
from leverframe.serving.walk.inference import Inference

TIMEOUT_MS_MAX = 600_000
"""The longest deadline a caller can name; a longer one is no deadline."""
_encode = msgspec.json.encode


class RestInference:
    """Answers inference requests of the Open Inference Protocol's REST form.

    Parameters
    ----------
    body_bytes_max: bound of a decompressed body.
    """

    def __init__(self, inference: Inference, body_bytes_max: int) -> None:
        self._inference = inference
        self._body_bytes_max = body_bytes_max
        self._express = Express(inference)
        self._express_lookup = ExpressLookup(inference)
        self._usual = 0
        self.forms = SeenForms()

    def answer(
        self, endpoint: CompiledEndpoint, request: Request, version: str = "", priority: int = NORMAL, trace: Trace | None = None
    ) -> Response | Awaitable[Response]:
        """Answer ``request``, at once or later.

        Raises (at once, or when awaited)
        ------
        InvalidInput: the request is not one this endpoint's model can take; no arm was asked and nothing is logged.
        Unavailable, Refused: an arm was asked and could not answer; that is logged.
        """
        # A known head says that the body is plain JSON.
        if request.head is not None and not version and trace is None:
            usual = self._express.answer(endpoint, request) if endpoint.usual else self._express_lookup.answer(endpoint, request)
            if usual is not None:
                self._usual += 1
                if self._usual % USUAL_EVERY == 0:
                    self._note(endpoint, oip.read_document(request, self._body_bytes_max), USUAL_EVERY)
                return usual
        deadline_ns = deadline_of(request)
        if endpoint.gate is not None:
            endpoint.gate.admit(deadline_ns, priority)
        document = oip.read_document(request, self._body_bytes_max)
        wanted = oip.wishes(document) if document.outputs else []
        binary = bool(document.parameters.get("binary_data_output", False)) if document.parameters else False
        answer = self._inference.infer(
            endpoint, document, request.arrived_ns, version=version, deadline_ns=deadline_ns, priority=priority, trace=trace
        )
        self._note(endpoint, document)
        if isinstance(answer, Answer):
            return response(answer, wanted, binary)
        return _respond(answer, wanted, binary)

    def _note(self, endpoint: CompiledEndpoint, document: oip.InferDocument, requests: int = 1) -> None:
        self.forms.note(endpoint.record.name, document, endpoint.live.model.inputs.positions, requests)

    def invoke(
        self, endpoint: CompiledEndpoint, request: Request, version: str = "", priority: int = NORMAL, trace: Trace | None = None
    ) -> Response | Awaitable[Response]:
        """Answer an invocation in MLflow's form, at once or later; raises as :meth:`answer` does."""
        live = endpoint.live.model.signature
        known = {field.name for field in live.request}
        more = {f.name: f for arm in endpoint.arms if not arm.reads_as_live for f in arm.model.signature.request if f.name not in known}
        body = oip.body_of(request, self._body_bytes_max)
        document = read_invocation(body, request.headers.get(b"content-type", b""), live, tuple(more.values()))
        deadline_ns = deadline_of(request)
        answer = self._inference.infer(
            endpoint, document, request.arrived_ns, version=version, deadline_ns=deadline_ns, priority=priority, trace=trace
        )
        self._note(endpoint, document)
        return invocation_response(answer) if isinstance(answer, Answer) else _invoked(answer)


async def _invoked(waiting: Awaitable[Answer]) -> Response:
    return invocation_response(await waiting)


async def _respond(waiting: Awaitable[Answer], wanted: list[tuple[str, bool]], binary: bool) -> Response:
    return response(await waiting, wanted, binary)


def deadline_of(request: Request) -> int:
    """When the caller stops waiting, by its ``X-Request-Timeout-Ms`` header, on the clock of ``time.perf_counter_ns``; 0: it did not say.

    Raises
    ------
    InvalidInput: the header is not a positive whole number of milliseconds.
    """
    said = request.headers.get(b"x-request-timeout-ms")
    if said is None:
        return 0
    if not said.isdigit() or len(said) > 9 or int(said) == 0:
        raise InvalidInput(
            "not a time to wait", where="X-Request-Timeout-Ms", expected="milliseconds, 1 or more", got=said[:20].decode("latin-1")
        )
    milliseconds = int(said)
    return request.arrived_ns + milliseconds * 1_000_000 if milliseconds <= TIMEOUT_MS_MAX else 0


def response(answer: Answer, wanted: list[tuple[str, bool]], binary: bool) -> Response:
    """``answer`` in the protocol's form.

    Parameters
    ----------
    wanted: from :func:`wishes`.    binary: whether outputs go behind the JSON part when none is asked for by name.
    """
    model = answer.arm.model
    if model.outputs.simple and not (binary or any(by_bytes for _, by_bytes in wanted)):
        scores = answer.scores
        data = _encode(scores)[1:-1]
        parts = (model.answer_start, _encode(answer.id), answer.parameters, model.answer_outputs, len(scores), data)
        return Response(200, b'%b%b,"parameters":{%b}%b%d],"data":[%b]}]}' % parts, JSON)
    in_bytes = {name for name, by_bytes in wanted if by_bytes}
    tensors: list[dict[str, Any]] = []
    tail: list[bytes] = []
    for output in answer.outputs(tuple(name for name, _ in wanted)):
        tensor: dict[str, Any] = {"name": output.name, "datatype": output.datatype, "shape": output.shape}
        if output.name in in_bytes or (binary and not wanted):
            tail.append(output.packed())
            tensor["parameters"] = {"binary_data_size": len(tail[-1])}
        else:
            tensor["data"] = output.plain()
        tensors.append(tensor)
    head = b'%b%b,"parameters":{%b},"outputs":%b}' % (model.answer_start, _encode(answer.id), answer.parameters, _encode(tensors))
    if not tail:
        return Response(200, head, JSON)
    return Response(200, head + b"".join(tail), oip.OCTETS, b"Inference-Header-Content-Length: %d\r\n" % len(head))
