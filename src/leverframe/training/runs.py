"""The record of a training run: what was asked, how far it got, and the version it made."""

from typing import Any, Literal

import msgspec

KIND_RUN = "run"

RunStatus = Literal["queued", "running", "succeeded", "failed"]
StepStatus = Literal["pending", "running", "done", "failed"]


class RunStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a run: where it stands, its wall-clock seconds, the try it took, and whether an earlier output was reused."""

    name: str
    status: StepStatus = "pending"
    seconds: float = 0.0
    attempts: int = 0
    cached: bool = False
    output: str = ""
    detail: str = ""


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A training run of ``model`` over ``window`` (ISO 8601). ``version`` names what it made, ``failure`` says why it failed."""

    id: str
    model: str
    team: str
    status: RunStatus
    started_by: str
    started_at_us: int
    window: tuple[str, str]
    seed: int
    steps: tuple[RunStep, ...]
    params: dict[str, Any] = {}
    prepare: dict[str, str] = {}
    note: str = ""
    finished_at_us: int | None = None
    version: str = ""
    failure: str = ""
