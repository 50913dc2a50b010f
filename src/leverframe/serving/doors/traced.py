"""Inference over REST with traces: a sampled request goes the general way, its stages noted, and its answer names the gateway's span."""

from collections.abc import Awaitable, Callable
from time import perf_counter_ns

from leverframe.core.errors import LeverframeError
from leverframe.serving.doors.rest import RestInference
from leverframe.serving.engine.lane import NORMAL
from leverframe.serving.protocol.message import Request, Response
from leverframe.serving.routes.routing import CompiledEndpoint
from leverframe.serving.telemetry.trace import Trace, Tracing

Ask = Callable[[Trace | None], Response | Awaitable[Response]]


class TracedInference:
    """The same as :class:`RestInference` to whoever asks.

    Parameters
    ----------
    tracing: decides which requests are sampled, and takes their traces.
    """

    def __init__(self, rest: RestInference, tracing: Tracing) -> None:
        self._rest = rest
        self.forms = rest.forms
        self._tracing = tracing

    def answer(
        self, endpoint: CompiledEndpoint, request: Request, version: str = "", priority: int = NORMAL
    ) -> Response | Awaitable[Response]:
        """See :meth:`RestInference.answer`."""
        return self._traced(endpoint, request, "infer", lambda trace: self._rest.answer(endpoint, request, version, priority, trace))

    def invoke(
        self, endpoint: CompiledEndpoint, request: Request, version: str = "", priority: int = NORMAL
    ) -> Response | Awaitable[Response]:
        """See :meth:`RestInference.invoke`."""
        return self._traced(endpoint, request, "invocations", lambda trace: self._rest.invoke(endpoint, request, version, priority, trace))

    def _traced(self, endpoint: CompiledEndpoint, request: Request, what: str, ask: Ask) -> Response | Awaitable[Response]:
        headers = request.headers
        trace = self._tracing.begin(headers.get(b"traceparent"), headers.get(b"tracestate"))
        if trace is None:
            return ask(None)
        facts: dict[str, str | int] = {"lever.endpoint": endpoint.record.name, "lever.generation": endpoint.generation}
        name = f"{what} {endpoint.record.name}"
        try:
            answer = ask(trace)
        except LeverframeError as error:
            self._tracing.end(trace, name, request.arrived_ns, perf_counter_ns(), facts | {"error.type": error.code}, failed=True)
            raise
        if not isinstance(answer, Response):
            return self._later(answer, trace, name, request.arrived_ns, facts)
        return self._done(answer, trace, name, request.arrived_ns, facts)

    async def _later(self, waiting: Awaitable[Response], trace: Trace, name: str, arrived_ns: int, facts: dict[str, str | int]) -> Response:
        try:
            answer = await waiting
        except LeverframeError as error:
            self._tracing.end(trace, name, arrived_ns, perf_counter_ns(), facts | {"error.type": error.code}, failed=True)
            raise
        return self._done(answer, trace, name, arrived_ns, facts)

    def _done(self, answer: Response, trace: Trace, name: str, arrived_ns: int, facts: dict[str, str | int]) -> Response:
        facts["http.response.status_code"] = answer.status
        self._tracing.end(trace, name, arrived_ns, perf_counter_ns(), facts, failed=False)
        answer.extra += b"traceparent: %b\r\n" % self._tracing.header(trace)
        return answer
