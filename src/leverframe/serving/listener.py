"""The listening socket, its connections, the sweep of their deadlines, and stopping without losing an answer."""

import asyncio
import socket
import time
from collections.abc import Callable

from leverframe.core.errors import LeverframeError, Overloaded, Unavailable
from leverframe.serving.heads import Heads
from leverframe.serving.http import Connection
from leverframe.serving.message import Handler, HttpLimits, Request

SWEEP_S = 0.25
BACKLOG = 4096
DRAIN_S = 0.3
"""How long idle connections stay open at a stop, so that requests already on their way are answered with ``Connection: close``."""


class Listener:
    """Accepts connections and hands whole requests to ``handle``.

    Parameters
    ----------
    handle: answers a request, at once or later.
    admit: looks at the head of a large request; the refusal, or None.
    refused: told of every refusal made below the handler (for counting).
    """

    def __init__(
        self,
        handle: Handler,
        *,
        admit: Callable[[Request], LeverframeError | None],
        refused: Callable[[LeverframeError], None],
        limits: HttpLimits | None = None,
    ) -> None:
        self.limits = limits or HttpLimits()
        self.loop = asyncio.get_running_loop()
        self.handle = handle
        self.admit = admit
        self.refused = refused
        self.heads = Heads()
        self.stopping = False
        self.connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port (useful when ``port`` is 0).

        Raises
        ------
        Unavailable: the address cannot be had.
        """
        try:
            self._server = await self.loop.create_server(lambda: Connection(self), host, port, backlog=BACKLOG)
        except OSError as error:
            raise Unavailable(
                "cannot listen", where=f"{host}:{port}", got=error.strerror or type(error).__name__, next_step="choose a free port"
            ) from error
        self._sweeper = asyncio.create_task(self._sweep())
        sockets: tuple[socket.socket, ...] = self._server.sockets
        bound: int = sockets[0].getsockname()[1]
        return bound

    def opened(self, connection: Connection) -> LeverframeError | None:
        """A client connected; the refusal when there are too many."""
        self.connections.add(connection)
        if len(self.connections) > self.limits.connections_max:
            return Overloaded(
                "too many connections",
                where="gateway",
                expected=f"at most {self.limits.connections_max}",
                got="more",
                next_step="reuse connections, or ask again later",
            )
        return None

    def closed(self, connection: Connection) -> None:
        """A client is gone."""
        self.connections.discard(connection)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = self.loop.time()
            for connection in [c for c in self.connections if c.deadline < now]:
                connection.expire()

    async def stop(self) -> None:
        """Accept nothing new, finish what is under way within the grace, then close."""
        self.stopping = True
        if self._server is not None:
            self._server.close()
        started = time.monotonic()
        while self.connections and (elapsed := time.monotonic() - started) < self.limits.stop_grace_s:
            if elapsed > DRAIN_S:
                for connection in [c for c in self.connections if c.idle]:
                    connection.deadline = 0.0
                    connection.expire()
            await asyncio.sleep(0.02)
        for connection in list(self.connections):
            connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
