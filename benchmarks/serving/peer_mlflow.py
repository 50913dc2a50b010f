"""The peer: ``mlflow models serve`` with one worker and a pyfunc of ONNX Runtime on one thread. Runs in its own environment.

``python peer_mlflow.py <model.onnx> <port> <plain | signature>``: with a signature MLflow checks and casts named columns of a data frame.
"""

import logging
import os
import sys
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import onnxruntime
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

COLUMNS = 20


class Classifier(mlflow.pyfunc.PythonModel):
    """Scores rows."""

    def load_context(self, context) -> None:
        """Open the session."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(context.artifacts["model"], options, providers=["CPUExecutionProvider"])

    def predict(self, context, model_input, params=None):
        """One score a row."""
        return self.session.run(["probability"], {"input": np.asarray(model_input, dtype=np.float64)})[0].ravel()


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    path, port, kind = sys.argv[1:]
    folder = Path(path).parent / f"mlflow-{kind}"
    signature = None
    if kind == "signature":
        signature = ModelSignature(
            inputs=Schema([ColSpec("double", f"f{i}") for i in range(COLUMNS)]), outputs=Schema([ColSpec("double", "probability")])
        )
    if not folder.exists():
        mlflow.pyfunc.save_model(
            str(folder), python_model=Classifier(), artifacts={"model": path}, signature=signature, pip_requirements=["onnxruntime"]
        )
    tool = str(Path(sys.executable).parent / "mlflow")
    os.environ.update(
        UVICORN_ACCESS_LOG="0", UVICORN_LOG_LEVEL="error", PATH=f"{Path(tool).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    )
    options = ["-m", str(folder), "-h", "127.0.0.1", "-p", port, "--env-manager", "local", "-w", "1"]
    os.execv(tool, [tool, "models", "serve", *options])
