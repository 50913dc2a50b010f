"""A server that answers every request with the same bytes and looks at none: what it reaches is the load generator's own ceiling.

``python -m benchmarks.serving.null <port>``
"""

import asyncio
import sys
from typing import Any

import uvloop

_BODY = b'{"outputs":[{"name":"probability","datatype":"FP64","shape":[1],"data":[0.5]}]}'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)


class Null(asyncio.Protocol):
    """Answers whatever arrives."""

    def connection_made(self, transport: Any) -> None:
        self._write = transport.write

    def data_received(self, data: bytes) -> None:
        self._write(_ANSWER)


async def main(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Null, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
