"""A loaded model version: signature, runtimes and everything compiled from them, checked on its golden rows before anyone may ask it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from leverframe.core.errors import Integrity
from leverframe.core.model import GOLDEN, MODEL_LIGHTGBM, MODEL_ONNX, SIGNATURE, Golden
from leverframe.core.route import Arm
from leverframe.core.schema import Signature
from leverframe.serving import oip
from leverframe.serving.inputs import InputPlan
from leverframe.serving.row import RowPlan
from leverframe.serving.runtimes.lightgbm import LightgbmRuntime
from leverframe.serving.runtimes.onnx import OnnxRuntime

Float = npt.NDArray[np.float64]

DATA_SUFFIXES = (".onnx", ".txt", ".json", ".md")
"""A bundle holds data only; a file that ends otherwise (pickle, joblib, a library) makes the whole bundle unwelcome."""
GOLDEN_ROWS_MAX = 1024


@dataclass(frozen=True)
class LoadedVersion:
    """A model version that may answer. ``raw`` is the signature without missing-value defaults (``serving.missing`` applies them)."""

    version: str
    bundle: str
    signature: Signature
    raw: Signature
    inputs: InputPlan
    plan: RowPlan
    score_row: Callable[[bytes], float]
    score: Callable[[Float], Float]
    runtimes: tuple[str, ...]
    answer_start: bytes
    answer_outputs: bytes
    output: str
    output_type: str
    example: dict[str, object]
    entity_fields: tuple[str, ...]
    score_alike: Callable[[Float], Float] | None = None
    """Scores many rows with the very bits ``score_row`` gives each of them; None when no runtime promises that.

    ONNX Runtime does not: the last bit of a row's score depends on how many rows it came with.
    """


def _golden_matrix(golden: Golden, signature: Signature) -> tuple[Float, Float]:
    names = tuple(column.name for column in signature.columns)
    if golden.columns != names or not golden.rows or len(golden.rows) != len(golden.expected) or len(golden.rows) > GOLDEN_ROWS_MAX:
        raise Integrity(
            "golden rows do not fit the signature",
            where=GOLDEN,
            expected=f"1 to {GOLDEN_ROWS_MAX} rows of {len(names)} columns in signature order",
            got=f"{len(golden.rows)} rows of {len(golden.columns)} columns",
        )
    matrix = np.array([[np.nan if v is None else v for v in row] for row in golden.rows], dtype=np.float64)
    return matrix, np.array([row[0] for row in golden.expected], dtype=np.float64)


def _check_golden(scores: Float, expected: Float, tolerance: float, runtime: str, version: str) -> None:
    difference = np.abs(scores - expected)
    if not (np.isfinite(difference).all() and difference.max() <= tolerance):
        row = int(np.argmax(np.where(np.isfinite(difference), difference, np.inf)))
        raise Integrity(
            f"the model does not give its golden answers on {runtime}",
            where=f"{version}, golden row {row}",
            expected=f"{expected[row]:.9g} ± {tolerance:g}",
            got=f"{scores[row]:.9g}",
            next_step="build the version again; this one is not routed",
        )


def load_version(endpoint: str, arm: Arm, files: Mapping[str, bytes]) -> LoadedVersion:
    """Open the files of a verified bundle and try every runtime on the golden rows.

    Parameters
    ----------
    endpoint: the name answers carry as ``model_name``.
    files: name to content; digests and signature have been checked already.

    Raises
    ------
    Integrity: a file that is not data, a model that does not fit its signature, or answers that differ from the golden ones.
    """
    foreign = sorted(name for name in files if not name.endswith(DATA_SUFFIXES))
    if foreign:
        raise Integrity("a bundle holds data only", where=arm.version, expected=", ".join(DATA_SUFFIXES), got=", ".join(foreign)[:200])
    missing = [name for name in (MODEL_ONNX, SIGNATURE, GOLDEN) if name not in files]
    if missing:
        raise Integrity("the bundle is not complete", where=arm.version, expected=", ".join(missing), got="nothing")
    try:
        signature = msgspec.json.decode(files[SIGNATURE], type=Signature)
        golden = msgspec.json.decode(files[GOLDEN], type=Golden)
    except msgspec.MsgspecError as error:
        raise Integrity("the bundle's records cannot be read", where=arm.version, got=str(error)[:200]) from error
    if len(signature.outputs) != 1:
        raise Integrity("a model gives one score a row", where=arm.version, expected="1 output", got=str(len(signature.outputs)))
    matrix, expected = _golden_matrix(golden, signature)
    columns = len(signature.columns)
    onnx = OnnxRuntime(files[MODEL_ONNX], columns)
    _check_golden(onnx.score(matrix), expected, golden.tolerance, onnx.name, arm.version)
    score_row: Callable[[bytes], float] = lambda row: float(onnx.score(np.frombuffer(row, dtype="<f8").reshape(1, columns))[0])  # noqa: E731
    runtimes: tuple[str, ...] = (onnx.name,)
    score_alike: Callable[[Float], Float] | None = None
    if MODEL_LIGHTGBM in files:
        native = LightgbmRuntime(files[MODEL_LIGHTGBM], columns)
        _check_golden(native.score(matrix), expected, golden.tolerance, native.name, arm.version)
        singly = np.array([native.score_row(row.tobytes()) for row in matrix])
        _check_golden(singly, expected, golden.tolerance, f"{native.name}, row by row", arm.version)
        score_row, score_alike, runtimes = native.score_row, native.score, (native.name, onnx.name)
    output = signature.outputs[0]
    return LoadedVersion(
        version=arm.version,
        bundle=arm.bundle,
        signature=signature,
        raw=_without_defaults(signature),
        inputs=InputPlan(signature),
        plan=RowPlan(signature),
        score_row=score_row,
        score=onnx.score,
        runtimes=runtimes,
        answer_start=oip.answer_start(endpoint, arm.version),
        answer_outputs=oip.answer_outputs(output.name, output.datatype),
        output=output.name,
        output_type=output.datatype,
        example=oip.example(signature),
        entity_fields=tuple(field.name for field in signature.request if field.entity),
        score_alike=score_alike,
    )


def _without_defaults(signature: Signature) -> Signature:
    changes: dict[str, Any] = {"on_missing": "nan", "default": None}
    return msgspec.structs.replace(signature, columns=tuple(msgspec.structs.replace(column, **changes) for column in signature.columns))
