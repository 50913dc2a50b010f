"""A model made elsewhere becomes a bundle: read by the training room, tried in the runtime that will serve it."""

import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from msgspec import UNSET

from leverframe.apps.settings import Settings
from leverframe.core.descent import MadeFrom
from leverframe.core.digest import Digest, canonical_json, digest_bytes
from leverframe.core.errors import Integrity
from leverframe.core.evaluation import EvaluationReport
from leverframe.core.model import (
    CARD,
    ENVIRONMENT,
    EVALUATION,
    GOLDEN,
    IMPORTED,
    ISOLATED,
    LINEAGE,
    MODEL_LIGHTGBM,
    MODEL_ONNX,
    PROVENANCE,
    SIGNATURE,
    SPEC,
    Golden,
    Lineage,
    ModelSpec,
)
from leverframe.core.schema import Signature
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.bundles import write_bundle
from leverframe.governance.signing import load_or_create
from leverframe.serving.runtimes.isolated.environment import BUILD_S_MAX, lock
from leverframe.serving.runtimes.isolated.limits import Bounds
from leverframe.serving.runtimes.isolated.opening import IsolatedOpener
from leverframe.serving.runtimes.lightgbm import LightgbmRuntime
from leverframe.serving.runtimes.onnx import OnnxRuntime
from leverframe.serving.runtimes.xgboost import XgboostRuntime
from leverframe.serving.runtimes.xgboost_scan import described
from leverframe.training.importers.mlflow import Floats, MlflowModel, read_mlflow
from leverframe.training.provenance import provenance_statement

READER = "nanoarrow==0.9.0"
"""What the child reads its columns with; added to every model's requirements."""
TOLERANCE = 1e-6
"""How far a golden answer may be from the first one: the child's libraries may add in another order on another machine."""


@dataclass(frozen=True)
class Imported:
    """The files of a bundle, its declaration, its report, and the runtime it was made for."""

    spec: ModelSpec
    files: dict[str, bytes]
    report: EvaluationReport
    runtime: str
    at_us: int


def import_mlflow(
    folder: Path,
    *,
    home: Path,
    name: str,
    team: str,
    owner: str,
    now_us: int,
    risk_tier: str = "high",
    column: int = -1,
    made_from: tuple[str, ...] = (),
) -> Imported:
    """Read the MLflow model in ``folder`` and run it once on its own example: what it answers is kept as golden rows.

    A model that is not data runs for that in an isolated child, in the very environment that will serve it (building it asks the index).

    Parameters
    ----------
    column: of a pyfunc that gives several scores a row, the one that is the score; -1: all of them are.
    made_from: versions of models here whose weights it began with.

    Raises
    ------
    InvalidInput, NotFound: the folder cannot be imported.    Unavailable: environment or child cannot be had.
    """
    model = read_mlflow(folder)
    runtime, scores = data_scores(model)
    if model.data is not None and runtime:
        environment = "\n".join(model.requirements) + "\n"
        files = {model.data.file: model.data.content}
    else:
        runtime = "isolated"
        python = model.runtime.python or f"3.{sys.version_info.minor}"
        requirements = lock((*model.requirements, READER), python)
        record = msgspec.structs.replace(model.runtime, python=python, requirements=requirements, column=column)
        environment = "\n".join(record.requirements) + "\n"
        files = {**model.pyfunc_files(), ISOLATED: canonical_json(record)}
        scores = _tried(home, name, files, model)
    width = 1 if scores.ndim == 1 else scores.shape[1]
    if not np.isfinite(scores).all():
        raise Integrity("the model gives no finite numbers on its own example", where=name, next_step="only numeric predictions are served")
    outputs = tuple(msgspec.structs.replace(output, width=width) for output in model.signature.outputs)
    return bundled(
        files,
        spec=imported_spec(name, model.made_by, msgspec.structs.replace(model.signature, outputs=outputs), team, owner, risk_tier),
        golden=_golden(model, scores.reshape(len(scores), width)),
        origin=model.digest,
        made_by=model.made_by,
        environment=environment,
        card=_card(model, name, runtime),
        runtime=runtime,
        now_us=now_us,
        made_from=made_from,
    )


def imported_spec(name: str, made_by: str, signature: Signature, team: str, owner: str, risk_tier: str) -> ModelSpec:
    """The declaration of a model of which nothing is known but its signature."""
    return ModelSpec(
        name=name,
        description=f"Imported from {made_by}.",
        owner=owner,
        team=team,
        runbook="none yet",
        dataset=IMPORTED,
        label=IMPORTED,
        request=signature.request,
        columns=signature.columns,
        outputs=signature.outputs,
        risk_tier="low" if risk_tier == "low" else "high",
    )


def bundled(
    files: dict[str, bytes],
    *,
    spec: ModelSpec,
    golden: Golden,
    origin: Digest,
    made_by: str,
    environment: str,
    card: str,
    runtime: str,
    now_us: int,
    made_from: tuple[str, ...] = (),
) -> Imported:
    """The model's own ``files`` with every record a bundle has; ``origin`` is the digest of what it was made from."""
    name = spec.name
    report = EvaluationReport(
        model=name, rows=0, positives=0, metrics=(), slices=(), baseline=(), calibration=(), gates=(), answer="inconclusive"
    )
    files = files | {
        SIGNATURE: canonical_json(Signature(request=spec.request, columns=spec.columns, outputs=spec.outputs)),
        GOLDEN: canonical_json(golden),
        SPEC: canonical_json(spec),
        EVALUATION: canonical_json(report),
        ENVIRONMENT: environment.encode(),
        CARD: card.encode(),
    }
    lineage = Lineage(
        run_id=IMPORTED,
        code_commit=IMPORTED,
        code_digest=origin,
        dataset=IMPORTED,
        snapshots={},
        training_set=origin,
        feature_views={},
        params={"imported_from": made_by, "folder": origin},
        environment_digest=digest_bytes(environment.encode()),
        seed=0,
        rows_fit=0,
        rows_holdout=0,
        window=("", ""),
        made_from=tuple(MadeFrom(version=version) for version in made_from) or UNSET,
    )
    files[LINEAGE] = canonical_json(lineage)
    files[PROVENANCE] = provenance_statement(name, files, lineage, started_at_us=now_us, finished_at_us=now_us)
    return Imported(spec=spec, files=files, report=report, runtime=runtime, at_us=now_us)


def write_imported(home: Path, made: Imported) -> tuple[Digest, Digest]:
    """Keep and sign the bundle in the installation under ``home``; the digests of manifest and envelope."""
    settings = Settings(home=home)
    key = load_or_create(settings.keys_folder)
    return write_bundle(ArtifactStore(settings.artifact_store_url), key, model=made.spec.name, files=made.files, created_at_us=made.at_us)


def data_scores(model: MlflowModel) -> tuple[str, Floats]:
    """Name of the runtime that serves a data-only model, and its answers to the example; an empty name when none does."""
    data, names = model.data, tuple(column.name for column in model.signature.columns)
    nothing = "", np.empty(0)
    if data is None:
        return nothing
    try:
        if data.file == MODEL_LIGHTGBM:
            return "lightgbm", LightgbmRuntime(data.content, len(names)).score(model.example)
        if data.file == MODEL_ONNX:
            return "onnx", OnnxRuntime(data.content, len(names), data.width).score(model.example)
        said, types, classes = described(data.content)
        if said not in ((), names) or "c" in types:
            return nothing
        return "xgboost", XgboostRuntime(data.content, len(names), max(1, classes)).score(model.example)
    except Integrity:
        return nothing


def _tried(home: Path, name: str, files: dict[str, bytes], model: MlflowModel) -> Floats:
    """The answers of an isolated child to the example, once."""
    opener = IsolatedOpener(home, patience_s=BUILD_S_MAX + Bounds().start_s)
    child = opener.open(name, files, model.signature)
    try:
        return child.score_now(model.example)
    finally:
        child.stop()


def _golden(model: MlflowModel, scores: Floats) -> Golden:
    return Golden(
        columns=tuple(column.name for column in model.signature.columns),
        rows=tuple(tuple(None if np.isnan(value) else float(value) for value in row) for row in model.example),
        expected=tuple(tuple(float(score) for score in row) for row in scores),
        tolerance=TOLERANCE,
    )


def _card(model: MlflowModel, name: str, runtime: str) -> str:
    return (
        f"# {name}\n\nImported from {model.made_by}, not trained here: nothing is known of its data, and it was not evaluated.\n\n"
        f"- folder: `{model.digest}`\n- runtime: {runtime}\n"
        f"- golden rows: its own input example ({len(model.example)} rows), answered once at import\n"
    )
