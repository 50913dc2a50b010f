"""What the training room's use cases take and answer."""

from typing import Any, Literal

import msgspec

from leverframe.core.evaluation import EvaluationReport
from leverframe.core.model import Lineage, ModelSpec, ModelVersion
from leverframe.training.reproduction_commands import ReproductionRecord


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a training run."""

    name: str
    status: Literal["pending", "running", "done", "failed"]
    seconds: float = 0.0
    attempts: int = 0
    cached: bool = False
    detail: str = ""


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """A training run and, when it is over, the version it made."""

    id: str
    model: str
    status: Literal["queued", "running", "succeeded", "failed"]
    started_by: str
    started_at_us: int
    window: tuple[str, str]
    steps: tuple[StepView, ...]
    version: str = ""
    failure: str = ""


class TrainRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to train: rows asked in ``[from_us, to_us)`` whose label was known at ``to_us``.

    ``prepare`` and ``params`` override the spec's; ``code_commit`` names the version of the team's own code. ``engine`` computes the
    training set: ``polars`` on the worker's machine, ``spark`` where ``LEVER_SPARK_MASTER`` says; values are the same.
    ``made_from`` names versions that it is made from, besides those whose predictions are known to be among its rows.
    """

    model: str
    from_us: int
    to_us: int
    prepare: dict[str, str] = {}
    params: dict[str, Any] = {}
    seed: int = 1
    code_commit: str = "unversioned"
    note: str = ""
    engine: Literal["polars", "spark"] = "polars"
    made_from: tuple[str, ...] = ()


class ImportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A signed bundle of a model made elsewhere, which is in the installation's artifacts already."""

    bundle: str
    envelope: str
    note: str = ""


class DeletedRows(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of a snapshot that the deletion ``erasure`` took for good: ``rows`` of ``rows_before``, in ``parts`` of ``parts_before`` parts.

    ``remains`` is the snapshot of what is left (empty: nothing).
    """

    dataset: str
    snapshot: str
    erasure: str
    rows: int
    rows_before: int
    parts: int
    parts_before: int
    at_us: int
    remains: str


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """A model version with the evidence out of its bundle, and where it is routed now.

    ``deleted``: rows it was trained on that were deleted for good since.    ``reproduction``: the newest attempt to make it again.
    """

    version: ModelVersion
    spec: ModelSpec
    evaluation: EvaluationReport
    lineage: Lineage
    card: str
    files: dict[str, int]
    arms: tuple[str, ...] = ()
    deleted: tuple[DeletedRows, ...] = ()
    reproduction: ReproductionRecord | None = None
