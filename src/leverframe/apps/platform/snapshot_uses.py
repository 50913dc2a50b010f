"""Who uses a snapshot: versions by the lineage in their bundles, runs by what was newest when they began."""

import msgspec

from leverframe.apps.platform.parts import Parts
from leverframe.core.digest import Digest
from leverframe.core.errors import LeverframeError
from leverframe.core.feature import FeatureView
from leverframe.core.model import LINEAGE, Lineage, ModelSpec, ModelVersion
from leverframe.data.commands import KIND_DATASET, Dataset
from leverframe.features.commands import KIND_VIEW
from leverframe.governance.bundles import open_bundle
from leverframe.training.commands import KIND_MODEL, KIND_MODEL_VERSION
from leverframe.training.runs import KIND_RUN, RunRecord


def uses(parts: Parts, dataset: str) -> dict[Digest, tuple[str, ...]]:
    """What uses each snapshot of ``dataset``, by its digest.

    A version whose bundle cannot be opened is taken to use whatever was newest when it was registered: nothing is deleted on a doubt.
    """
    found: dict[Digest, list[str]] = {}
    for version in parts.ledger.find(KIND_MODEL_VERSION, ModelVersion):
        for digest in _of_version(parts, version, dataset):
            found.setdefault(digest, []).append(f"version {version.name}")
    for run in parts.ledger.find(KIND_RUN, RunRecord):
        if run.status != "failed" and dataset in _read_by(parts, run.model):
            pointer = parts.ledger.get(KIND_DATASET, dataset, Dataset, at_us=run.started_at_us)
            if pointer is not None:
                found.setdefault(pointer.snapshot, []).append(f"run {run.id}")
    return {digest: tuple(sorted(set(names))) for digest, names in found.items()}


def _of_version(parts: Parts, version: ModelVersion, dataset: str) -> tuple[Digest, ...]:
    try:
        bundle = open_bundle(parts.artifacts, parts.trust, version.bundle, version.envelope)
        lineage = msgspec.json.decode(bundle.read(LINEAGE), type=Lineage)
    except (LeverframeError, msgspec.MsgspecError):
        pointer = parts.ledger.get(KIND_DATASET, dataset, Dataset, at_us=version.created_at_us)
        return (pointer.snapshot,) if pointer is not None else ()
    used = lineage.snapshots.get(dataset)
    return (used,) if used else ()


def _read_by(parts: Parts, model: str) -> set[str]:
    """The datasets a model may read: its own, and every view's source (more than it does is safe)."""
    spec = parts.ledger.get(KIND_MODEL, model, ModelSpec)
    sources = {view.source for view in parts.ledger.find(KIND_VIEW, FeatureView)}
    return sources | ({spec.dataset} if spec is not None else set())
