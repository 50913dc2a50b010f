"""The peer: LitServe with ONNX Runtime on one thread, one worker, its fast queue. Runs in its own environment.

``python peer_litserve.py <model.onnx> <port>``
"""

import sys

import litserve
import numpy as np
import onnxruntime


class Classifier(litserve.LitAPI):
    """Scores rows."""

    def setup(self, device: str) -> None:
        """Open the session, in the worker's process."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])

    def decode_request(self, request: dict) -> np.ndarray:
        """The rows as a matrix."""
        return np.array(request["rows"], dtype=np.float64)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """One score a row."""
        return self.session.run(["probability"], {"input": x})[0].ravel()

    def encode_response(self, output: np.ndarray) -> dict:
        """The answer."""
        return {"scores": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Classifier(), accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), num_api_servers=1, log_level="error", access_log=False, generate_client_file=False)
