"""The peer: a BentoML service with ONNX Runtime on one thread, one worker, access log, metrics and traces off. Runs in its own environment.

``python peer_bentoml.py <model.onnx> <port>``
"""

import os
import sys
from pathlib import Path

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=1, logging={"access": {"enabled": False}}, metrics={"enabled": False}, tracing={"sample_rate": 0.0})
class Classifier:
    """Scores rows."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["PEER_MODEL"], options, providers=["CPUExecutionProvider"])

    @bentoml.api
    async def predict(self, rows: np.ndarray) -> np.ndarray:
        """One score a row; on the event loop, as handing so short a call to a thread costs more than it takes."""
        return self.session.run(["probability"], {"input": np.asarray(rows, dtype=np.float64)})[0].ravel()


if __name__ == "__main__":
    os.environ.update(PEER_MODEL=sys.argv[1], BENTOML_DO_NOT_TRACK="true", BENTOML_HOME=str(Path(sys.argv[1]).parent / "bentoml"))
    os.chdir(Path(__file__).parent)
    bento = str(Path(sys.executable).parent / "bentoml")
    os.execv(bento, [bento, "serve", "peer_bentoml:Classifier", "--host", "127.0.0.1", "--port", sys.argv[2], "-q"])
