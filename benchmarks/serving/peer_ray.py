"""The peer: Ray Serve, one replica behind its HAProxy ingress, with the switches its documentation lists for throughput. Runs in its own
environment.

Source: Ray's documentation, "Enable High Throughput on Ray Serve".

``python peer_ray.py <model.onnx> <port>``
"""

import os
import sys
import time
from pathlib import Path

os.environ.update(RAY_SERVE_THROUGHPUT_OPTIMIZED="1", RAY_SERVE_ENABLE_HA_PROXY="1", RAY_USAGE_STATS_ENABLED="0", RAY_DEDUP_LOGS="0")

import numpy as np
import onnxruntime
import ray
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig
from starlette.requests import Request
from starlette.responses import JSONResponse


@serve.deployment(num_replicas=1, max_ongoing_requests=128, ray_actor_options={"num_cpus": 0})
class Classifier:
    """Scores rows."""

    def __init__(self, path: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    async def __call__(self, request: Request) -> JSONResponse:
        """One score a row."""
        rows = np.array((await request.json())["rows"], dtype=np.float64)
        return JSONResponse({"scores": self.session.run(["probability"], {"input": rows})[0].ravel().tolist()})


if __name__ == "__main__":
    # Ray's sockets lie deep in its folder, and their paths must be short.
    folder = str(Path(sys.argv[1]).parents[1] / "r")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR", _temp_dir=folder)
    quiet = LoggingConfig(log_level="ERROR", enable_access_log=False)
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=int(sys.argv[2])), logging_config=quiet)
    serve.run(Classifier.options(logging_config=quiet).bind(sys.argv[1]))
    while True:
        time.sleep(3600)
