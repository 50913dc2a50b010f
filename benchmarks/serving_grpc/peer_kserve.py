"""The peer: a KServe SDK model server with ONNX Runtime on one thread, its gRPC on. Runs in its own environment.

``python peer_kserve.py <model.onnx> <gRPC port> <HTTP port>``
"""

import logging
import sys

import numpy as np
import onnxruntime
from kserve import InferOutput, InferResponse, Model, ModelServer


class Classifier(Model):
    """Scores the first tensor of a request."""

    def __init__(self, path: str) -> None:
        super().__init__("m")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        """One score a row, as bytes: its quicker form."""
        matrix = payload.inputs[0].as_numpy().astype(np.float64, copy=False)
        scores = self.session.run(["probability"], {"input": matrix})[0]
        output = InferOutput(name="probability", datatype="FP64", shape=list(scores.shape))
        output.set_data_from_numpy(scores, binary_data=True)
        return InferResponse(response_id=payload.id or "0", model_name="m", infer_outputs=[output])


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    ports = {"grpc_port": int(sys.argv[2]), "http_port": int(sys.argv[3])}
    ModelServer(**ports, enable_grpc=True, workers=1, access_log_format="").start([Classifier(sys.argv[1])])
