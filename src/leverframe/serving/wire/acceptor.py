"""Accepting connections from a listening socket, which several workers may share: each takes its turn, so that they carry equally many.

Workers that inherit one listening socket are all woken by a new connection. The one that carries fewest takes it; the others leave it for
``DEFER_S`` and take it then, if it still waits, so that a busy or dead worker holds nobody up. With SO_REUSEPORT the kernel would deal
connections out by hash: unevenly when there are few, and to a hung worker as to any other.
"""

import asyncio
import errno
import socket
from collections.abc import Callable

from leverframe.core.errors import Unavailable

BACKLOG = 4096
"""Connections the kernel keeps waiting to be accepted; further ones are not answered until there is room."""
DEFER_S = 0.001
"""How long a connection is left to the workers whose turn it is."""
ACCEPTS_AT_ONCE = 64
"""Connections taken in one go by a worker that shares with nobody; then requests get their turn."""
EXHAUSTED_S = 0.5
"""How long nothing is accepted after the process ran out of file descriptors or memory; what is connected goes on."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def open_sockets(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address ``host`` stands for, all on one port.

    Raises
    ------
    Unavailable: the address cannot be had.
    """
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            listening = socket.socket(family, kind, protocol)
            sockets.append(listening)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # With port 0 the first address chooses, and the others follow.
            chosen = port or sockets[0].getsockname()[1]
            listening.bind((address[0], chosen, *address[2:]))
            listening.listen(BACKLOG)
            listening.setblocking(False)
    except OSError as error:
        for listening in sockets:
            listening.close()
        raise Unavailable(
            "cannot listen", where=f"{host}:{port}", got=error.strerror or type(error).__name__, next_step="choose a free port"
        ) from error
    return sockets


class Acceptor:
    """Takes connections from one listening socket.

    Parameters
    ----------
    make: gives the protocol of a new connection.
    turn: whether this worker carries no more connections than any other, given how many it has accepted that are not yet made;
        None when it shares the socket with nobody.
    """

    def __init__(self, listening: socket.socket, make: Callable[[], asyncio.Protocol], turn: Callable[[int], bool] | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._make = make
        self._turn = turn
        self._making: set[asyncio.Task[object]] = set()
        self._later: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to accept."""
        self._loop.add_reader(self._listening.fileno(), self._ready)

    def stop(self) -> None:
        """Take what waits already, then accept nothing more."""
        if self._listening.fileno() < 0:
            return
        self._pause()
        if self._later is not None:
            self._later.cancel()
        for _ in range(BACKLOG):
            if not self._accept():
                break
        self._listening.close()

    def _pause(self) -> None:
        self._loop.remove_reader(self._listening.fileno())

    def _ready(self) -> None:
        if self._turn is None:
            for _ in range(ACCEPTS_AT_ONCE):
                if not self._accept():
                    return
        elif self._turn(len(self._making)):
            self._accept()
        else:
            self._resume_after(DEFER_S, accept=True)

    def _resume_after(self, seconds: float, *, accept: bool) -> None:
        self._pause()
        self._later = self._loop.call_later(seconds, self._resume, accept)

    def _resume(self, accept: bool) -> None:
        self._later = None
        self.start()
        if accept:
            self._accept()

    def _accept(self) -> bool:
        """Take one connection; False when none waits."""
        try:
            accepted, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            if error.errno in _EXHAUSTED and self._later is None:
                self._resume_after(EXHAUSTED_S, accept=False)
            return False
        accepted.setblocking(False)
        making: asyncio.Task[object] = self._loop.create_task(self._loop.connect_accepted_socket(self._make, accepted))
        self._making.add(making)
        making.add_done_callback(self._made)
        return True

    def _made(self, making: "asyncio.Task[object]") -> None:
        self._making.discard(making)
        # A client that is gone before its connection is made is nobody's fault; asking keeps the loop from reporting it.
        if not making.cancelled():
            making.exception()
