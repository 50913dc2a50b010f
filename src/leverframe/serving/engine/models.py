"""A loaded model version: signature, runtimes and everything compiled from them, checked on its golden rows before anyone may ask it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from leverframe.core.errors import Integrity, Refused, Unavailable
from leverframe.core.model import (
    GOLDEN,
    ISOLATED,
    MODEL_LIGHTGBM,
    MODEL_ONNX,
    MODEL_XGBOOST_JSON,
    MODEL_XGBOOST_UBJ,
    PYFUNC,
    SIGNATURE,
    Golden,
)
from leverframe.core.route import Arm
from leverframe.core.schema import Signature
from leverframe.serving.engine.cache import AnswerCache
from leverframe.serving.engine.lane import Lane
from leverframe.serving.protocol import oip
from leverframe.serving.protocol.contract import RowContract
from leverframe.serving.protocol.inputs import InputPlan
from leverframe.serving.protocol.outputs import OutputPlan
from leverframe.serving.protocol.row import RowPlan
from leverframe.serving.runtimes.lightgbm import LightgbmRuntime
from leverframe.serving.runtimes.onnx import CPU, OnnxRuntime
from leverframe.serving.runtimes.runtime import RemoteRuntime, Runtime
from leverframe.serving.runtimes.trees import TreesRuntime
from leverframe.serving.runtimes.trees_text import Declined
from leverframe.serving.runtimes.xgboost import XgboostRuntime

Float = npt.NDArray[np.float64]

DATA_SUFFIXES = (".onnx", ".txt", ".json", ".md", ".ubj")
"""A bundle holds data only; a file that ends otherwise (pickle, joblib, a library) makes the whole bundle unwelcome.

What lies under ``pyfunc/`` of a bundle with ``isolated.json`` is the exception: only a locked-down child opens it.
"""
GOLDEN_ROWS_MAX = 1024
INLINE_S_MAX = 0.0005
"""A model whose single row takes longer than this, measured as it is loaded, gets a lane of its own beside the event loop."""
UNSEEN_INLINE_S_MAX = 0.00005
"""The same for rows that are scored for the log alone: whoever asks while one is scored should not notice."""


OpenIsolated = Callable[[str, Mapping[str, bytes], Signature], RemoteRuntime]
"""Starts the model of a bundle with ``isolated.json``, from its name, files and signature."""


@dataclass(frozen=True)
class LoadedVersion:
    """A model version that may answer. ``raw`` is the signature without missing-value defaults (``serving.missing`` applies them)."""

    version: str
    bundle: str
    signature: Signature
    raw: Signature
    inputs: InputPlan
    contract: RowContract
    plan: RowPlan
    score_row: Callable[[bytes], float]
    """The first score of one row, given as its columns in little-endian float64."""
    score: Callable[[Float], Float]
    runtimes: tuple[str, ...]
    outputs: OutputPlan
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
    score_columns: Callable[[Sequence[Float]], Float] | None = None
    """As ``score_alike``, of columns that lie apart; None when the runtime wants a matrix."""
    lane: Lane | None = None
    """Where a costly model is scored; None: at once, on the event loop."""
    unseen_lane: Lane | None = None
    """Where it is scored for the log alone; None: on the event loop, when that has nothing else to do."""
    cache: AnswerCache | None = None
    """Answers kept, of a costly model that declares itself deterministic."""
    remote: RemoteRuntime | None = None
    """The process of a model that has one of its own."""

    def close(self) -> None:
        """Let go of what the version holds beside memory."""
        if self.unseen_lane is not None:
            self.unseen_lane.close()
        if self.remote is not None:
            self.remote.stop()


def _golden_matrix(golden: Golden, signature: Signature, width: int) -> tuple[Float, Float]:
    """Rows ``[n, columns]`` and their expected scores ``[n, width]``."""
    names = tuple(column.name for column in signature.columns)
    fits = golden.columns == names and 1 <= len(golden.rows) == len(golden.expected) <= GOLDEN_ROWS_MAX
    if not fits or any(len(row) != width for row in golden.expected):
        raise Integrity(
            "golden rows do not fit the signature",
            where=GOLDEN,
            expected=f"1 to {GOLDEN_ROWS_MAX} rows of {len(names)} columns in signature order, {width} scores each",
            got=f"{len(golden.rows)} rows of {len(golden.columns)} columns",
        )
    matrix = np.array([[np.nan if v is None else v for v in row] for row in golden.rows], dtype=np.float64)
    return matrix, np.array(golden.expected, dtype=np.float64)


def _check_golden(scores: Float, expected: Float, tolerance: float, runtime: str, version: str) -> None:
    if scores.size != expected.size:
        raise Integrity(
            f"the model gives another number of scores on {runtime}", where=version, expected=str(expected.shape), got=str(scores.shape)
        )
    difference = np.abs(scores.reshape(expected.shape) - expected)
    if not (np.isfinite(difference).all() and difference.max() <= tolerance):
        row = int(np.argmax(np.where(np.isfinite(difference), difference, np.inf).max(axis=1)))
        raise Integrity(
            f"the model does not give its golden answers on {runtime}",
            where=f"{version}, golden row {row}",
            expected=f"{expected[row, 0]:.9g} ± {tolerance:g}",
            got=f"{scores.reshape(expected.shape)[row, 0]:.9g}",
            next_step="build the bundle again; the running version stays",
        )


def load_version(
    endpoint: str,
    arm: Arm,
    files: Mapping[str, bytes],
    open_isolated: OpenIsolated | None = None,
    onnx_providers: Sequence[str] = CPU,
) -> LoadedVersion:
    """Load the version of ``arm`` from its bundle's verified ``files``, try it on its golden rows and warm it up.

    Parameters
    ----------
    open_isolated: starts models that run in a process of their own; None: this process allows none.
    onnx_providers: what ONNX models run on, as ``choose_providers`` gave it.

    Raises
    ------
    Integrity: a file that is not data, a model that does not fit its signature, or answers that differ from the golden ones.
    Refused: a model that needs a process of its own, and none is allowed.    Unavailable: its process or provider is not ready, or not yet.
    """
    isolated = ISOLATED in files
    foreign = sorted(name for name in files if not (name.endswith(DATA_SUFFIXES) or (isolated and name.startswith(PYFUNC))))
    if foreign:
        raise Integrity("a bundle holds data only", where=arm.version, expected=", ".join(DATA_SUFFIXES), got=", ".join(foreign)[:200])
    signature, golden = _records(arm.version, files)
    outputs = OutputPlan(signature)
    matrix, expected = _golden_matrix(golden, signature, outputs.width)
    if isolated:
        remote = _remote(endpoint, arm, files, signature, open_isolated)
        try:
            _check_golden(remote.score_now(matrix), expected, golden.tolerance, remote.name, arm.version)
        except Unavailable as error:
            remote.stop()
            said = error.sentence()[:200]
            raise Integrity("the model fails on its golden rows", where=arm.version, expected="answers", got=said) from error
        except BaseException:
            remote.stop()
            raise
        return _remote_version(endpoint, arm, signature, outputs, remote)
    engines = _engines(files, len(signature.columns), outputs.width, onnx_providers)
    for engine in engines:
        _check_golden(engine.score(matrix), expected, golden.tolerance, engine.name, arm.version)
    batch, row = engines[-1], engines[0]
    score_row, score_alike, score_columns = _singly(row, len(signature.columns)), None, None
    if isinstance(row, LightgbmRuntime):
        score_row, score_alike = row.score_row, row.score
        if (trees := _trees(files[MODEL_LIGHTGBM], row, matrix)) is not None:
            engines.insert(0, trees)
            batch, row, score_row, score_alike, score_columns = trees, trees, trees.score_row, trees.score, trees.score_columns
    elif isinstance(row, XgboostRuntime):
        score_row = row.score_row
    row_s = _row_seconds(score_row, matrix)
    slow = row_s > INLINE_S_MAX
    if not slow:  # a costly model is asked for matrices only
        first = np.array([score_row(each.tobytes()) for each in matrix])
        _check_golden(first[:, None], expected[:, :1], golden.tolerance, f"{row.name}, row by row", arm.version)
    lane = Lane(f"{endpoint} {arm.version}", batch.score) if row_s > UNSEEN_INLINE_S_MAX else None
    return _version(
        endpoint,
        arm,
        signature,
        outputs,
        score_row=score_row,
        score=batch.score,
        runtimes=tuple(engine.name for engine in engines),
        score_alike=score_alike,
        score_columns=score_columns,
        lane=lane if slow else None,
        unseen_lane=lane,
    )


def _version(endpoint: str, arm: Arm, signature: Signature, outputs: OutputPlan, *, lane: Lane | None, **engine: Any) -> LoadedVersion:
    """A loaded version: what follows from its signature, and its ``engine``."""
    output = signature.outputs[0]
    return LoadedVersion(
        version=arm.version,
        bundle=arm.bundle,
        signature=signature,
        raw=_without_defaults(signature),
        inputs=InputPlan(signature),
        contract=RowContract(signature),
        plan=RowPlan(signature),
        outputs=outputs,
        answer_start=oip.answer_start(endpoint, arm.version),
        answer_outputs=oip.answer_outputs(output.name, output.datatype),
        output=output.name,
        output_type=output.datatype,
        example=oip.example(signature),
        entity_fields=tuple(field.name for field in signature.request if field.entity),
        lane=lane,
        cache=AnswerCache() if lane is not None and signature.deterministic else None,
        **engine,
    )


def _records(version: str, files: Mapping[str, bytes]) -> tuple[Signature, Golden]:
    missing = [name for name in (SIGNATURE, GOLDEN) if name not in files]
    if missing:
        raise Integrity("the bundle is not complete", where=version, expected=", ".join(missing), got="nothing")
    try:
        return msgspec.json.decode(files[SIGNATURE], type=Signature), msgspec.json.decode(files[GOLDEN], type=Golden)
    except msgspec.MsgspecError as error:
        raise Integrity("the bundle's records cannot be read", where=version, got=str(error)[:200]) from error


def _remote(endpoint: str, arm: Arm, files: Mapping[str, bytes], signature: Signature, open_isolated: OpenIsolated | None) -> RemoteRuntime:
    if open_isolated is None:
        raise Refused(
            "this model runs foreign code in a process of its own, and this process does not allow that",
            where=arm.version,
            expected="isolation allowed by the operator",
            got="not allowed",
            next_step="start the gateway with --allow-isolated (LEVER_ALLOW_ISOLATED=1), or release a version in a data-only format",
        )
    return open_isolated(f"{endpoint} {arm.version}", files, signature)


def _remote_version(endpoint: str, arm: Arm, signature: Signature, outputs: OutputPlan, remote: RemoteRuntime) -> LoadedVersion:
    """A version in a process of its own: always asked through a lane, a batch at a time."""
    lane = Lane(f"{endpoint} {arm.version}", later=remote.score)
    return _version(
        endpoint,
        arm,
        signature,
        outputs,
        score_row=lambda row: float(remote.score_now(np.frombuffer(row, dtype="<f8").reshape(1, len(signature.columns))).flat[0]),
        score=remote.score_now,
        runtimes=(remote.name,),
        lane=lane,
        unseen_lane=lane,
        remote=remote,
    )


def _engines(files: Mapping[str, bytes], columns: int, width: int, onnx_providers: Sequence[str]) -> list[Runtime]:
    """The bundle's model on every engine it has a file for: the quickest at one row first, the quickest at many last."""
    engines: list[Runtime] = []
    if MODEL_LIGHTGBM in files:
        engines.append(LightgbmRuntime(files[MODEL_LIGHTGBM], columns))
    for name in (MODEL_XGBOOST_UBJ, MODEL_XGBOOST_JSON):
        if name in files:
            engines.append(XgboostRuntime(files[name], columns, width))
    if MODEL_ONNX in files:
        engines.append(OnnxRuntime(files[MODEL_ONNX], columns, width, onnx_providers))
    if not engines:
        raise Integrity("the bundle is not complete", where="model", expected=f"{MODEL_ONNX} or another model file", got="none")
    return engines


def _trees(text: bytes, native: LightgbmRuntime, matrix: Float) -> TreesRuntime | None:
    """The quick evaluator of the same trees; None when it does not cover the model, or differs from LightGBM in a single bit."""
    try:
        trees = TreesRuntime(text, matrix.shape[1])
    except Declined:
        return None
    same = trees.score(matrix).tobytes() == native.score(matrix).tobytes()
    return trees if same and all(trees.score_row(row.tobytes()) == native.score_row(row.tobytes()) for row in matrix) else None


def _singly(engine: Runtime, columns: int) -> Callable[[bytes], float]:
    """The first score of one row on an engine that only knows matrices."""
    return lambda row: float(engine.score(np.frombuffer(row, dtype="<f8").reshape(1, columns)).flat[0])


def _row_seconds(score_row: Callable[[bytes], float], matrix: Float) -> float:
    """What one row costs: the median of a few."""
    taken = []
    for row in matrix[:5]:
        data, started = row.tobytes(), perf_counter()
        score_row(data)
        taken.append(perf_counter() - started)
    return sorted(taken)[len(taken) // 2]


def _without_defaults(signature: Signature) -> Signature:
    changes: dict[str, Any] = {"on_missing": "nan", "default": None}
    return msgspec.structs.replace(signature, columns=tuple(msgspec.structs.replace(column, **changes) for column in signature.columns))
