"""Traces of sampled requests to an OTLP collector. Owner of OpenTelemetry; loaded only when a collector is set.

Source: OpenTelemetry Protocol 1.x over HTTP; W3C Trace Context.
"""

import time
from collections.abc import Mapping
from typing import Any

from opentelemetry import trace as otel
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from leverframe.serving.telemetry.trace import Trace

QUEUE_MAX = 2048
"""Spans waiting for the collector; more are dropped: a collector that is gone costs no answer."""
EXPORT_TIMEOUT_S = 5


class OtlpTracing:
    """Sampled requests as spans: a server span with one span a stage inside.

    Parameters
    ----------
    url: of the collector's traces, for instance ``http://127.0.0.1:4318/v1/traces``.
    share: of the requests whose callers say nothing, 0 to 1; a caller's own decision is always followed.
    worker: names the process in the traces.
    """

    def __init__(self, url: str, share: float, *, worker: str, environment: str, version: str) -> None:
        resource = Resource.create(
            {
                "service.name": "leverframe-gateway",
                "service.instance.id": worker,
                "service.version": version,
                "deployment.environment.name": environment,
            }
        )
        self._provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(share)), resource=resource)
        exporter = OTLPSpanExporter(endpoint=url, timeout=EXPORT_TIMEOUT_S)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=QUEUE_MAX))
        self._tracer = self._provider.get_tracer("leverframe.gateway")
        self._propagator = TraceContextTextMapPropagator()
        self._share = share
        # Stages are measured on a clock that has no date.
        self._epoch_ns = time.time_ns() - time.perf_counter_ns()

    def begin(self, traceparent: bytes | None, tracestate: bytes | None) -> Trace | None:
        """A trace for a request with these headers; None when it is not sampled."""
        if traceparent is None and not self._share:
            return None
        carrier = {"traceparent": (traceparent or b"").decode("latin-1"), "tracestate": (tracestate or b"").decode("latin-1")}
        parent = self._propagator.extract(carrier)
        said = otel.get_current_span(parent).get_span_context()
        if said.is_valid and not said.trace_flags.sampled:
            return None
        span = self._tracer.start_span("request", context=parent, kind=SpanKind.SERVER, start_time=time.time_ns())
        if not span.is_recording():
            return None
        return Trace(span)

    def end(self, trace: Trace, name: str, started_ns: int, ended_ns: int, facts: Mapping[str, str | int], failed: bool) -> None:
        """The request is answered: its spans go out when the exporter's thread gets to it."""
        span: Any = trace.context
        within = otel.set_span_in_context(span)
        for stage, began_ns, finished_ns in trace.stages:
            inner = self._tracer.start_span(stage, context=within, start_time=self._epoch_ns + began_ns)
            inner.end(self._epoch_ns + finished_ns)
        span.update_name(name)
        span.set_attributes(facts)
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(self._epoch_ns + ended_ns)

    def header(self, trace: Trace) -> bytes:
        """The ``traceparent`` of the gateway's own span, for the response."""
        said = trace.context.get_span_context()  # type: ignore[attr-defined]  # the span that begin() put there
        return b"00-%032x-%016x-%02x" % (said.trace_id, said.span_id, said.trace_flags)

    def stop(self) -> None:
        """Send what is waiting, within the export's timeout."""
        self._provider.shutdown()
