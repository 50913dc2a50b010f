"""An imported version is judged: its own bundle scores a dataset, and a new bundle carries model, evaluation, profile and card together.

Runs on the installation's own machine, as importing does: a foreign model runs in its locked child and in no server's process.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from leverframe.apps.clocks import open_clock
from leverframe.apps.here import actor_here
from leverframe.apps.scoring.files import BatchInput
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import HANDLERS
from leverframe.core.actor import Actor
from leverframe.core.clock import iso_from_us
from leverframe.core.dataset import Snapshot
from leverframe.core.descent import MadeFrom
from leverframe.core.digest import Digest, canonical_json
from leverframe.core.errors import InvalidInput, NotFound, Refused
from leverframe.core.evaluation import EvaluationReport
from leverframe.core.model import (
    CARD,
    EVALUATION,
    IMPORTED,
    LINEAGE,
    PROFILE,
    PROVENANCE,
    SPEC,
    Lineage,
    ModelSpec,
    ModelVersion,
    version_id_of,
)
from leverframe.core.route import Arm
from leverframe.data.commands import KIND_CONTRACT, KIND_DATASET, KIND_SNAPSHOT, Dataset
from leverframe.data.contract.contracts import Contract
from leverframe.data.snapshots.snapshots import read_snapshot
from leverframe.evaluation.card import model_card
from leverframe.evaluation.report import evaluate
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.bundles import open_bundle, write_bundle
from leverframe.governance.decision import require
from leverframe.governance.ledger.store import Ledger
from leverframe.governance.policy import Policy
from leverframe.governance.signing import TrustStore, load_or_create
from leverframe.serving.engine.models import LoadedVersion, load_version
from leverframe.serving.features.missing import missing_policy
from leverframe.serving.runtimes.isolated.environment import BUILD_S_MAX
from leverframe.serving.runtimes.isolated.limits import Bounds
from leverframe.serving.runtimes.isolated.opening import IsolatedOpener
from leverframe.training.commands import KIND_MODEL, KIND_MODEL_VERSION
from leverframe.training.matrix import input_matrix
from leverframe.training.profile import reference_profile
from leverframe.training.provenance import provenance_statement
from leverframe.training.select import select_questions

Floats = NDArray[np.float64]
ROWS_AT_ONCE = 4096
"""Rows that the model is given together."""
UNSEEN = (
    "It was made elsewhere: whether it was fitted on rows of this evaluation is not known here. "
    "The intervals hold for rows like these that it had not seen."
)

T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True)
class Evaluated:
    """The new bundle, signed, and what it says."""

    model: str
    bundle: Digest
    envelope: Digest
    report: EvaluationReport


class Evaluating(AbstractContextManager["Evaluating"]):
    """Evaluations against one installation."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = open_clock(settings.clock)
        self._policy = Policy()
        self._ledger = Ledger(settings.ledger_url, self._clock, self._policy, HANDLERS)
        self._artifacts = ArtifactStore(settings.artifact_store_url)
        self._trust = TrustStore.from_folder(settings.keys_folder)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Let go of the ledger."""
        self._ledger.close()

    def authenticate(self, bearer: str) -> Actor:
        """Who asks.

        Raises
        ------
        Unauthenticated: nobody.
        """
        return actor_here(self._settings, self._ledger, bearer)

    def run(self, actor: Actor, name: str, *, from_us: int = 0, to_us: int | None = None, seed: int = 0) -> Evaluated:
        """Score the declared dataset's newest snapshot with version ``name`` and judge it by the gates its model declares now.

        Parameters
        ----------
        from_us, to_us: questions asked in ``[from_us, to_us)`` whose label was known by ``to_us`` (None: now).    seed: for intervals.

        Raises
        ------
        NotFound: no such version or dataset.    Forbidden: policy does not permit it.    Refused: it was trained here, gives several scores
        a row, or no row is left.    SchemaMismatch, InvalidInput: the rows or the scores.    Unavailable: its process cannot be had.
        """
        version = self._known(KIND_MODEL_VERSION, version_id_of(name), ModelVersion, "lever models list")
        spec = self._known(KIND_MODEL, version.model, ModelSpec, "lever models list")
        require(self._policy, actor, "Training.RegisterVersion", f"model/{spec.name}", spec.team, {})
        contracts = [c for c in self._ledger.find(KIND_CONTRACT, Contract) if c.dataset == spec.dataset]
        require(self._policy, actor, "Data.Read", f"dataset/{spec.dataset}", contracts[0].team if contracts else "", {})
        snapshot = self._latest(spec.dataset)
        bundle = open_bundle(self._artifacts, self._trust, version.bundle, version.envelope)
        files = {file: bundle.read(file) for file in bundle.names}
        lineage = msgspec.json.decode(files[LINEAGE], type=Lineage)
        if lineage.run_id != IMPORTED:
            raise Refused("only an imported version is evaluated this way", where=name, got=lineage.run_id, next_step="lever train")
        now_us = self._clock.now_us()
        rows = select_questions(
            read_snapshot(self._artifacts, snapshot).collect(), spec, from_us=from_us, to_us=now_us if to_us is None else to_us
        )
        at_us = rows[spec.asked_at].cast(pl.Int64).to_numpy()
        window = (iso_from_us(int(at_us.min())), iso_from_us(int(at_us.max()) + 1))
        matrix, scores = self._scored(version, files, rows)
        labels = rows[spec.label].cast(pl.Float64).to_numpy()
        names = [column.name for column in spec.columns]
        slices = {column: rows[column].to_list() if column in rows.columns else matrix[:, names.index(column)] for column in spec.slices}
        report = evaluate(
            labels,
            scores,
            model=spec.name,
            rules=spec.gates,
            slices=slices,
            baseline=matrix[:, names.index(spec.baseline)] if spec.baseline in names else None,
            window=window,
            seed=seed,
            at_us=now_us,
        )
        metrics = {metric.name: metric.value for metric in report.metrics}
        if "roc_auc" not in metrics:
            raise Refused(
                "the rows hold one class only", where=spec.dataset, expected="labels of both classes", next_step="a longer window"
            )
        profile = reference_profile(
            names, matrix, at_us, labels, [(scores, at_us)], roc_auc=metrics["roc_auc"], log_loss=metrics["log_loss"]
        )
        lineage = msgspec.structs.replace(
            lineage,
            dataset=spec.dataset,
            snapshots={spec.dataset: snapshot.digest},
            params={**lineage.params, "evaluated": name, "evaluated_bundle": version.bundle},
            seed=seed,
            rows_holdout=len(rows),
            window=window,
            made_from=tuple(sorted({*(lineage.made_from or ()), MadeFrom(version=name)})),
        )
        spec = msgspec.structs.replace(spec, limitations=f"{spec.limitations} {UNSEEN}".strip())
        files |= {
            SPEC: canonical_json(spec),
            EVALUATION: canonical_json(report),
            PROFILE: canonical_json(profile),
            LINEAGE: canonical_json(lineage),
            CARD: model_card(spec, lineage, report).encode(),
        }
        files.pop(PROVENANCE, None)
        files[PROVENANCE] = provenance_statement(spec.name, files, lineage, started_at_us=now_us, finished_at_us=self._clock.now_us())
        key = load_or_create(self._settings.keys_folder)
        digest, envelope = write_bundle(self._artifacts, key, model=spec.name, files=files, created_at_us=now_us)
        return Evaluated(spec.name, digest, envelope, report)

    def _scored(self, version: ModelVersion, files: dict[str, bytes], rows: pl.DataFrame) -> tuple[Floats, Floats]:
        """The input matrix ``[rows, columns]`` of these questions and the model's score of each, as a gateway would give it."""
        arm = Arm(version=version.name, bundle=version.bundle, envelope=version.envelope, role="live", weight=100.0)
        opener = IsolatedOpener(self._settings.home, patience_s=BUILD_S_MAX + Bounds().start_s)
        model = load_version(version.model, arm, files, opener.open)
        try:
            _check_one_score(model)
            BatchInput(rows.lazy(), model.signature, name="the dataset", digests=("",)).rows()
            matrix = input_matrix(rows, model.raw)
            filled, _ = missing_policy(model.signature, ()).apply(matrix.copy())
            parts = [model.score(filled[start : start + ROWS_AT_ONCE]) for start in range(0, len(filled), ROWS_AT_ONCE)]
        finally:
            model.close()
        return matrix, np.concatenate(parts)

    def _latest(self, dataset: str) -> Snapshot:
        if dataset == IMPORTED:
            raise InvalidInput("which rows shall it be judged on?", where="--dataset", expected="a dataset", got="none declared")
        pointer = self._known(KIND_DATASET, dataset, Dataset, f"lever data ingest {dataset} FILE")
        return self._known(KIND_SNAPSHOT, f"{dataset}/{pointer.snapshot}", Snapshot, f"lever data ingest {dataset} FILE")

    def _known(self, kind: str, id: str, type: type[T], next_step: str) -> T:
        record = self._ledger.get(kind, id, type)
        if record is None:
            raise NotFound(f"no such {kind.replace('_', ' ')}", where=id[:120], next_step=next_step)
        return record


def _check_one_score(model: LoadedVersion) -> None:
    if model.outputs.width != 1:
        raise Refused(
            "a model is judged, and watched, by one score a row",
            where=model.version,
            expected="1 score",
            got=f"{model.outputs.width} scores",
            next_step="import it again with --column N (predict_proba: 1)",
        )
