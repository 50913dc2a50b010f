"""The peer: PyTriton (the Triton server with a Python callable), dynamic batching, ONNX Runtime on one thread. Runs in its own environment.

``python peer_pytriton.py <model.onnx> <port>``
"""

import logging
import os
import sys
import sysconfig
from pathlib import Path

import numpy as np
import onnxruntime
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

COLUMNS = 20
ROWS_MAX = 512


def scorer(path: str):
    """A callable that scores a batch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    @batch
    def score(rows: np.ndarray) -> dict[str, np.ndarray]:
        return {"probability": session.run(["probability"], {"input": rows})[0].reshape(-1, 1)}

    return score


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    path, port = sys.argv[1], int(sys.argv[2])
    folder = Path(path).parent / f"pytriton-{os.getpid()}"
    folder.mkdir()
    # Triton embeds Python: the very one of this environment, not another of the same minor version that the system may have.
    os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, (sysconfig.get_config_var("LIBDIR"), os.environ.get("LD_LIBRARY_PATH"))))
    config = TritonConfig(
        http_address="127.0.0.1", http_port=port, allow_grpc=False, allow_metrics=False, log_verbose=0, log_file=folder / "triton.log"
    )
    with Triton(config=config, workspace=str(folder / "workspace")) as triton:
        triton.bind(
            model_name="m",
            infer_func=scorer(path),
            inputs=[Tensor(name="rows", dtype=np.float64, shape=(COLUMNS,))],
            outputs=[Tensor(name="probability", dtype=np.float64, shape=(1,))],
            config=ModelConfig(max_batch_size=ROWS_MAX, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
        )
        triton.serve()
