"""One training run as a durable workflow: the training room's steps, with what other rooms do handed in."""

from functools import partial

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from leverframe.apps.durable import StepCaller
from leverframe.apps.platform.parts import Parts
from leverframe.apps.spark_training_sets import joined_on_spark, snapshot_files
from leverframe.core.actor import PLATFORM
from leverframe.core.dataset import Snapshot
from leverframe.core.digest import Digest, canonical_json
from leverframe.core.errors import LeverframeError, NotFound
from leverframe.core.evaluation import EvaluationReport
from leverframe.core.feature import FeatureView
from leverframe.core.model import MODEL_LIGHTGBM, SIGNATURE, ModelVersion, version_id_of
from leverframe.core.schema import Signature
from leverframe.data.commands import KIND_SNAPSHOT
from leverframe.data.snapshots.snapshots import read_snapshot
from leverframe.evaluation.card import model_card
from leverframe.evaluation.report import evaluate
from leverframe.features.commands import KIND_VIEW
from leverframe.features.declared.definitions import view_version
from leverframe.features.training_sets.leakage import training_set_report
from leverframe.features.training_sets.leakage_sources import Labelled
from leverframe.features.training_sets.point_in_time import TrainingSet, training_set
from leverframe.features.training_sets.questions import in_utc
from leverframe.governance.bundles import open_bundle, write_bundle
from leverframe.training.commands import KIND_MODEL_VERSION, FinishRun, RecordStep, RegisterVersion
from leverframe.training.pipeline import Pipeline, Step, StepOutcome, run_step
from leverframe.training.recipe import Holdout, Rooms, TrainingRequest, training_pipeline
from leverframe.training.runs import KIND_RUN, RunRecord, RunStep
from leverframe.training.step_memory import FolderSteps
from leverframe.training.trainers.lightgbm import LightGBMModel


class TrainingWorkflow:
    """Carries out training runs; the body is replayed after a crash, and remembered steps are not run again."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._memory = FolderSteps(parts.settings.home / "step-cache")
        self._said: dict[str, str] = {}

    def run(self, argument: str, call: StepCaller) -> str:
        """Carry out the run whose request is the artifact ``argument``; returns the registered version's name, or "" when it failed."""
        request = msgspec.json.decode(self._parts.artifacts.get(argument), type=TrainingRequest)
        pipeline = training_pipeline(request, self._rooms(request))
        outcomes: list[StepOutcome] = []
        try:
            for step in pipeline.steps:
                outputs = {outcome.name: outcome.output for outcome in outcomes}
                outcomes.append(msgspec.convert(call(step.name, partial(self._step, request, pipeline, step, outputs)), StepOutcome))
        except Exception as error:
            sentence = error.sentence() if isinstance(error, LeverframeError) else f"{type(error).__name__}: {error}"
            self._finish(request, FinishRun(**self._whose(request), outcome="failed", failure=sentence))
            return ""
        version = self._parts.artifacts.get(outcomes[-1].output).decode()
        self._finish(request, FinishRun(**self._whose(request), outcome="succeeded", version=version))
        return version

    def _step(self, request: TrainingRequest, pipeline: Pipeline, step: Step, outputs: dict[str, Digest]) -> dict[str, object]:
        """Run one step, recording that it started and how it ended."""
        held = next((s for s in self._record(request).steps if s.name == step.name), RunStep(name=step.name))
        attempt = held.attempts + 1
        self._note(request, RunStep(name=step.name, status="running", attempts=attempt))
        try:
            outcome = run_step(pipeline, step, outputs, blobs=self._parts.artifacts, memory=self._memory)
        except Exception as error:
            self._note(request, RunStep(name=step.name, status="failed", attempts=attempt, detail=str(error)[:500]))
            raise
        done = RunStep(
            name=step.name,
            status="done",
            seconds=round(outcome.seconds, 3),
            attempts=attempt,
            cached=outcome.cached,
            output=outcome.output,
            detail=self._said.pop(request.run_id, "") if step.name == "features" else "",
        )
        self._note(request, done)
        return dict(msgspec.to_builtins(outcome))

    def _whose(self, request: TrainingRequest) -> dict[str, str]:
        return {"run_id": request.run_id, "model": request.spec.name, "owning_team": request.spec.team}

    def _record(self, request: TrainingRequest) -> RunRecord:
        record = self._parts.ledger.get(KIND_RUN, request.run_id, RunRecord)
        if record is None:
            raise NotFound("no such run", where=request.run_id)
        return record

    def _note(self, request: TrainingRequest, step: RunStep) -> None:
        key = f"{request.run_id}/{step.name}/{step.attempts}/{step.status}"
        self._parts.ledger.write(PLATFORM, RecordStep(**self._whose(request), step=step), key=key)

    def _finish(self, request: TrainingRequest, command: FinishRun) -> None:
        if self._record(request).status in ("queued", "running"):
            self._parts.ledger.write(PLATFORM, command, key=f"{request.run_id}/{command.outcome}")

    # What other rooms do --------------------------------------------------------------------------------------------

    def _rooms(self, request: TrainingRequest) -> Rooms:
        return Rooms(
            load_questions=lambda: self._rows(request, request.spec.dataset).collect(),
            join_features=lambda questions: self._join(request, questions),
            evaluate=lambda holdout: self._evaluate(request, holdout),
            write_card=model_card,
            register=lambda files, report: self._register(request, files, report),
            now_us=self._parts.clock.now_us,
        )

    def _rows(self, request: TrainingRequest, dataset: str) -> pl.LazyFrame:
        return read_snapshot(self._parts.artifacts, self._snapshot(request, dataset))

    def _snapshot(self, request: TrainingRequest, dataset: str) -> Snapshot:
        snapshot = self._parts.ledger.get(KIND_SNAPSHOT, f"{dataset}/{request.snapshots[dataset]}", Snapshot)
        if snapshot is None:
            raise NotFound("the run's snapshot is not known any more", where=dataset, got=request.snapshots[dataset])
        return snapshot

    def _join(self, request: TrainingRequest, questions: pl.DataFrame) -> pl.DataFrame:
        views = [view for view in self._parts.ledger.find(KIND_VIEW, FeatureView) if view.name in request.feature_views]
        changed = [view.name for view in views if view_version(view) != request.feature_views[view.name]]
        if changed or len(views) != len(request.feature_views):
            raise NotFound(
                "a feature view was changed since the run was asked for", where=", ".join(changed), next_step="lever train again"
            )
        sources = [(view, self._rows(request, view.source)) for view in views]
        asked, asked_at = in_utc(questions, request.spec.asked_at), request.spec.asked_at
        if request.engine == "spark" and views:
            settings = self._parts.settings
            files = [(view, snapshot_files(self._parts.artifacts, self._snapshot(request, view.source))) for view in views]
            joined = joined_on_spark(settings.spark_master, settings.home, asked, asked_at, files)
        else:
            joined = training_set(asked, asked_at, sources)
        self._said[request.run_id] = self._report(request, joined, sources)
        return joined.frame

    def _report(self, request: TrainingRequest, joined: TrainingSet, sources: list[tuple[FeatureView, pl.LazyFrame]]) -> str:
        """Keep what there is to say about the training set; the step says the gist and where the whole is."""
        spec = request.spec
        columns = Labelled(dataset=spec.dataset, asked_at=spec.asked_at, label=spec.label, known_at=spec.label_known_at)
        report = training_set_report(spec.name, joined, columns, sources)
        return f"{report.summary()}; report {self._parts.artifacts.put(canonical_json(report))}"

    def _evaluate(self, request: TrainingRequest, holdout: Holdout) -> EvaluationReport:
        return evaluate(
            holdout.labels,
            holdout.scores,
            model=request.spec.name,
            rules=request.spec.gates,
            slices=holdout.slices,
            baseline=holdout.baseline,
            champion=request.champion,
            champion_scores=self._champion_scores(request, holdout) if request.champion else None,
            window=holdout.window,
            seed=request.seed,
            at_us=request.to_us,
        )

    def _champion_scores(self, request: TrainingRequest, holdout: Holdout) -> NDArray[np.float64] | None:
        """The champion's scores on the same rows, or None when it takes other columns and so cannot be compared on this matrix."""
        version = self._parts.ledger.get(KIND_MODEL_VERSION, version_id_of(request.champion), ModelVersion)
        if version is None:
            return None
        bundle = open_bundle(self._parts.artifacts, self._parts.trust, version.bundle, version.envelope)
        signature = msgspec.json.decode(bundle.read(SIGNATURE), type=Signature)
        if tuple(column.name for column in signature.columns) != holdout.columns:
            return None
        return LightGBMModel(bundle.read(MODEL_LIGHTGBM).decode()).predict(holdout.matrix)

    def _register(self, request: TrainingRequest, files: dict[str, bytes], report: EvaluationReport) -> str:
        parts, spec = self._parts, request.spec
        bundle, envelope = write_bundle(parts.artifacts, parts.key, model=spec.name, files=files, created_at_us=request.started_at_us)
        metrics = {metric.name: metric for metric in report.metrics}
        auc = metrics.get("roc_auc")
        command = RegisterVersion(
            model=spec.name,
            owning_team=spec.team,
            bundle=bundle,
            envelope=envelope,
            run_id=request.run_id,
            risk_tier=spec.risk_tier,
            gates=report.answer,
            metrics={name: metric.value for name, metric in metrics.items()},
            roc_auc_low=auc.low if auc is not None else None,
            roc_auc_high=auc.high if auc is not None else None,
            note=self._record(request).note,
            made_from=request.made_from or (),
        )
        return str(parts.ledger.write(PLATFORM, command, key=f"{request.run_id}/register").result["version"])
