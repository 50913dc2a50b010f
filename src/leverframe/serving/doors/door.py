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
from leverframe.core.route import Caller
from leverframe.serving.doors import openapi, repository
from leverframe.serving.doors.feedback import FEEDBACK_EXAMPLE, take_labels
from leverframe.serving.doors.health import Health
from leverframe.serving.doors.invocations import invocation_example
from leverframe.serving.doors.permission import Permission, unknown_model
from leverframe.serving.doors.rest import RestInference
from leverframe.serving.doors.traced import TracedInference
from leverframe.serving.engine.lane import NORMAL, PRIORITIES
from leverframe.serving.log_segments import SegmentLog
from leverframe.serving.protocol import oip
from leverframe.serving.protocol.message import JSON, Request, Response, error_response
from leverframe.serving.routes.routing import CompiledEndpoint, CompiledRoutes
from leverframe.serving.telemetry.counts import Telemetry
from leverframe.serving.telemetry.load import LoadGate

PROMETHEUS = b"text/plain; version=0.0.4"
EXTENSIONS = ["binary_tensor_data", "feedback", "invocations", "model_repository", "statistics"]
_PROBES = (b"/v2/health/live", b"/v2/health/ready", b"/ping", b"/health")
"""Open to everybody: the Open Inference Protocol's two, and those of MLflow's scoring server."""
_INVOCATIONS_OF = ("endpoints", "serving-endpoints")
"""Where other servers of MLflow's protocol have their named endpoints."""


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
        inference: RestInference | TracedInference,
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
            if self._gate.shedding and not request.target.startswith(_PROBES):
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
        if target in _PROBES:
            _only(request, b"GET", b"HEAD")
            good = target.endswith(b"live") or (self.health is not None and self.health.ready)
            return Response(
                200 if good else 503, b'{"live":true}' if target.endswith(b"live") else b'{"ready":%b}' % str(good).lower().encode()
            )
        if target in (b"/", b"/metrics", b"/v2") and self._permission.loopback:
            return self._about(request, target)
        routes = self._permission.routes()
        caller = self._permission.caller(routes, _authorization(request))
        if target in (b"/", b"/metrics", b"/v2"):
            return self._about(request, target)
        parts = [unquote_to_bytes(part).decode("utf-8", "replace") for part in target.split(b"/")[1:]]
        if parts == ["v2", "models", "stats"]:
            _only(request, b"GET", b"HEAD")
            return self._statistics([e for e in routes.endpoints.values() if repository.may_use(caller, e.record)])
        if parts == ["openapi.json"]:
            _only(request, b"GET", b"HEAD")
            usable = [e for e in routes.endpoints.values() if repository.may_use(caller, e.record)]
            return oip.json_response(openapi.document(self._version, usable))
        if parts[:2] == ["v2", "models"] and len(parts) > 2:
            return self._model(routes, request, parts[2], parts[3:])
        if parts[:2] == ["v2", "repository"]:
            return self._repository(routes, caller, request, parts[2:])
        if parts == ["invocations"]:
            return self._model(routes, request, self._only_endpoint(routes, caller), ["invocations"])
        if len(parts) == 3 and parts[0] in _INVOCATIONS_OF and parts[2] == "invocations":
            return self._model(routes, request, parts[1], ["invocations"])
        raise NotFound("no such resource", where=target[:100].decode("latin-1"), expected="what /openapi.json lists, /metrics or /")

    def _about(self, request: Request, target: bytes) -> Response:
        _only(request, b"GET", b"HEAD")
        assert self.health is not None
        if target == b"/metrics":
            return Response(200, self.health.metrics(), PROMETHEUS)
        if target == b"/v2":
            return oip.json_response({"name": oip.PLATFORM, "version": self._version, "extensions": EXTENSIONS})
        return oip.json_response(self.health.page() | {"requests": self._inference.forms.page()})

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
            "invocations": (b"POST", lambda: self._inference.invoke(endpoint, request, version, self._enter(routes, request, endpoint))),
            "stats": (b"GET", lambda: self._statistics([endpoint], version)),
            "feedback": (b"POST", lambda: self._feedback(endpoint, request)),
        }
        action = "/".join(rest)
        if action not in actions:
            raise NotFound("no such resource", where=f"model {name}", expected=", ".join(filter(None, actions)), got=action[:60])
        method, act = actions[action]
        _only(request, method, *((b"HEAD",) if method == b"GET" else ()))
        return act()

    def _metadata(self, endpoint: CompiledEndpoint, version: str) -> Response:
        arm = (endpoint.named(version) if version else None) or endpoint.live
        versions = [a.version for a in endpoint.arms if a.arm.role != "shadow"]
        return oip.json_response(oip.metadata(endpoint.record.name, versions, arm.model.signature))

    def _feedback(self, endpoint: CompiledEndpoint, request: Request) -> Response:
        fields = endpoint.live.model.entity_fields
        return take_labels(endpoint.record.name, fields, request, self._log, self._clock, self._body_bytes_max)

    def _repository(self, routes: CompiledRoutes, caller: Caller, request: Request, rest: list[str]) -> Response:
        """The model repository extension; see :mod:`leverframe.serving.doors.repository`."""
        if rest != ["index"] and not (len(rest) == 3 and rest[0] == "models" and rest[2] in ("load", "unload")):
            raise NotFound("no such resource", where="repository", expected="index, models/<model>/load or models/<model>/unload")
        _only(request, b"POST")
        asked = oip.read_object(request, self._body_bytes_max)
        if rest == ["index"]:
            return oip.json_response(repository.index(routes, caller, ready_only=asked.get("ready") is True))
        endpoint = routes.endpoints.get(rest[1])
        if endpoint is None or not repository.may_use(caller, endpoint.record):
            raise repository.not_routed(rest[1])
        if rest[2] == "unload":
            raise repository.unload(endpoint)
        parameters = asked.get("parameters")
        repository.load(routes, endpoint, parameters if isinstance(parameters, dict) else {})
        return oip.json_response({})

    def _statistics(self, endpoints: list[CompiledEndpoint], version: str = "") -> Response:
        assert self.health is not None
        counts = self.health.arms()
        chosen = {e.record.name: (e.named(version) if version else None) for e in endpoints}
        return oip.json_response(
            {
                "model_stats": [
                    oip.statistics(e.record.name, arm.version, counts.get((e.record.name, arm.version, arm.arm.role), arm.stats))
                    for e in endpoints
                    for arm in e.arms
                    if chosen[e.record.name] in (None, arm)
                ]
            }
        )

    def _only_endpoint(self, routes: CompiledRoutes, caller: Caller) -> str:
        """The name of the one endpoint that ``caller`` may use.

        Raises
        ------
        InvalidInput: there are several, or none.
        """
        names = [e.record.name for e in routes.endpoints.values() if repository.may_use(caller, e.record)]
        if len(names) != 1:
            raise InvalidInput(
                "which endpoint is not said",
                where="/invocations",
                expected="a caller of exactly one endpoint",
                got=", ".join(names[:20]) or "a caller of none",
                next_step=f"POST /v2/models/{names[0] if names else '<endpoint>'}/invocations",
            )
        return names[0]

    def _example(self, error: LeverframeError, request: Request, endpoint: CompiledEndpoint | None) -> object:
        """A correct request, for callers who may ask this model and asked it wrongly."""
        if not isinstance(error, InvalidInput):
            return None
        path = request.target.partition(b"?")[0]
        if path.endswith(b"/feedback"):
            return FEEDBACK_EXAMPLE
        endpoint = endpoint or self._asked(request, path)
        if endpoint is None:
            return None
        model = endpoint.live.model
        return invocation_example(model.signature) if path.endswith(b"/invocations") else model.example

    def _asked(self, request: Request, path: bytes) -> CompiledEndpoint | None:
        """The endpoint that a refused request was for, if its sender may use it."""
        routes = self._permission.known
        parts = [unquote_to_bytes(part).decode("utf-8", "replace") for part in path.split(b"/")[1:]]
        at = 2 if parts[:2] == ["v2", "models"] else 1 if parts[0] in _INVOCATIONS_OF else -1
        if routes is None or not (parts == ["invocations"] or 0 < at < len(parts)):
            return None
        try:
            caller = self._permission.caller(routes, _authorization(request))
            endpoint = routes.endpoints.get(parts[at] if at > 0 else self._only_endpoint(routes, caller))
        except LeverframeError:
            return None
        return endpoint if endpoint is not None and repository.may_use(caller, endpoint.record) else None


def _authorization(request: Request) -> bytes:
    return request.headers.get(b"authorization", b"")


def _only(request: Request, *methods: bytes) -> None:
    if request.method not in methods:
        allowed = ", ".join(method.decode() for method in methods)
        raise InvalidInput("wrong method", where="method", expected=allowed, got=request.method.decode("latin-1")[:20])


def _status(error: LeverframeError) -> int:
    return {"method": 405, "Content-Type": 415}.get(error.where, 0)


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
