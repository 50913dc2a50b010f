"""Make a model version again from its lineage, and say bit-identical or what differs."""

from collections.abc import Callable
from functools import partial

import msgspec
import polars as pl

from leverframe.core.clock import us_from_iso
from leverframe.core.digest import Digest, digest_bytes
from leverframe.core.model import Lineage, ModelSpec
from leverframe.core.schema import Signature
from leverframe.training.environment import environment_changes, environment_lock
from leverframe.training.lineage import recipe_digest
from leverframe.training.pipeline import Blobs, Inputs, Pipeline, Step
from leverframe.training.recipe import Rooms, TrainingRequest, training_pipeline

REPEATED = ("select", "features", "split", "fit", "export")
"""The steps that decide the model's bytes."""

Remember = Callable[[str, Callable[[], Digest]], Digest]
"""Runs the step of that name, or answers with what it gave before."""


def _at_once(_name: str, step: Callable[[], Digest]) -> Digest:
    return step()


class Reproduction(msgspec.Struct, frozen=True, kw_only=True):
    """What came of making a version again.

    ``identical``: training set, fitted model and exported model have the same digests. ``differences`` name what has other bytes,
    ``changes`` what changed around it (code, environment), which is where to look for the reason. Nothing is fitted, and ``model`` and
    ``exported`` are empty, when it ended at another training set.
    """

    identical: bool
    differences: tuple[str, ...]
    changes: tuple[str, ...]
    training_set: Digest
    model: Digest = ""
    exported: Digest = ""


def reproduce(
    lineage: Lineage,
    *,
    spec: ModelSpec,
    signature: Signature,
    model_text: bytes,
    model_onnx: bytes,
    environment: str,
    load_questions: Callable[[], pl.DataFrame],
    join_features: Callable[[pl.DataFrame], pl.DataFrame],
    blobs: Blobs,
    remember: Remember = _at_once,
    fit_other_rows: bool = True,
) -> Reproduction:
    """Select, join, split, fit and export again, with nothing reused, and compare digests.

    Parameters
    ----------
    lineage, spec, signature, model_text, model_onnx, environment: out of the bundle.
    load_questions, join_features: read the snapshots and feature views that the lineage names (see :class:`.recipe.Rooms`).
    blobs: takes the intermediate bytes.
    remember: runs each step, so that a durable workflow goes on where it died.
    fit_other_rows: whether to fit where the training set is another one; without, the answer ends there.
    """
    request = TrainingRequest(
        run_id=lineage.run_id,
        spec=spec,
        signature=signature,
        from_us=us_from_iso(lineage.window[0]),
        to_us=us_from_iso(lineage.window[1]),
        snapshots=lineage.snapshots,
        feature_views=lineage.feature_views,
        code_commit=lineage.code_commit,
        seed=lineage.seed,
        started_at_us=0,
        holdout_share=lineage.holdout_share,
        embargo_us=lineage.embargo_us,
    )
    last = None if fit_other_rows else lineage.training_set
    outputs = _repeat(training_pipeline(request, _only(load_questions, join_features)), blobs, remember, last)
    expected = {
        "training set": (lineage.training_set, outputs["features"]),
        "fitted model": (digest_bytes(model_text), outputs.get("fit", "")),
        "exported model": (digest_bytes(model_onnx), outputs.get("export", "")),
    }
    differences = tuple(f"{name}: {was} became {now}" for name, (was, now) in expected.items() if now and was != now)
    changes = [] if lineage.code_digest == recipe_digest(spec) else ["the recipe's code changed"]
    return Reproduction(
        identical=not differences,
        differences=differences,
        changes=(*changes, *environment_changes(environment, environment_lock())),
        training_set=outputs["features"],
        model=outputs.get("fit", ""),
        exported=outputs.get("export", ""),
    )


def _repeat(pipeline: Pipeline, blobs: Blobs, remember: Remember, last: Digest | None) -> dict[str, Digest]:
    """Run the repeated steps; with ``last`` end at a training set that is not the one of that name."""
    outputs: dict[str, Digest] = {}
    for step in pipeline.steps:
        if step.name in REPEATED:
            needs = {need: outputs[need] for need in step.needs}
            outputs[step.name] = remember(step.name, partial(_put, step, needs, blobs))
            if step.name == "features" and last is not None and outputs[step.name] != last:
                break
    return outputs


def _put(step: Step, needs: dict[str, Digest], blobs: Blobs) -> Digest:
    return blobs.put(step.run(Inputs(needs, blobs)))


def _only(load_questions: Callable[[], pl.DataFrame], join_features: Callable[[pl.DataFrame], pl.DataFrame]) -> Rooms:
    """Rooms for the repeated steps; the others are not run, so asking for them is a mistake in this file."""

    def unreachable(*_: object) -> None:
        raise AssertionError("reproducing neither evaluates nor registers")

    return Rooms(
        load_questions=load_questions,
        join_features=join_features,
        evaluate=unreachable,  # type: ignore[arg-type]
        write_card=unreachable,  # type: ignore[arg-type]
        register=unreachable,  # type: ignore[arg-type]
        now_us=unreachable,  # type: ignore[arg-type]
    )
