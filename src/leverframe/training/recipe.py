"""The training recipe: nine steps from a request to a registered version. What other rooms do comes in as callables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import msgspec
import numpy as np
import polars as pl
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from leverframe.core.clock import iso_from_us
from leverframe.core.descent import MadeFrom
from leverframe.core.digest import Digest, canonical_json, digest_bytes, digest_record
from leverframe.core.errors import Refused
from leverframe.core.evaluation import EvaluationReport
from leverframe.core.model import Lineage, ModelSpec
from leverframe.core.profile import ReferenceProfile
from leverframe.core.schema import Signature
from leverframe.training.environment import environment_digest, environment_lock
from leverframe.training.export import export_onnx
from leverframe.training.lineage import recipe_digest, source_digests
from leverframe.training.matrix import input_matrix, prepared
from leverframe.training.packaging import golden_rows, package
from leverframe.training.parity import parity
from leverframe.training.pipeline import Inputs, Pipeline, Step
from leverframe.training.profile import reference_profile
from leverframe.training.select import select_questions
from leverframe.training.split import EMBARGO_US, HOLDOUT_SHARE, time_split
from leverframe.training.tables import FIT, HOLDOUT, Table, pack_frame, pack_parts, pack_table, unpack_frame, unpack_parts, unpack_table
from leverframe.training.trainers.lightgbm import LightGBMModel, fit

Floats = NDArray[np.float64]

PARITY_ROWS = 4_000


class TrainingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides what is trained, as plain data that a durable workflow can carry.

    ``spec`` already carries the overrides of this run. ``snapshots`` are the datasets read, by name; ``feature_views`` the views' versions.
    The window is ``[from_us, to_us)``; labels count when they were known by ``to_us``. ``champion`` names the version to compare with.
    ``engine`` joins the features; it decides where, and no value. ``made_from`` goes into the lineage as it is.
    """

    run_id: str
    spec: ModelSpec
    signature: Signature
    from_us: int
    to_us: int
    snapshots: dict[str, Digest]
    feature_views: dict[str, Digest]
    code_commit: str
    seed: int
    started_at_us: int
    champion: str = ""
    holdout_share: float = HOLDOUT_SHARE
    embargo_us: int = EMBARGO_US
    engine: Literal["polars", "spark"] = "polars"
    made_from: tuple[MadeFrom, ...] | UnsetType = UNSET

    @property
    def window(self) -> tuple[str, str]:
        """The window as ISO 8601."""
        return iso_from_us(self.from_us), iso_from_us(self.to_us)


@dataclass(frozen=True)
class Holdout:
    """What the evaluation room is given: rows the model has not seen, and its scores.

    ``matrix`` is the model's input (``columns`` in order), so that a champion can be scored on the same rows. ``baseline`` is the input
    column named by the spec, if it names one. ``slices`` holds the slice columns.
    """

    columns: tuple[str, ...]
    matrix: Floats
    labels: Floats
    scores: Floats
    asked_at_us: NDArray[np.int64]
    slices: Mapping[str, list[object]]
    baseline: Floats | None
    window: tuple[str, str]


@dataclass(frozen=True)
class Rooms:
    """What training needs of other rooms, as plain functions.

    ``load_questions()`` reads the spec's dataset; ``join_features(questions)`` adds a column ``<view>.<feature>`` for each feature as of
    each question's moment, keeping rows and order; ``evaluate(holdout)`` judges; ``write_card(spec, lineage, report)`` gives Markdown;
    ``register(files, report)`` writes the signed bundle, registers it and returns the version's name; ``now_us()`` is the clock's time.
    """

    load_questions: Callable[[], pl.DataFrame]
    join_features: Callable[[pl.DataFrame], pl.DataFrame]
    evaluate: Callable[[Holdout], EvaluationReport]
    write_card: Callable[[ModelSpec, Lineage, EvaluationReport], str]
    register: Callable[[dict[str, bytes], EvaluationReport], str]
    now_us: Callable[[], int]


def training_pipeline(request: TrainingRequest, rooms: Rooms) -> Pipeline:
    """The steps of one training run; the last one's output is the registered version's name as text."""
    lock = environment_lock()
    spec = request.spec
    code = digest_record({"sources": source_digests(), "commit": request.code_commit, "environment": environment_digest(lock)})
    window = {"from_us": request.from_us, "to_us": request.to_us}
    names = [spec.asked_at, spec.label_known_at, spec.label]
    chosen = {"snapshots": request.snapshots, "dataset": spec.dataset, "columns": names, **window}
    joined = {"signature": request.signature, "views": request.feature_views, "prepare": spec.prepare, "slices": spec.slices}
    cut = {"share": request.holdout_share, "embargo_us": request.embargo_us, **window}
    judged = {"spec": spec, "champion": request.champion, "seed": request.seed}
    steps = (
        Step(name="select", run=partial(_select, request, rooms), settings=chosen),
        Step(name="features", run=partial(_features, request, rooms), needs=("select",), settings=joined),
        Step(name="split", run=partial(_split, request), needs=("features",), settings=cut),
        Step(name="fit", run=partial(_fit, request), needs=("features", "split"), settings={"params": spec.params, "seed": request.seed}),
        Step(name="export", run=_export, needs=("features", "split", "fit")),
        Step(name="evaluate", run=partial(_evaluate, request, rooms), needs=("features", "split", "fit"), settings=judged),
        Step(name="profile", run=partial(_profile, request), needs=("features", "split", "fit", "evaluate")),
        Step(
            name="package",
            run=partial(_package, request, rooms, lock),
            needs=("features", "split", "fit", "export", "evaluate", "profile"),
            settings=request,
        ),
        Step(name="register", run=partial(_register, rooms), needs=("package", "evaluate"), reusable=False),
    )
    return Pipeline(f"train {spec.name}", code, steps)


def _select(request: TrainingRequest, rooms: Rooms, inputs: Inputs) -> bytes:
    return pack_frame(select_questions(rooms.load_questions(), request.spec, from_us=request.from_us, to_us=request.to_us))


def _features(request: TrainingRequest, rooms: Rooms, inputs: Inputs) -> bytes:
    spec = request.spec
    frame = rooms.join_features(unpack_frame(inputs["select"]))
    matrix = prepared(input_matrix(frame, request.signature), request.signature, spec.prepare)
    return pack_table(
        Table(
            columns=tuple(column.name for column in request.signature.columns),
            matrix=matrix,
            labels=frame[spec.label].cast(pl.Float64).to_numpy(),
            asked_at_us=frame[spec.asked_at].cast(pl.Int64).to_numpy(),
            known_at_us=frame[spec.label_known_at].cast(pl.Int64).to_numpy(),
            slices=frame.select(name for name in spec.slices if name in frame.columns),
        )
    )


def _split(request: TrainingRequest, inputs: Inputs) -> bytes:
    table = unpack_table(inputs["features"])
    split = time_split(
        table.asked_at_us,
        table.known_at_us,
        table.labels,
        from_us=request.from_us,
        to_us=request.to_us,
        holdout_share=request.holdout_share,
        embargo_us=request.embargo_us,
    )
    return pack_parts(len(table.labels), split.fit, split.holdout)


def _fit(request: TrainingRequest, inputs: Inputs) -> bytes:
    table, rows = unpack_table(inputs["features"]), unpack_parts(inputs["split"], FIT)
    model = fit(table.matrix[rows], table.labels[rows], column_names=table.columns, params=request.spec.params, seed=request.seed)
    return model.text.encode()


def _model(inputs: Inputs) -> LightGBMModel:
    return LightGBMModel(inputs["fit"].decode())


def _export(inputs: Inputs) -> bytes:
    """Exported, and compared with the fitted model on holdout rows, rows with holes, and one row that is nothing but holes."""
    table = unpack_table(inputs["features"])
    rows = unpack_parts(inputs["split"], HOLDOUT)
    sample = with_missing_row(table.matrix[rows[:: max(1, len(rows) // PARITY_ROWS)]])
    model = _model(inputs)
    exported = export_onnx(model.text)
    parity(exported, sample, model.predict(sample))
    return exported


def with_missing_row(matrix: Floats) -> Floats:
    """The matrix and, below it, one row without any value."""
    return np.vstack([matrix, np.full((1, matrix.shape[1]), np.nan)])


def _evaluate(request: TrainingRequest, rooms: Rooms, inputs: Inputs) -> bytes:
    spec, table, rows = request.spec, unpack_table(inputs["features"]), unpack_parts(inputs["split"], HOLDOUT)
    matrix = table.matrix[rows]
    slices: dict[str, list[object]] = {name: table.slices[name][rows].to_list() for name in table.slices.columns}
    slices |= {name: matrix[:, table.columns.index(name)].tolist() for name in spec.slices if name not in slices and name in table.columns}
    holdout = Holdout(
        columns=table.columns,
        matrix=matrix,
        labels=table.labels[rows],
        scores=_model(inputs).predict(matrix),
        asked_at_us=table.asked_at_us[rows],
        slices=slices,
        baseline=matrix[:, table.columns.index(spec.baseline)] if spec.baseline in table.columns else None,
        window=(iso_from_us(int(table.asked_at_us[rows].min())), request.window[1]),
    )
    return canonical_json(rooms.evaluate(holdout))


def _profile(request: TrainingRequest, inputs: Inputs) -> bytes:
    """The columns of all rows used, the scores of rows not seen."""
    table = unpack_table(inputs["features"])
    fitted, held = unpack_parts(inputs["split"], FIT), unpack_parts(inputs["split"], HOLDOUT)
    used = np.concatenate([fitted, held])
    model = _model(inputs)
    values = {m.name: m.value for m in msgspec.json.decode(inputs["evaluate"], type=EvaluationReport).metrics}
    if not {"roc_auc", "log_loss"} <= values.keys():
        raise Refused("the evaluation lacks what the profile states", where="profile", expected="roc_auc, log_loss", got=", ".join(values))
    profile = reference_profile(
        table.columns,
        table.matrix[used],
        table.asked_at_us[used],
        table.labels[used],
        [(model.predict(table.matrix[rows]), table.asked_at_us[rows]) for rows in (fitted, held)],
        roc_auc=values["roc_auc"],
        log_loss=values["log_loss"],
    )
    return canonical_json(profile)


def _package(request: TrainingRequest, rooms: Rooms, lock: str, inputs: Inputs) -> bytes:
    """Every bundle file as a blob; the output names them: file name to digest."""
    table = unpack_table(inputs["features"])
    held = unpack_parts(inputs["split"], HOLDOUT)
    candidates = with_missing_row(table.matrix[held])
    golden = golden_rows(table.columns, candidates, _model(inputs).predict(candidates), np.random.default_rng(request.seed))
    report = msgspec.json.decode(inputs["evaluate"], type=EvaluationReport)
    lineage = _lineage(request, inputs, lock, rows_fit=len(unpack_parts(inputs["split"], FIT)), rows_holdout=len(held))
    files = package(
        spec=request.spec,
        signature=request.signature,
        model_text=inputs["fit"].decode(),
        model_onnx=inputs["export"],
        profile=msgspec.json.decode(inputs["profile"], type=ReferenceProfile),
        golden=golden,
        lineage=lineage,
        report=report,
        card=rooms.write_card(request.spec, lineage, report),
        environment=lock,
        started_at_us=request.started_at_us,
        finished_at_us=rooms.now_us(),
    )
    return canonical_json({name: inputs.blobs.put(data) for name, data in files.items()})


def _lineage(request: TrainingRequest, inputs: Inputs, lock: str, *, rows_fit: int, rows_holdout: int) -> Lineage:
    return Lineage(
        run_id=request.run_id,
        code_commit=request.code_commit,
        code_digest=recipe_digest(request.spec),
        dataset=request.spec.dataset,
        snapshots=request.snapshots,
        training_set=inputs.digests["features"],
        feature_views=request.feature_views,
        params=request.spec.params,
        environment_digest=digest_bytes(lock.encode()),
        seed=request.seed,
        rows_fit=rows_fit,
        rows_holdout=rows_holdout,
        window=request.window,
        holdout_share=request.holdout_share,
        embargo_us=request.embargo_us,
        made_from=request.made_from,
    )


def _register(rooms: Rooms, inputs: Inputs) -> bytes:
    digests = msgspec.json.decode(inputs["package"], type=dict[str, str])
    files = {name: inputs.blobs.get(digest) for name, digest in digests.items()}
    return rooms.register(files, msgspec.json.decode(inputs["evaluate"], type=EvaluationReport)).encode()
