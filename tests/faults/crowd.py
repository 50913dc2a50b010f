"""Many clients in one process of their own: ``python -m tests.faults.crowd PORT KIND COUNT``.

Says ``ready`` once all are connected, and how many the server has closed for each line on standard input.

idle: send nothing.  drip: a byte of a head a second.  half: half a request, then nothing.  deaf: whole requests, answers never read.
"""

import json
import resource
import select
import socket
import sys
from functools import cache

HEAD = b"POST /v2/models/m/infer HTTP/1.1\r\nX-Slow: "
ROWS = 4000
DEAF_PAUSE_S = 0.2
"""Between two questions of a deaf client: its answers fill every buffer within seconds, and a few such clients are no flood of work."""
START = {"idle": b"", "drip": HEAD, "half": HEAD + b"x\r\nContent-Length: 100\r\n\r\n{", "deaf": b""}


@cache
def question() -> bytes:
    """A request with a long answer."""
    values = [0.5] * ROWS
    body = json.dumps({"inputs": [{"name": f"x{i}", "shape": [ROWS], "datatype": "FP64", "data": values} for i in range(4)]}).encode()
    return b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer test-token-1\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


def closed(connection: socket.socket) -> bool:
    """Whether the server has closed; what it said before is read away."""
    try:
        while data := connection.recv(65536):
            del data
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def send(connection: socket.socket, data: bytes) -> bytes:
    """What there is no room for."""
    try:
        return data[connection.send(data) :]
    except OSError:
        return data


def main() -> None:
    """Connect, misbehave, report."""
    port, kind, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = []
    for _ in range(count):
        connection = socket.socket()
        if kind == "deaf":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", port))
        connection.setblocking(False)
        send(connection, START[kind])
        crowd.append(connection)
    print("ready", flush=True)
    unsent = [b""] * count
    while True:
        if select.select([sys.stdin], [], [], DEAF_PAUSE_S if kind == "deaf" else 1.0)[0]:
            if not sys.stdin.readline():
                return
            print(sum(map(closed, crowd)), flush=True)
        elif kind == "drip":
            for connection in crowd:
                send(connection, b"x")
        elif kind == "deaf":
            unsent = [send(connection, rest or question()) for connection, rest in zip(crowd, unsent, strict=True)]


if __name__ == "__main__":
    main()
