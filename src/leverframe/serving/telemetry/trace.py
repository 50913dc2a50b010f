"""Where the time of one request went, when somebody wants to know: stages by name, joined to the caller's trace.

Only requests that are sampled carry a trace: their caller says so, or this gateway picks a share of those whose callers say nothing. All
others cost one look at a header. Source: W3C Trace Context.
"""

from collections.abc import Mapping
from typing import Protocol

LOOK_UP, QUEUE, MODEL, LOG = "look-up", "queue", "model", "log"
"""The stages of a request, each with its own span."""


class Trace:
    """One sampled request. Times are on the clock of ``time.perf_counter_ns``."""

    __slots__ = ("context", "stages")

    def __init__(self, context: object) -> None:
        self.context = context
        self.stages: list[tuple[str, int, int]] = []

    def stage(self, name: str, started_ns: int, ended_ns: int) -> None:
        """Note one stage."""
        self.stages.append((name, started_ns, ended_ns))


class Tracing(Protocol):
    """Makes traces and takes them back when they are complete (the gateway process has the exporter)."""

    def begin(self, traceparent: bytes | None, tracestate: bytes | None) -> Trace | None:
        """A trace for a request with these headers; None when it is not sampled."""
        ...

    def end(self, trace: Trace, name: str, started_ns: int, ended_ns: int, facts: Mapping[str, str | int], failed: bool) -> None:
        """The request is answered: its span with the stages inside goes out. ``facts`` become attributes."""
        ...

    def header(self, trace: Trace) -> bytes:
        """The ``traceparent`` of the gateway's own span, for the response."""
        ...
