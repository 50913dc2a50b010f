"""Making a version again as a durable workflow: the steps that decide its bytes, from the very rows and definitions that its lineage names.

Intermediate bytes lie in a folder of the attempt and go with it: nothing of a training set is left behind. Where rows were deleted since,
what remains is joined again: the same training set shows that none of the deleted rows was in it; another one ends the attempt there, since
a model of other rows proves nothing (decision 0035).
"""

import shutil
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import polars as pl

from leverframe.apps.durable import StepCaller
from leverframe.apps.platform.deleted_rows import deleted_rows, remaining
from leverframe.apps.platform.keeping import Keeping
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.reproducing import ReproductionRequest
from leverframe.apps.platform.views.training import DeletedRows
from leverframe.core.actor import PLATFORM
from leverframe.core.clock import iso_from_us
from leverframe.core.dataset import Snapshot
from leverframe.core.digest import Digest, digest_bytes
from leverframe.core.errors import LeverframeError, NotFound
from leverframe.core.model import (
    ENVIRONMENT,
    LINEAGE,
    MODEL_LIGHTGBM,
    MODEL_ONNX,
    SIGNATURE,
    SPEC,
    Lineage,
    ModelSpec,
    Signature,
    version_id_of,
)
from leverframe.data.commands import KIND_SNAPSHOT
from leverframe.data.snapshots.snapshots import read_snapshot
from leverframe.features.training_sets.point_in_time import training_set
from leverframe.features.training_sets.questions import in_utc
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.bundles import Bundle, open_bundle
from leverframe.release.planning.planning import get_version
from leverframe.training.export import export_onnx
from leverframe.training.reproduce import Reproduction, reproduce
from leverframe.training.reproduction_commands import KIND_REPRODUCTION, FinishReproduction, Outcome, ReproductionRecord

FAILURE_CHARACTERS_MAX = 1_000


class ReproduceWorkflow:
    """Carries out attempts; the body is replayed after a crash, and remembered steps are not run again."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._folder = parts.settings.home / "reproduce"

    def run(self, argument: str, call: StepCaller) -> str:
        """Carry out the attempt that ``argument`` asks for; returns its outcome."""
        asked = msgspec.json.decode(argument, type=ReproductionRequest)
        try:
            done = self._attempt(asked, call)
        except Exception as error:
            sentence = error.sentence() if isinstance(error, LeverframeError) else f"{type(error).__name__}: {error}"
            done = FinishReproduction(**_whose(asked), outcome="failed", failure=sentence[:FAILURE_CHARACTERS_MAX])
        self._finish(asked, done)
        return done.outcome

    def _attempt(self, asked: ReproductionRequest, call: StepCaller) -> FinishReproduction:
        bundle = self._bundle(asked.version)
        lineage = msgspec.json.decode(bundle.read(LINEAGE), type=Lineage)
        told = call("deletions", lambda: msgspec.to_builtins(deleted_rows(self._parts, lineage.snapshots)))
        deleted = msgspec.convert(told, tuple[DeletedRows, ...])
        found: Reproduction | None = None
        if all(remaining(lineage.snapshots, deleted).values()):
            found = self._again(asked, bundle, lineage, deleted, call)
        outcome: Outcome = "identical" if found is not None and found.identical else "rows_deleted" if deleted else "differs"
        proven = call("proof", partial(self._proven, bundle, lineage, found)) if deleted else []
        return FinishReproduction(
            **_whose(asked),
            outcome=outcome,
            differences=found.differences if found is not None else ("training set: a dataset of it has no rows left",),
            changes=found.changes if found is not None else (),
            deleted=tuple(map(_deletion, deleted)),
            proven=tuple(proven),
        )

    # Again -----------------------------------------------------------------------------------------------------------

    def _again(
        self, asked: ReproductionRequest, bundle: Bundle, lineage: Lineage, deleted: tuple[DeletedRows, ...], call: StepCaller
    ) -> Reproduction:
        spec = msgspec.json.decode(bundle.read(SPEC), type=ModelSpec)
        snapshots = remaining(lineage.snapshots, deleted)
        blobs = ArtifactStore((self._folder / asked.id).as_uri())
        return reproduce(
            lineage,
            spec=spec,
            signature=msgspec.json.decode(bundle.read(SIGNATURE), type=Signature),
            model_text=bundle.read(MODEL_LIGHTGBM),
            model_onnx=bundle.read(MODEL_ONNX),
            environment=bundle.read(ENVIRONMENT).decode(),
            load_questions=lambda: self._rows(lineage.dataset, snapshots[lineage.dataset]).collect(),
            join_features=lambda questions: self._join(asked, spec, lineage, snapshots, questions),
            blobs=blobs,
            remember=partial(_remembered, call, blobs),
            fit_other_rows=not deleted,
        )

    def _join(
        self, asked: ReproductionRequest, spec: ModelSpec, lineage: Lineage, snapshots: dict[str, Digest], questions: pl.DataFrame
    ) -> pl.DataFrame:
        """The features by the definitions of then, out of the ledger's history."""
        frozen = self._parts.bundles.frozen(get_version(self._parts.ledger, asked.version))
        definitions = frozen.views if frozen is not None else {}
        lost = sorted(lineage.feature_views.keys() - definitions.keys())
        if lost:
            raise NotFound("the ledger knows no definition of that version any more", where=", ".join(lost))
        # In the order of the training run: that of the ledger, which is by name.
        views = [definitions[name] for name in sorted(lineage.feature_views)]
        sources = [(view, self._rows(view.source, snapshots[view.source])) for view in views]
        return training_set(in_utc(questions, spec.asked_at), spec.asked_at, sources).frame

    def _rows(self, dataset: str, digest: Digest) -> pl.LazyFrame:
        snapshot = self._parts.ledger.get(KIND_SNAPSHOT, f"{dataset}/{digest}", Snapshot)
        if snapshot is None:
            step = f"lever data snapshots {dataset}"
            raise NotFound("rows that it was trained on are not kept any more", where=f"{dataset}/{digest}", next_step=step)
        return read_snapshot(self._parts.artifacts, snapshot)

    # Proof -----------------------------------------------------------------------------------------------------------

    def _proven(self, bundle: Bundle, lineage: Lineage, found: Reproduction | None) -> list[str]:
        """What still holds of a version some of whose rows are gone, each checked just now."""
        said = [f"all {len(bundle.names)} files of the bundle are those that its signed manifest names"]
        if digest_bytes(export_onnx(bundle.read(MODEL_LIGHTGBM).decode())) == digest_bytes(bundle.read(MODEL_ONNX)):
            said.append("the exported model is made of the fitted one, byte for byte")
        keeping = Keeping(self._parts)
        for dataset, digest in sorted(lineage.snapshots.items()):
            state = keeping.verify(dataset, digest)
            intact, gone = (sum(part.state == wanted for part in state.parts) for wanted in ("intact", "erased"))
            if state.intact and not gone:
                said.append(f"{dataset} {digest}: every part is what its name says")
            elif state.intact:
                said.append(
                    f"{dataset} {digest}: {intact} of {len(state.parts)} parts are what the list of then names, {gone} gone as recorded"
                )
        if found is not None and found.identical:
            said.append("what remains gives the very same training set: none of the deleted rows was in it")
        return said

    # Parts -----------------------------------------------------------------------------------------------------------

    def _bundle(self, name: str) -> Bundle:
        version = get_version(self._parts.ledger, name)
        return open_bundle(self._parts.artifacts, self._parts.trust, version.bundle, version.envelope)

    def _finish(self, asked: ReproductionRequest, command: FinishReproduction) -> None:
        """Record what came of it, once, and remove the attempt's files."""
        shutil.rmtree(self._folder / asked.id, ignore_errors=True)
        held = self._parts.ledger.get(KIND_REPRODUCTION, version_id_of(asked.version), ReproductionRecord)
        if held is not None and held.id == asked.id and held.status == "running":
            self._parts.ledger.write(PLATFORM, command, key=f"{asked.id}/{command.outcome}")


def _whose(asked: ReproductionRequest) -> dict[str, Any]:
    return {"reproduction_id": asked.id, "version": asked.version, "owning_team": asked.owning_team}


def _remembered(call: StepCaller, blobs: ArtifactStore, name: str, step: Callable[[], Digest]) -> Digest:
    """The step's output; made again where its file is not (another machine took the attempt up)."""
    output = str(call(name, step))
    return output if blobs.has(output) else step()


def _deletion(lost: DeletedRows) -> str:
    left = f"what remains is {lost.remains}" if lost.remains else "nothing remains of it"
    when = iso_from_us(lost.at_us)
    return f"{lost.rows:,} of {lost.rows_before:,} rows of {lost.dataset} were deleted for good by {lost.erasure} at {when}; {left}"
