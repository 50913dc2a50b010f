"""The gRPC door's methods: the Open Inference Protocol's service, answered by the same inference and the same permissions as REST's."""

import asyncio
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from leverframe.core.errors import DeadlineExceeded, InvalidInput, LeverframeError, NotFound
from leverframe.serving.doors import repository
from leverframe.serving.doors.grpc import oip_pb2 as oip
from leverframe.serving.doors.grpc.express import GrpcExpress
from leverframe.serving.doors.grpc.status import failure
from leverframe.serving.doors.grpc.translate import decoded, document_of, put_output, put_parameters
from leverframe.serving.doors.grpc.transport import Call
from leverframe.serving.doors.permission import Permission, unknown_model
from leverframe.serving.engine.lane import PRIORITIES
from leverframe.serving.protocol import oip as rest
from leverframe.serving.routes.routing import CompiledEndpoint, CompiledRoutes
from leverframe.serving.telemetry.counts import Telemetry
from leverframe.serving.telemetry.load import LoadGate
from leverframe.serving.walk.answers import Answer
from leverframe.serving.walk.inference import Inference

SERVICE = "inference.GRPCInferenceService"
EXTENSIONS = ["binary_tensor_data", "model_repository"]
TIMEOUT_S_MAX = 600.0
"""The longest deadline a caller can name; a longer one is no deadline."""
_INFER = f"/{SERVICE}/ModelInfer"


@dataclass(frozen=True)
class _Method:
    """One method: the message it takes and what answers it. ``open``: a probe, never asks who is calling and is never shed."""

    kind: type[Message]
    act: Callable[[Call, Any], Message]
    open: bool = False


class GrpcDoor:
    """Answers calls on the event loop's thread.

    Parameters
    ----------
    ready: whether the worker answers requests.
    version: of the server, for its metadata.
    """

    def __init__(
        self,
        *,
        permission: Permission,
        inference: Inference,
        gate: LoadGate,
        telemetry: Telemetry,
        ready: Callable[[], bool],
        version: str,
    ) -> None:
        self._permission = permission
        self._inference = inference
        self._express = GrpcExpress(inference)
        self._gate = gate
        self._telemetry = telemetry
        self._ready = ready
        self._version = version
        self._waiting: set[asyncio.Task[None]] = set()  # bounded by the calls under way
        self._methods = {
            f"/{SERVICE}/{name}": method
            for name, method in {
                "ServerLive": _Method(oip.ServerLiveRequest, lambda call, asked: oip.ServerLiveResponse(live=True), open=True),
                "ServerReady": _Method(oip.ServerReadyRequest, lambda call, asked: oip.ServerReadyResponse(ready=self._ready()), open=True),
                "ServerMetadata": _Method(oip.ServerMetadataRequest, self._server_metadata),
                "ModelReady": _Method(oip.ModelReadyRequest, self._model_ready),
                "ModelMetadata": _Method(oip.ModelMetadataRequest, self._model_metadata),
                "RepositoryIndex": _Method(oip.RepositoryIndexRequest, self._index),
                "RepositoryModelLoad": _Method(oip.RepositoryModelLoadRequest, self._load),
                "RepositoryModelUnload": _Method(oip.RepositoryModelUnloadRequest, self._load),
            }.items()
        }

    @property
    def methods(self) -> frozenset[str]:
        """Full names of the methods there are."""
        return frozenset({_INFER, *self._methods})

    def handle(self, call: Call) -> None:
        """Answer ``call``, at once or later; nothing escapes but an answer or a refusal."""
        endpoint: CompiledEndpoint | None = None
        try:
            message = call.message
            if message is None:
                raise InvalidInput("no message", where=call.method, expected="one message", got="none")
            method = self._methods.get(call.method)
            if self._gate.shedding and not (method is not None and method.open):
                self._telemetry.shed += 1
                raise self._gate.refusal()
            if method is not None:
                call.answer(method.act(call, decoded(method.kind, message)).SerializeToString())
                return
            request = decoded(oip.ModelInferRequest, message)
            routes = self._permission.routes()
            endpoint, priority = self._enter(routes, call, request.model_name)
            self._infer(endpoint, call, request, priority)
        except Exception as error:
            self._refuse(error, call, endpoint)

    # ---- inference --------------------------------------------------------------------------------------------------------------------

    def _enter(self, routes: CompiledRoutes, call: Call, model: str) -> tuple[CompiledEndpoint, int]:
        """The endpoint called ``model``, asked for once more by this caller, and the caller's priority."""
        authorization = _authorization(call)
        endpoint = routes.endpoints.get(model)
        if endpoint is None:
            self._permission.caller(routes, authorization)
            raise unknown_model(model)
        caller = self._permission.permit(routes, authorization, endpoint)
        if routes.has_quotas:
            self._permission.spend(routes, caller, endpoint)
        return endpoint, PRIORITIES[caller.priority]

    def _infer(self, endpoint: CompiledEndpoint, call: Call, request: oip.ModelInferRequest, priority: int) -> None:
        deadline_ns = _deadline_ns(call)
        if endpoint.usual and (usual := self._express.answer(endpoint, request, call.arrived_ns)) is not None:
            call.answer(usual)
            return
        version = request.model_version
        if version:
            _check_version(endpoint, version)
        document, raw = document_of(request)
        wanted = tuple(name for name, _ in rest.wishes(document)) if document.outputs else ()
        answer = self._inference.infer(endpoint, document, call.arrived_ns, version=version, deadline_ns=deadline_ns, priority=priority)
        if isinstance(answer, Answer):
            call.answer(_response(endpoint, answer, wanted, raw=raw))
            return
        task = asyncio.ensure_future(self._later(endpoint, call, answer, wanted, raw=raw))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _later(
        self, endpoint: CompiledEndpoint, call: Call, waiting: Awaitable[Answer], wanted: tuple[str, ...], *, raw: bool
    ) -> None:
        try:
            call.answer(_response(endpoint, await waiting, wanted, raw=raw))
        except Exception as error:
            self._refuse(error, call, endpoint)

    # ---- everything else --------------------------------------------------------------------------------------------------------------

    def _server_metadata(self, call: Call, asked: oip.ServerMetadataRequest) -> Message:
        if not self._permission.loopback:
            self._permission.caller(self._permission.routes(), _authorization(call))
        return oip.ServerMetadataResponse(name=rest.PLATFORM, version=self._version, extensions=EXTENSIONS)

    def _model(self, call: Call, name: str, version: str) -> CompiledEndpoint:
        routes = self._permission.routes()
        endpoint = routes.endpoints.get(name)
        if endpoint is None:
            self._permission.caller(routes, _authorization(call))
            raise unknown_model(name)
        self._permission.permit(routes, _authorization(call), endpoint)
        if version:
            _check_version(endpoint, version)
        return endpoint

    def _model_ready(self, call: Call, asked: oip.ModelReadyRequest) -> Message:
        self._model(call, asked.name, asked.version)
        return oip.ModelReadyResponse(ready=True)

    def _model_metadata(self, call: Call, asked: oip.ModelMetadataRequest) -> Message:
        endpoint = self._model(call, asked.name, asked.version)
        arm = (endpoint.named(asked.version) if asked.version else None) or endpoint.live
        versions = [a.version for a in endpoint.arms if a.arm.role != "shadow"]
        signature, tensor = arm.model.signature, oip.ModelMetadataResponse.TensorMetadata
        return oip.ModelMetadataResponse(
            name=endpoint.record.name,
            versions=versions,
            platform=rest.PLATFORM,
            inputs=[tensor(name=field.name, datatype=field.datatype, shape=[-1]) for field in signature.request],
            outputs=[tensor(name=field.name, datatype=field.datatype, shape=_shape(field.width)) for field in signature.outputs],
        )

    def _index(self, call: Call, asked: oip.RepositoryIndexRequest) -> Message:
        routes = self._permission.routes()
        caller = self._permission.caller(routes, _authorization(call))
        entries = repository.index(routes, caller, ready_only=asked.ready)
        return oip.RepositoryIndexResponse(models=[oip.RepositoryIndexResponse.ModelIndex(**entry) for entry in entries])

    def _load(self, call: Call, asked: oip.RepositoryModelLoadRequest | oip.RepositoryModelUnloadRequest) -> Message:
        routes = self._permission.routes()
        caller = self._permission.caller(routes, _authorization(call))
        endpoint = routes.endpoints.get(asked.model_name)
        if endpoint is None or not repository.may_use(caller, endpoint.record):
            raise repository.not_routed(asked.model_name)
        if call.method.endswith("Unload"):
            raise repository.unload(endpoint)
        repository.load(routes, endpoint, dict(getattr(asked, "parameters", {})))
        return oip.RepositoryModelLoadResponse()

    # ---- refusals ---------------------------------------------------------------------------------------------------------------------

    def _refuse(self, error: Exception, call: Call, endpoint: CompiledEndpoint | None) -> None:
        if not isinstance(error, LeverframeError):
            error = _internal(call, error)
        self._telemetry.refuse(error.code)
        example = endpoint.live.model.example if endpoint is not None and isinstance(error, InvalidInput) else None
        call.fail(*failure(error, example))


def _shape(width: int) -> list[int]:
    return [-1] if width == 1 else [-1, width]


def _authorization(call: Call) -> bytes:
    for name, value in call.metadata:
        if name == "authorization":
            sent: bytes = value.encode() if isinstance(value, str) else value
            return sent
    return b""


def _deadline_ns(call: Call) -> int:
    """When the caller stops waiting, on the clock of ``time.perf_counter_ns``; 0: it did not say.

    Raises
    ------
    DeadlineExceeded: it has stopped already.
    """
    left_s = call.deadline_s - time.time()
    if left_s > TIMEOUT_S_MAX:
        return 0
    if left_s <= 0:
        raise DeadlineExceeded("the call's time was over before the model was asked", where="deadline", next_step="allow more time")
    return time.perf_counter_ns() + int(left_s * 1e9)


def _check_version(endpoint: CompiledEndpoint, version: str) -> None:
    if endpoint.named(version) is None:
        raise NotFound(
            "no such version answers here",
            where=endpoint.record.name,
            expected=", ".join(arm.version for arm in endpoint.arms if arm.arm.role != "shadow"),
            got=version[:60],
            next_step="leave the version empty to be routed",
        )


def _response(endpoint: CompiledEndpoint, answer: Answer, wanted: tuple[str, ...], *, raw: bool) -> bytes:
    response = oip.ModelInferResponse(model_name=endpoint.record.name, model_version=answer.arm.version, id=answer.id)
    put_parameters(response.parameters, answer.facts())
    for output in answer.outputs(wanted):
        put_output(response, output, raw=raw)
    packed: bytes = response.SerializeToString()
    return packed


def _internal(call: Call, fault: Exception) -> LeverframeError:
    """A fault of ours: the caller learns nothing of it, the process's log all."""
    trace = "".join(traceback.format_exception(fault))
    print(json.dumps({"level": "error", "event": "call failed", "method": call.method, "trace": trace}), file=sys.stderr, flush=True)
    return LeverframeError("the gateway could not answer", where="gateway", next_step="ask again; operators: see the gateway's log")
