"""ONNX Runtime: scores batches, on one thread a worker, or on CUDA where that was asked for. Owner of onnxruntime."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from leverframe.core.errors import Integrity, InvalidInput, Unavailable
from leverframe.serving.runtimes.onnx_scan import refuse_external_data

Float = npt.NDArray[np.float64]

_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64}
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_OPTIONS: Mapping[str, Mapping[str, str]] = {"cuda": {"use_tf32": "0"}}
"""TF32 keeps 10 bits of each factor: golden answers, and those of the workers without CUDA, would be missed."""
CPU = ("cpu",)


def choose_providers(asked: str, available: Sequence[str] | None = None) -> tuple[str, ...]:
    """What to run ONNX models on, the first choice first: ``cpu``, ``cuda`` or ``cuda,cpu``.

    >>> choose_providers("cuda, cpu", ("CUDAExecutionProvider", "CPUExecutionProvider"))
    ('cuda', 'cpu')

    Parameters
    ----------
    asked: names with commas between. Parts of a graph that CUDA has no kernel for run on the CPU in any case.
    available: ONNX Runtime's names of what this build has; None: ask it.

    Raises
    ------
    InvalidInput: another name, none, or one twice.    Unavailable: this build of ONNX Runtime has not got one of them.
    """
    names = tuple(name.strip() for name in asked.split(","))
    if len(set(names)) != len(names) or not set(names) <= set(_PROVIDERS):
        raise InvalidInput("not a list of providers", where="LEVER_ONNX_PROVIDERS", expected="cpu, cuda or cuda,cpu", got=asked[:60])
    there = onnxruntime.get_available_providers() if available is None else available
    if missing := [name for name in names if _PROVIDERS[name] not in there]:
        raise Unavailable(
            f"ONNX Runtime has no provider {', '.join(missing)} here",
            where="LEVER_ONNX_PROVIDERS",
            expected=asked[:60],
            got=f"providers available: {', '.join(there)}",
            next_step="install onnxruntime-gpu in place of onnxruntime, or ask for cpu",
        )
    return names


class OnnxRuntime:
    """A session over a model with one float matrix in and scores out.

    Asked for one score a row it takes the last float output, and of a probability for each of two classes the second. Asked for more it
    takes the last float output of that width, else all float outputs side by side.

    Parameters
    ----------
    model: bytes of ``model.onnx``.
    columns: width of the matrices it will be given.
    width: scores a row.
    providers: what :func:`choose_providers` gave.

    Raises
    ------
    Integrity: not a model, one that names other files, or one of another shape.    Unavailable: the first provider cannot be used.
    """

    def __init__(self, model: bytes, columns: int, width: int = 1, providers: Sequence[str] = CPU) -> None:
        refuse_external_data(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 4
        try:
            self._session: Any = onnxruntime.InferenceSession(
                model, options, providers=[(_PROVIDERS[name], dict(_OPTIONS.get(name, {}))) for name in providers]
            )
        except Exception as error:  # onnxruntime raises classes of its own C++ module, with no common base but Exception
            raise Integrity("ONNX Runtime refuses the model", where="model.onnx", got=type(error).__name__) from error
        self._check_in_use(providers[0])
        self.name = "onnx" if providers[0] == "cpu" else f"onnx-{providers[0]}"
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

    def _check_in_use(self, first: str) -> None:
        """Return when the session uses ``first``: where CUDA's libraries or device are missing, ONNX Runtime quietly takes the CPU."""
        in_use = self._session.get_providers()
        if in_use[0] != _PROVIDERS[first]:
            raise Unavailable(
                f"ONNX Runtime cannot use {first} here",
                where="LEVER_ONNX_PROVIDERS",
                expected=first,
                got=f"in use: {', '.join(in_use)}",
                next_step="check the driver and the CUDA libraries, or ask for cpu",
            )

    def score(self, matrix: Float) -> Float:
        """Scores ``[rows]`` of a matrix ``[rows, columns]``, or ``[rows, width]``."""
        results = self._session.run(self._outputs, {self._input: matrix.astype(self._dtype, copy=False)})
        if self._width == 1:
            result = results[0][:, -1] if results[0].ndim == 2 else results[0]
            return np.asarray(result, dtype=np.float64)
        return np.hstack([np.asarray(result, dtype=np.float64).reshape(len(matrix), -1) for result in results])
