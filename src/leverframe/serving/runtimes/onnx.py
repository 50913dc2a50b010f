"""ONNX Runtime: scores batches, on one thread a worker. Owner of onnxruntime."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from leverframe.core.errors import Integrity
from leverframe.serving.runtimes.onnx_scan import refuse_external_data

Float = npt.NDArray[np.float64]

_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64}


class OnnxRuntime:
    """A session over a model with one float matrix in and scores out.

    Asked for one score a row it takes the last float output, and of a probability for each of two classes the second. Asked for more it
    takes the last float output of that width, else all float outputs side by side.

    Parameters
    ----------
    model: bytes of ``model.onnx``.
    columns: width of the matrices it will be given.
    width: scores a row.

    Raises
    ------
    Integrity: not a model, one that names other files, or one of another shape.
    """

    name = "onnx"

    def __init__(self, model: bytes, columns: int, width: int = 1) -> None:
        refuse_external_data(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 4
        try:
            self._session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises classes of its own C++ module, with no common base but Exception
            raise Integrity("ONNX Runtime refuses the model", where="model.onnx", got=type(error).__name__) from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in _TYPES or inputs[0].shape[-1] not in (columns, None):
            raise Integrity(
                "the model does not fit its signature",
                where="model.onnx",
                expected=f"one float input [rows, {columns}]",
                got=", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)[:200],
            )
        self._input, self._dtype = inputs[0].name, _TYPES[inputs[0].type]
        scores = [output for output in self._session.get_outputs() if output.type in _TYPES]
        if not scores:
            raise Integrity("the model has no tensor of scores", where="model.onnx", expected="a float output (export without ZipMap)")
        fitting = [output for output in scores if len(output.shape) == 2 and output.shape[1] == width]
        self._width = width
        self._outputs = [scores[-1].name] if width == 1 else [fitting[-1].name] if fitting else [output.name for output in scores]

    def score(self, matrix: Float) -> Float:
        """Scores ``[rows]`` of a matrix ``[rows, columns]``, or ``[rows, width]``."""
        results = self._session.run(self._outputs, {self._input: matrix.astype(self._dtype, copy=False)})
        if self._width == 1:
            result = results[0][:, -1] if results[0].ndim == 2 else results[0]
            return np.asarray(result, dtype=np.float64)
        return np.hstack([np.asarray(result, dtype=np.float64).reshape(len(matrix), -1) for result in results])
