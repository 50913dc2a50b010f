"""One request as an arm sees it, and what came of asking that arm."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from leverframe.core.errors import LeverframeError
from leverframe.core.prediction import Exposure
from leverframe.serving.engine.lane import NORMAL
from leverframe.serving.protocol.tensors import Column
from leverframe.serving.telemetry.trace import Trace

Status = Literal["ok", "fallback", "error", "refused"]


class Ask(msgspec.Struct):
    """One request as an arm sees it.

    ``deadline_ns`` is on the clock of ``time.perf_counter_ns``; 0: none. ``warned`` are the rules of the data contract that it breaks and
    that only warn, as ``field.rule``. ``exposure`` is there when the caller takes part in an experiment.
    """

    id: str
    asked_at_us: int
    arrived_ns: int
    columns: Mapping[str, Column]
    rows: int
    entities: dict[str, str]
    routed: bool = True
    deadline_ns: int = 0
    priority: int = NORMAL
    trace: Trace | None = None
    warned: tuple[str, ...] = ()
    exposure: Exposure | None = None


class Outcome(msgspec.Struct, gc=False):
    """What came of asking an arm: scores, or why there are none and the error to answer with."""

    scores: list[float]
    status: Status = "ok"
    code: str = ""
    error: LeverframeError | None = None
    fallback: str = ""
    cached: bool = False
