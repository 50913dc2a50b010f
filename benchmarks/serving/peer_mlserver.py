"""The peer: MLServer with ONNX Runtime on one thread, access log and tracing off. Runs in its own environment.

``python peer_mlserver.py <model.onnx> <port> <parallel workers: 0 in the server's own process, 1 in a process of its own>``
"""

import asyncio
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.settings import ModelParameters
from mlserver.types import InferenceRequest, InferenceResponse

sys.path.insert(0, str(Path(__file__).parent))  # the worker process imports this module by name


class Classifier(MLModel):
    """Scores the first tensor of a request."""

    async def load(self) -> bool:
        """Open the session."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(self.settings.parameters.uri, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """One score a row."""
        matrix = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float64, copy=False)
        scores = self.session.run(["probability"], {"input": matrix})[0]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("probability", scores)])


async def main(path: str, port: int, workers: int) -> None:
    """Serve until killed."""
    settings = Settings(
        host="127.0.0.1", http_port=port, grpc_port=0, metrics_endpoint=None, parallel_workers=workers, debug=False,
        environments_dir=str(Path(path).parent / f"mlserver-{workers}"),
    )  # fmt: skip
    # The class is named by its module, so that a worker process finds it too.
    from peer_mlserver import Classifier as Named

    model = ModelSettings(name="m", implementation=Named, parameters=ModelParameters(uri=path))
    await MLServer(settings).start([model])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
