"""The files of a bundle. Every one is data; none can carry code."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from leverframe.core.digest import canonical_json
from leverframe.core.errors import InvalidInput
from leverframe.core.evaluation import EvaluationReport
from leverframe.core.model import (
    BILL_OF_MATERIALS,
    CARD,
    ENVIRONMENT,
    EVALUATION,
    GOLDEN,
    LINEAGE,
    MODEL_LIGHTGBM,
    MODEL_ONNX,
    PROFILE,
    PROVENANCE,
    SIGNATURE,
    SPEC,
    Golden,
    Lineage,
    ModelSpec,
)
from leverframe.core.profile import ReferenceProfile
from leverframe.core.schema import Signature
from leverframe.training.bill_of_materials import bill_of_materials
from leverframe.training.parity import TOLERANCE
from leverframe.training.provenance import provenance_statement

Floats = NDArray[np.float64]

GOLDEN_ROWS = 32


def golden_rows(columns: Sequence[str], matrix: Floats, scores: Floats, rng: np.random.Generator, rows: int = GOLDEN_ROWS) -> Golden:
    """Real rows with the answers of the fitted model: as many with missing values as without, and one with nothing but missing values.

    Parameters
    ----------
    matrix: ``[n, columns]`` whose last row is all NaN (its score is wanted too).    scores: ``[n]``, of the fitted model.
    """
    if len(matrix) < 2 or not np.isnan(matrix[-1]).all():
        raise InvalidInput("the last row must be all missing", where="golden rows", expected="NaN in every column")
    holes = np.isnan(matrix[:-1]).any(axis=1)
    chosen = [len(matrix) - 1]
    for group in (np.flatnonzero(holes), np.flatnonzero(~holes)):
        chosen += sorted(rng.choice(group, size=min(len(group), rows // 2), replace=False).tolist())
    return Golden(
        columns=tuple(columns),
        rows=tuple(tuple(None if np.isnan(v) else float(v) for v in matrix[i]) for i in chosen),
        expected=tuple((float(scores[i]),) for i in chosen),
        tolerance=TOLERANCE,
    )


def package(
    *,
    spec: ModelSpec,
    signature: Signature,
    model_text: str,
    model_onnx: bytes,
    profile: ReferenceProfile,
    golden: Golden,
    lineage: Lineage,
    report: EvaluationReport,
    card: str,
    environment: str,
    started_at_us: int,
    finished_at_us: int,
) -> dict[str, bytes]:
    """Every file of the bundle by the name it has there (see :mod:`leverframe.core.model`); the same inputs give the same bytes."""
    files = {
        MODEL_ONNX: model_onnx,
        MODEL_LIGHTGBM: model_text.encode(),
        SIGNATURE: canonical_json(signature),
        SPEC: canonical_json(spec),
        PROFILE: canonical_json(profile),
        GOLDEN: canonical_json(golden),
        LINEAGE: canonical_json(lineage),
        EVALUATION: canonical_json(report),
        ENVIRONMENT: environment.encode(),
        BILL_OF_MATERIALS: bill_of_materials(spec.name, model_onnx, environment, created_at_us=finished_at_us),
        CARD: card.encode(),
    }
    statement = provenance_statement(spec.name, files, lineage, started_at_us=started_at_us, finished_at_us=finished_at_us)
    return {**files, PROVENANCE: statement}
