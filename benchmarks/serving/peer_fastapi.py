"""The peer: what a good engineer writes in an afternoon. FastAPI, an async route, pydantic in and out, ONNX Runtime on one thread.

Uvicorn on uvloop and httptools without an access log; no authentication, routing, log of predictions, metrics or limits. Runs in its own
environment.

``python peer_fastapi.py <model.onnx> <port>``
"""

import sys

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Tensor(BaseModel):
    """Rows, flattened."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float]


class Ask(BaseModel):
    """A request."""

    inputs: list[Tensor]


class Answer(BaseModel):
    """An answer."""

    model_name: str
    outputs: list[Tensor]


def app_of(path: str) -> FastAPI:
    """The application around one session."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    app = FastAPI(openapi_url=None)

    @app.post("/v2/models/m/infer")
    async def infer(ask: Ask) -> Answer:
        tensor = ask.inputs[0]
        scores = session.run(["probability"], {"input": np.array(tensor.data).reshape(tensor.shape)})[0]
        return Answer(
            model_name="m", outputs=[Tensor(name="probability", shape=list(scores.shape), datatype="FP64", data=scores.ravel().tolist())]
        )

    return app


if __name__ == "__main__":
    uvicorn.run(
        app_of(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), loop="uvloop", http="httptools", access_log=False, log_level="error"
    )
