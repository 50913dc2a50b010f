"""Where rows of a dataset are besides its snapshots: outputs of training steps, and the entity fields of requests."""

from collections.abc import Mapping

from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.snapshot_uses import datasets_read_by
from leverframe.core.digest import Digest
from leverframe.core.model import ModelSpec
from leverframe.data.commands import KIND_DATASET, Dataset
from leverframe.training.commands import KIND_MODEL
from leverframe.training.runs import KIND_RUN, RunRecord

STEPS_WITH_ROWS = ("select", "features")
"""Steps of a training run whose outputs hold rows; what later steps make are numbers about all of them, and models."""


def made_of(parts: Parts, replaced: Mapping[str, str]) -> tuple[Digest, ...]:
    """Outputs of training steps that were made of snapshots (``dataset/digest``) which have been replaced. They are only caches."""
    datasets = {name.rpartition("/")[0] for name in replaced}
    found: dict[Digest, None] = {}
    for run in parts.ledger.find(KIND_RUN, RunRecord):
        for dataset in datasets & datasets_read_by(parts, run.model):
            pointer = parts.ledger.get(KIND_DATASET, dataset, Dataset, at_us=run.started_at_us)
            if pointer is not None and f"{dataset}/{pointer.snapshot}" in replaced:
                found |= dict.fromkeys(step.output for step in run.steps if step.name in STEPS_WITH_ROWS and step.output)
    return tuple(found)


def entity_fields(parts: Parts) -> set[str]:
    """Names of request fields by which values are looked up, of every declared model: what the prediction log keeps as text."""
    return {field.name for spec in parts.ledger.find(KIND_MODEL, ModelSpec) for field in spec.request if field.entity}
