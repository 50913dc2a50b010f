"""A small pipelining HTTP/1.1 client for load: one connection, requests written together, answers read in order."""

import asyncio
from collections import deque
from typing import Any

import httptools

from leverframe.core.errors import Unavailable

ANSWER_TIMEOUT_S = 30.0
"""How long one answer may take before the replay gives up; far beyond the gateway's own deadline."""


class Answer:
    """One HTTP answer: status and body bytes."""

    __slots__ = ("body", "status")

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body


class _Connection(asyncio.Protocol):
    """Parses answers and resolves the oldest waiting request with each."""

    def __init__(self) -> None:
        self.waiting: deque[asyncio.Future[Answer]] = deque()
        self.transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """One piece of the body (httptools callback)."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The whole answer is here (httptools callback)."""
        answer = Answer(self._parser.get_status_code(), b"".join(self._body))
        self._body.clear()
        future = self.waiting.popleft()
        if not future.done():
            future.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        for future in self.waiting:
            if not future.done():
                future.set_exception(Unavailable("the gateway closed the connection", where="replay"))
        self.waiting.clear()


class LoadClient:
    """Sends POST requests to one server.

    Parameters
    ----------
    host, port: where the gateway listens.
    token: bearer token of a service that may predict.
    """

    def __init__(self, host: str, port: int, token: str) -> None:
        self._host = host
        self._port = port
        self._head = f"Host: {host}:{port}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: ".encode()
        self._connection: _Connection | None = None

    async def open(self) -> None:
        """Connect."""
        loop = asyncio.get_running_loop()
        _, self._connection = await loop.create_connection(_Connection, self._host, self._port)

    def send(self, path: str, body: bytes) -> "asyncio.Future[Answer]":
        """Write one POST; the future gives its answer."""
        connection = self._connection
        if connection is None or connection.transport is None or connection.transport.is_closing():
            raise Unavailable("not connected to the gateway", where=f"{self._host}:{self._port}")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        connection.waiting.append(future)
        connection.transport.write(b"POST " + path.encode() + b" HTTP/1.1\r\n" + self._head + str(len(body)).encode() + b"\r\n\r\n" + body)
        return future

    async def post(self, path: str, bodies: list[bytes]) -> list[Answer]:
        """POST all ``bodies`` to ``path`` at once and wait for every answer, in order."""
        futures = [self.send(path, body) for body in bodies]
        return await asyncio.wait_for(asyncio.gather(*futures), ANSWER_TIMEOUT_S)

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None and self._connection.transport is not None:
            self._connection.transport.close()
