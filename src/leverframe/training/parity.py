"""Does the exported model answer as the fitted one does? Asked of the real runtime before anything is packaged."""

from dataclasses import dataclass

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from leverframe.core.errors import Integrity
from leverframe.training.export import INPUT, OUTPUT, check_self_contained

Floats = NDArray[np.float64]

TOLERANCE = 1e-12
"""Both sides decide in float64, so only the order of additions differs: 2e-16 was measured; this leaves room for other processors."""


@dataclass(frozen=True)
class ParityReport:
    """Rows compared and the worst absolute difference of a probability."""

    rows: int
    worst: float
    tolerance: float


def score_onnx(model: bytes, matrix: Floats) -> Floats:
    """Probabilities ``[rows]`` of the exported model for float64 ``[rows, columns]``.

    Raises
    ------
    Integrity: the model is not self-contained, or the runtime will not load it.
    """
    check_self_contained(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return np.asarray(session.run([OUTPUT], {INPUT: np.ascontiguousarray(matrix)})[0], dtype=np.float64)
    except Exception as error:  # the runtime's exception classes live in a private module
        raise Integrity("the runtime refuses the exported model", where="model.onnx", got=type(error).__name__) from error


def parity(model: bytes, matrix: Floats, expected: Floats, tolerance: float = TOLERANCE) -> ParityReport:
    """Compare the exported model with the answers of the fitted one.

    Parameters
    ----------
    matrix: float64 ``[rows, columns]``, some rows with NaN.    expected: ``[rows]`` probabilities.    tolerance: absolute.

    Raises
    ------
    Integrity: a difference above the tolerance, or an answer that is not finite; such a model must not be packaged.
    """
    answers = score_onnx(model, matrix)
    difference = np.abs(answers - expected)
    if not np.isfinite(difference).all() or (len(difference) and difference.max() > tolerance):
        row = int(np.flatnonzero(~(difference <= tolerance))[0])
        raise Integrity(
            "the exported model answers differently from the fitted one",
            where=f"row {row}",
            expected=f"{expected[row]!r} within {tolerance:g}",
            got=repr(float(answers[row])),
            next_step="do not package this model; compare the trees of both forms",
        )
    return ParityReport(rows=len(expected), worst=float(difference.max(initial=0.0)), tolerance=tolerance)
