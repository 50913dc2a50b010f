"""The bare limit: uvloop, httptools and a predictor's single-row call, nothing else. No auth, routing, log, metrics, limits or errors.

``python -m benchmarks.serving.limit <lightgbm | trees> <model.txt> <columns> <port>``:
LightGBM's own predictor, or our evaluation of its trees
"""

import asyncio
import struct
import sys
from pathlib import Path
from typing import Any

import httptools
import msgspec
import uvloop

from leverframe.serving.runtimes.lightgbm import LightgbmRuntime
from leverframe.serving.runtimes.trees import TreesRuntime

PREDICTORS = {"lightgbm": LightgbmRuntime, "trees": TreesRuntime}


class _Tensor(msgspec.Struct):
    data: list[float]


class _Document(msgspec.Struct):
    inputs: list[_Tensor]


class Limit(asyncio.Protocol):
    """Answers every request with the score of its one row."""

    def __init__(self, model: LightgbmRuntime | TreesRuntime, columns: int) -> None:
        self._score = model.score_row
        self._pack = struct.Struct(f"<{columns}d").pack
        self._decode = msgspec.json.Decoder(_Document).decode
        self._parser: Any = httptools.HttpRequestParser(self)
        self._body = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if not self._body:  # somebody looks whether the server is up
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return
        score = self._score(self._pack(*self._decode(self._body).inputs[0].data))
        self._body = b""
        answer = b'{"outputs":[{"name":"probability","datatype":"FP64","shape":[1],"data":[%b]}]}' % repr(score).encode()
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))


async def main(model: LightgbmRuntime | TreesRuntime, columns: int, port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(lambda: Limit(model, columns), "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    predictor, path, columns_given, port_given = sys.argv[1:]
    width = int(columns_given)
    uvloop.run(main(PREDICTORS[predictor](Path(path).read_bytes(), width), width, int(port_given)))
