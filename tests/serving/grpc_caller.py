"""Callers of the gRPC door: a gateway with one, and a client that sends any bytes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tests.conftest import free_port
from tests.serving.installation import TOKEN, Gateway, start_gateway

from leverframe.serving.doors.grpc import oip_pb2 as oip

SERVICE = "inference.GRPCInferenceService"
BEARER = (("authorization", f"Bearer {TOKEN}"),)


class Caller:
    """A channel without a schema: bytes out, bytes or a status in."""

    def __init__(self, port: int, options: Sequence[tuple[str, Any]] = ()) -> None:
        self.port = port
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_retries", 0), *options])
        self._methods: dict[str, Any] = {}

    def call(self, method: str, data: bytes, *, metadata: Any = BEARER, timeout: float = 10.0, **more: Any) -> Any:
        """The answer's bytes, or the ``RpcError``, whichever it is."""
        path = method if method.startswith("/") else f"/{SERVICE}/{method}"
        send = self._methods.setdefault(path, self.channel.unary_unary(path))
        try:
            return send(data, metadata=metadata, timeout=timeout, **more)
        except grpc.RpcError as error:
            return error

    def infer(self, request: oip.ModelInferRequest, **more: Any) -> Any:
        """The answer, or the error."""
        answer = self.call("ModelInfer", request.SerializeToString(), **more)
        return oip.ModelInferResponse.FromString(answer) if isinstance(answer, bytes) else answer


def rows_request(rows: Any, *, request_id: str = "", model: str = "m", typed: bool = False) -> oip.ModelInferRequest:
    """``rows`` as one tensor of float64."""
    table = np.asarray(rows, dtype="<f8")
    request = oip.ModelInferRequest(model_name=model, id=request_id)
    tensor = request.inputs.add(name="rows", datatype="FP64", shape=table.shape)
    if typed:
        tensor.contents.fp64_contents.extend(table.ravel().tolist())
    else:
        request.raw_input_contents.append(table.tobytes())
    return request


@contextmanager
def grpc_gateway(home: Path, *arguments: str) -> Iterator[tuple[Gateway, Caller]]:
    """A gateway with both doors, gone afterwards."""
    port = free_port()
    running = start_gateway(home, "--grpc-port", str(port), *arguments)
    caller = Caller(port)
    try:
        yield running, caller
    finally:
        caller.channel.close()
        running.process.kill()
        running.process.wait()
