"""A worker's place: alone on a port, or in a fleet whose parent listens."""

import asyncio
import resource
import signal
import socket
from contextlib import suppress

from leverframe.apps.gateway.settings import GatewaySettings
from leverframe.serving.telemetry.counts import Telemetry
from leverframe.serving.telemetry.fleet import Fleet
from leverframe.serving.wire.listener import Listener


def raise_file_limit() -> None:
    """Let this process hold as many connections as the system permits it to."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def join_fleet(settings: GatewaySettings, telemetry: Telemetry) -> Fleet | None:
    """The fleet this worker is of, if it is; whoever was this worker before has its counts carried on."""
    if settings.fleet is None:
        return None
    fleet = Fleet(settings.home / "gateway", settings.fleet.workers, settings.worker)
    telemetry.add(fleet.predecessor().telemetry)
    return fleet


async def listen(listener: Listener, settings: GatewaySettings, fleet: Fleet | None) -> int:
    """Accept connections; returns the port.

    Raises
    ------
    Unavailable: the address cannot be had.
    """
    if settings.fleet is None or fleet is None:
        return await listener.start(settings.host, settings.port)
    sockets = [socket.socket(fileno=descriptor) for descriptor in settings.fleet.listen_fds]
    for inherited in sockets:
        inherited.setblocking(False)
    listener.start_on(sockets, fleet.turn)
    bound: int = sockets[0].getsockname()[1]
    return bound


def stop_signals(listener: Listener) -> asyncio.Event:
    """Set at the first SIGTERM or SIGINT; the second ends a stop that is under way at once."""
    stop = asyncio.Event()

    def asked() -> None:
        if stop.is_set():
            listener.hurry()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked)
    return stop
