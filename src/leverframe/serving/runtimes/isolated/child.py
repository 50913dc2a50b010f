"""The process around one model: locks itself down, loads the model, and scores what it is sent until the gateway is gone.

Started as ``python -I -B child.py CONFIG`` with the Python of the model's own environment; knows nothing of leverframe. The loader is
MLflow's (``mlflow.pyfunc.load_model``), or ``_load_pyfunc`` of the model's loader module, which is MLflow's own protocol for the flavour
``python_function`` and needs nothing but the module.
"""

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

# These run in the model's environment, where leverframe is not installed: they are found beside this file.
_HERE = os.path.dirname(os.path.abspath(__file__))
_NOT_LOCKED, _GATEWAY_GONE, _BROKEN = 3, 0, 4
_NICE = 5
"""Once it serves, its neighbours on the machine come first; a start is quick for the sake of those who wait for it."""


def _beside(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"leverframe_{name}", os.path.join(_HERE, f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class BoundedOutput:
    """Standard output and error of the model: what no longer fits its log file is dropped."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, text: str) -> int:
        """Write what fits."""
        with suppress(OSError):
            os.write(self._fd, text.encode("utf-8", "replace"))
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""

    def isatty(self) -> bool:
        """No."""
        return False

    def fileno(self) -> int:
        """The log file."""
        return self._fd


def _load(config: dict[str, Any]) -> Callable[[Any], Any]:
    """The model's function from a table to its answers."""
    model = config["model"]
    if config["loader"] == "mlflow":
        loaded: Any = importlib.import_module("mlflow.pyfunc").load_model(model)
        return lambda table: loaded.predict(table)
    sys.path.insert(0, os.path.join(model, config["code"]) if config["code"] else model)
    module: Any = importlib.import_module(config["module"])
    loaded = module._load_pyfunc(os.path.join(model, config["data"]) if config["data"] else model)
    return lambda table: loaded.predict(table)


def _table(columns: dict[str, Any], config: dict[str, Any]) -> Any:
    """The columns as the model takes them: a DataFrame in the signature's types, or a dict of arrays."""
    import numpy as np

    for name, kind in config["types"].items():
        values = columns[name]
        # A column with missing values stays as it is: integers and truth values have no way to say "missing".
        if (kind != "text" and kind != "float64" and not np.isnan(values).any()) or kind == "float32":
            columns[name] = values.astype(kind)
    if config["frame"] == "columns":
        return columns
    return importlib.import_module("pandas").DataFrame(columns)


def _packed(answers: Any, rows: int, frames: Any) -> bytes:
    """Answers as float64 ``[rows, k]``."""
    import numpy as np

    scores = np.asarray(answers, dtype="<f8")
    if scores.ndim == 1:
        scores = scores[:, None]
    if scores.ndim != 2 or len(scores) != rows:
        raise ValueError(f"predict gave shape {np.shape(answers)} for {rows} rows")
    return bytes(frames.SHAPE.pack(*scores.shape)) + scores.tobytes()


def main() -> int:
    """Serve until the gateway is gone; returns the exit code."""
    config = json.loads(sys.argv[1])
    frames, lockdown, landlock, seccomp = (_beside(name) for name in ("frames", "lockdown", "landlock", "seccomp"))
    fd = config["fd"]
    try:
        locks = lockdown.lock(config, landlock, seccomp)
    except lockdown.NotLocked as reason:
        frames.write_frame(fd, frames.UNLOCKED, str(reason).encode()[: frames.FAULT_BYTES_MAX])
        return _NOT_LOCKED
    sys.stdout = sys.stderr = BoundedOutput(2)
    try:
        arrow = _beside("arrow")
        predict = _load(config)
    except BaseException as error:  # whatever it was, the gateway is told
        frames.write_frame(fd, frames.FAULT, _account(error, frames))
        return _BROKEN
    frames.write_frame(fd, frames.READY, json.dumps({"locks": locks}).encode())
    # A gateway that was itself started with less priority keeps it: only root may take some back.
    os.setpriority(os.PRIO_PROCESS, 0, max(_NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    while True:
        try:
            _, content = frames.read_frame(fd)
        except EOFError:
            return _GATEWAY_GONE
        try:
            columns = arrow.read_columns(content)
            rows = len(next(iter(columns.values())))
            frames.write_frame(fd, frames.SCORES, _packed(predict(_table(columns, config)), rows, frames))
        except Exception as error:  # the model's fault: this request fails, the next may not
            frames.write_frame(fd, frames.FAULT, _account(error, frames))


def _account(error: BaseException, frames: Any) -> bytes:
    return f"{type(error).__name__}: {error}".encode("utf-8", "replace")[: frames.FAULT_BYTES_MAX]


if __name__ == "__main__":
    code = main()
    # Whatever threads the model left behind: this ends them.
    os._exit(code)
