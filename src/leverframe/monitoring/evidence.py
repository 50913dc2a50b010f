"""What is known when someone asks "what is wrong": the plain facts that a diagnosis weighs."""

import msgspec

from leverframe.core.alert import Signal
from leverframe.core.feature import Freshness
from leverframe.core.statistics.intervals import Interval
from leverframe.monitoring.origins import Origin
from leverframe.monitoring.performance import Performance


class RouteChange(msgspec.Struct, frozen=True, kw_only=True):
    """Someone else answers: at ``at_us`` ``version`` got ``weight`` percent of the traffic that ``before`` had answered."""

    at_us: int
    version: str
    before: str
    weight: float
    action: str = "promoted"


class RefusedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that its contract refused, so that its rows never arrived."""

    dataset: str
    at_us: int
    faults: int
    first_fault: str = ""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """How the service itself did lately. ``latency_us_max`` 0 means no limit was set."""

    requests: int = 0
    failed: int = 0
    latency_us_p99: int = 0
    latency_us_max: int = 0
    served: int = 0
    dropped: int = 0


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known about an endpoint's trouble; what is not known is left empty and accuses nobody.

    ``origins`` of its looked-up columns; ``disabled`` columns; ``performance`` by version, on recent labels; ``label_rate`` recent, with
    the interval it lies in, and ``label_rate_reference``; ``symptoms_since_us`` when the trouble was first seen (0: unknown).
    """

    endpoint: str
    now_us: int
    origins: tuple[Origin, ...] = ()
    disabled: tuple[str, ...] = ()
    freshness: tuple[Freshness, ...] = ()
    signals: tuple[Signal, ...] = ()
    refused: tuple[RefusedFile, ...] = ()
    changes: tuple[RouteChange, ...] = ()
    service: Service = Service()
    performance: dict[str, Performance] = {}
    label_rate: Interval | None = None
    label_rate_reference: float | None = None
    symptoms_since_us: int = 0
