"""The gateway's one door: who is asking, for what, and may they; every refusal has one shape.

Default deny: a target that is not listed here is not found. Models need a caller as soon as the route table names any, or the gateway
listens beyond this machine; health page, metrics and server metadata need one only in the latter case, the two probes never.
"""

import json
import sys
import traceback
from collections.abc import Awaitable, Callable
from urllib.parse import unquote_to_bytes

from leverframe.core.clock import Clock
from leverframe.core.errors import InvalidInput, LeverframeError, NotFound
from leverframe.serving import oip
from leverframe.serving.feedback import FEEDBACK_EXAMPLE, take_labels
from leverframe.serving.health import Health
from leverframe.serving.lane import NORMAL, PRIORITIES
from leverframe.serving.limits import LoadGate
from leverframe.serving.log_segments import SegmentLog
from leverframe.serving.message import JSON, Request, Response, error_response
from leverframe.serving.permission import ANYONE, Permission, unknown_model
from leverframe.serving.rest import RestInference
from leverframe.serving.routing import CompiledEndpoint, CompiledRoutes
from leverframe.serving.telemetry import Telemetry

PROMETHEUS = b"text/plain; version=0.0.4"
EXTENSIONS = ["binary_tensor_data", "feedback"]


class Door:
    """Dispatches requests.

    Parameters
    ----------
    version: of the server, for its metadata.
    """

    def __init__(
        self,
        *,
        permission: Permission,
        inference: RestInference,
        log: SegmentLog,
        clock: Clock,
        gate: LoadGate,
        telemetry: Telemetry,
        version: str,
        body_bytes_max: int,
    ) -> None:
        self._permission = permission
        self._inference = inference
        self._log = log
        self._clock = clock
        self._gate = gate
        self._telemetry = telemetry
        self._version = version
        self._body_bytes_max = body_bytes_max
        self.health: Health | None = None

    def handle(self, request: Request) -> Response | Awaitable[Response]:
        """Answer ``request``, at once or later; nothing escapes but a response."""
        endpoint: CompiledEndpoint | None = None
        try:
            if self._gate.shedding and not request.target.startswith(b"/v2/health"):
                self._telemetry.shed += 1
                raise self._gate.refusal()
            routes = self._permission.known
            if routes is not None and request.method == b"POST" and (endpoint := routes.targets.get(request.target)) is not None:
                response = self._inference.answer(endpoint, request, priority=self._enter(routes, request, endpoint))
            else:
                response = self._other(request)
        except Exception as error:
            response = self._refusal(error, request, endpoint)
        if not isinstance(response, Response):
            return self._later(response, request, endpoint)
        accepted = request.headers.get(b"accept-encoding")
        return response if accepted is None else oip.compressed(response, accepted)

    async def _later(self, waiting: Awaitable[Response], request: Request, endpoint: CompiledEndpoint | None) -> Response:
        try:
            response = await waiting
        except Exception as error:
            response = self._refusal(error, request, endpoint)
        accepted = request.headers.get(b"accept-encoding")
        return response if accepted is None else oip.compressed(response, accepted)

    def _refusal(self, error: Exception, request: Request, endpoint: CompiledEndpoint | None) -> Response:
        if not isinstance(error, LeverframeError):
            self._telemetry.refuse("internal")
            return _internal(request, error)
        self._telemetry.refuse(error.code)
        return error_response(error, status=_status(error), example=self._example(error, request, endpoint))

    def admit(self, request: Request) -> LeverframeError | None:
        """Whether a large body may be sent at all, asked before it is."""
        try:
            self._permission.caller(self._permission.routes(), _authorization(request))
        except LeverframeError as error:
            return error
        return None

    def _enter(self, routes: CompiledRoutes, request: Request, endpoint: CompiledEndpoint) -> int:
        """Whether the sender may ask ``endpoint`` once more; its priority."""
        head = request.head
        # Routes never change: the same stamp means the same callers and endpoints, and nothing to ask again.
        if head is not None and head.permit is routes.stamp and head.caller is not None:
            caller = head.caller
        else:
            caller = self._permission.permit(routes, _authorization(request), endpoint)
            if head is not None:
                head.permit, head.caller = routes.stamp, caller
        if routes.has_quotas:
            self._permission.spend(routes, caller, endpoint)
        return PRIORITIES[caller.priority] if caller.priority != "normal" else NORMAL

    # ---- everything but the hot path --------------------------------------------------------------------------------------------------

    def _other(self, request: Request) -> Response | Awaitable[Response]:
        target = request.target.partition(b"?")[0]
        if target in (b"/v2/health/live", b"/v2/health/ready"):
            _only(request, b"GET", b"HEAD")
            good = target.endswith(b"live") or (self.health is not None and self.health.ready)
            return Response(
                200 if good else 503, b'{"live":true}' if target.endswith(b"live") else b'{"ready":%b}' % str(good).lower().encode()
            )
        if target in (b"/", b"/metrics", b"/v2") and self._permission.loopback:
            return self._about(request, target)
        routes = self._permission.routes()
        self._permission.caller(routes, _authorization(request))
        if target in (b"/", b"/metrics", b"/v2"):
            return self._about(request, target)
        parts = [unquote_to_bytes(part).decode("utf-8", "replace") for part in target.split(b"/")[1:]]
        if parts[:2] == ["v2", "models"] and len(parts) > 2:
            return self._model(routes, request, parts[2], parts[3:])
        if parts == ["v2", "repository", "index"]:
            _only(request, b"POST")
            return oip.json_response(self._index(routes, request))
        raise NotFound("no such resource", where=target[:100].decode("latin-1"), expected="/v2, /v2/models/<model>, /metrics or /")

    def _about(self, request: Request, target: bytes) -> Response:
        _only(request, b"GET", b"HEAD")
        assert self.health is not None
        if target == b"/metrics":
            return Response(200, self.health.metrics(), PROMETHEUS)
        if target == b"/v2":
            return oip.json_response({"name": oip.PLATFORM, "version": self._version, "extensions": EXTENSIONS})
        return oip.json_response(self.health.page())

    def _model(self, routes: CompiledRoutes, request: Request, name: str, rest: list[str]) -> Response | Awaitable[Response]:
        endpoint = routes.endpoints.get(name)
        if endpoint is None:
            raise unknown_model(name)
        self._permission.permit(routes, _authorization(request), endpoint)
        version = ""
        if len(rest) >= 2 and rest[0] == "versions":
            version, rest = rest[1], rest[2:]
            if endpoint.named(version) is None:
                raise NotFound(
                    "no such version answers here",
                    where=name,
                    expected=", ".join(arm.version for arm in endpoint.arms if arm.arm.role != "shadow"),
                    got=version[:60],
                    next_step="leave /versions/… out to be routed",
                )
        actions: dict[str, tuple[bytes, Callable[[], Response | Awaitable[Response]]]] = {
            "": (b"GET", lambda: self._metadata(endpoint, version)),
            "ready": (b"GET", lambda: Response(200, b'{"name":%b,"ready":true}' % json.dumps(name).encode())),
            "infer": (b"POST", lambda: self._inference.answer(endpoint, request, version, self._enter(routes, request, endpoint))),
            "feedback": (b"POST", lambda: self._feedback(endpoint, request)),
        }
        action = "/".join(rest)
        if action not in actions:
            raise NotFound("no such resource", where=f"model {name}", expected="infer, feedback, ready or nothing", got=action[:60])
        method, act = actions[action]
        _only(request, method, *((b"HEAD",) if method == b"GET" else ()))
        return act()

    def _metadata(self, endpoint: CompiledEndpoint, version: str) -> Response:
        arm = (endpoint.named(version) if version else None) or endpoint.live
        versions = [a.version for a in endpoint.arms if a.arm.role != "shadow"]
        return oip.json_response(oip.metadata(endpoint.record.name, versions, arm.model.signature))

    def _feedback(self, endpoint: CompiledEndpoint, request: Request) -> Response:
        return take_labels(endpoint.record.name, request, self._log, self._clock, self._body_bytes_max)

    def _index(self, routes: CompiledRoutes, request: Request) -> list[dict[str, str]]:
        caller = self._permission.caller(routes, _authorization(request))
        return [
            {"name": endpoint.record.name, "version": arm.version, "state": "READY", "reason": arm.arm.role}
            for endpoint in routes.endpoints.values()
            if caller is ANYONE or caller.tenant == endpoint.record.tenant
            for arm in endpoint.arms
        ]

    def _example(self, error: LeverframeError, request: Request, endpoint: CompiledEndpoint | None) -> object:
        """A correct request, for callers who may ask this model and asked it wrongly."""
        if not isinstance(error, InvalidInput):
            return None
        if request.target.endswith(b"/feedback"):
            return FEEDBACK_EXAMPLE
        return endpoint.live.model.example if endpoint is not None else None


def _authorization(request: Request) -> bytes:
    return request.headers.get(b"authorization", b"")


def _only(request: Request, *methods: bytes) -> None:
    if request.method not in methods:
        allowed = ", ".join(method.decode() for method in methods)
        raise InvalidInput("wrong method", where="method", expected=allowed, got=request.method.decode("latin-1")[:20])


def _status(error: LeverframeError) -> int:
    return 405 if error.where == "method" else 0


def _internal(request: Request, fault: Exception) -> Response:
    """A fault of ours: the caller learns nothing of it, the process's log all."""
    line = {
        "level": "error",
        "event": "request failed",
        "target": request.target[:200].decode("latin-1"),
        "trace": "".join(traceback.format_exception(fault)),
    }
    print(json.dumps(line), file=sys.stderr, flush=True)
    error = LeverframeError("the gateway could not answer", where="gateway", next_step="ask again; operators: see the gateway's log")
    return Response(500, error_response(error).body, JSON)
