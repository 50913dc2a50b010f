"""The listening sockets' connections, the sweep of their deadlines, and stopping without losing an answer."""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence

from leverframe.core.errors import LeverframeError, Overloaded
from leverframe.serving.protocol.message import Handler, HttpLimits, Request
from leverframe.serving.wire.acceptor import Acceptor, open_sockets
from leverframe.serving.wire.heads import Heads
from leverframe.serving.wire.http import Connection

SWEEP_S = 0.25
DRAIN_S = 0.3
"""How long idle connections stay open at a stop, so that requests already on their way are answered with ``Connection: close``."""


class Listener:
    """Accepts connections and hands whole requests to ``handle``.

    Parameters
    ----------
    handle: answers a request, at once or later.
    admit: looks at the head of a large request; the refusal, or None.
    refused: told of every refusal made below the handler (for counting).
    carried: told how many connections there are whenever one comes or goes (workers of a fleet).
    """

    def __init__(
        self,
        handle: Handler,
        *,
        admit: Callable[[Request], LeverframeError | None],
        refused: Callable[[LeverframeError], None],
        limits: HttpLimits | None = None,
        carried: Callable[[int], None] | None = None,
    ) -> None:
        self.limits = limits or HttpLimits()
        self.loop = asyncio.get_running_loop()
        self.handle = handle
        self.admit = admit
        self.refused = refused
        self.heads = Heads()
        self.stopping = False
        self.connections: set[Connection] = set()
        self._carried = carried
        self._acceptors: list[Acceptor] = []
        self._hurry = False
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port (useful when ``port`` is 0).

        Raises
        ------
        Unavailable: the address cannot be had.
        """
        sockets = open_sockets(host, port)
        bound: int = sockets[0].getsockname()[1]
        self.start_on(sockets, None)
        return bound

    def start_on(self, sockets: Sequence[socket.socket], turn: Callable[[int], bool] | None) -> None:
        """Accept from ``sockets``, in turn with others (see :class:`leverframe.serving.wire.acceptor.Acceptor`)."""
        self._acceptors = [Acceptor(listening, lambda: Connection(self), turn) for listening in sockets]
        for acceptor in self._acceptors:
            acceptor.start()
        self._sweeper = asyncio.create_task(self._sweep())

    def opened(self, connection: Connection) -> LeverframeError | None:
        """A client connected; the refusal when there are too many."""
        self.connections.add(connection)
        if self._carried is not None:
            self._carried(len(self.connections))
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
        if self._carried is not None:
            self._carried(len(self.connections))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = self.loop.time()
            for connection in [c for c in self.connections if c.deadline < now]:
                connection.expire()

    async def stop(self) -> None:
        """Take what waits to be accepted and nothing new, finish what is under way within the grace, then close."""
        self.stopping = True
        for acceptor in self._acceptors:
            acceptor.stop()
        # What was just accepted becomes connections.
        await asyncio.sleep(0)
        started = time.monotonic()
        while self.connections and not self._hurry and (elapsed := time.monotonic() - started) < self.limits.stop_grace_s:
            if elapsed > DRAIN_S:
                for connection in [c for c in self.connections if c.idle]:
                    connection.deadline = 0.0
                    connection.expire()
            await asyncio.sleep(0.02)
        for connection in list(self.connections):
            connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()

    def hurry(self) -> None:
        """Make a stop end now, whatever is under way."""
        self._hurry = True
