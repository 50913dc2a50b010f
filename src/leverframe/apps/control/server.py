"""The control plane's HTTP server: granian in this process, one worker."""

import asyncio
import ipaddress
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from leverframe.apps.control.app import LOOPBACK_HOSTS, create_app
from leverframe.core.errors import Refused

if TYPE_CHECKING:
    from leverframe.apps.platform.platform import Platform

HEADER_READ_MS_MAX = 10_000
CONNECTIONS_MAX = 512


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to ``host``.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def check_exposure(host: str, *, tls: bool, allow_exposure: bool) -> None:
    """Refuse to talk to other machines in the clear.

    Raises
    ------
    Refused: ``host`` is not loopback, there is no certificate, and nobody said that something in front encrypts.
    """
    if not is_loopback(host) and not tls and not allow_exposure:
        raise Refused(
            "would listen beyond this machine without encryption",
            where=host,
            expected="a loopback address, a certificate and key, or --allow-exposure behind a TLS proxy",
            got="plain HTTP",
            next_step="lever up --host 127.0.0.1",
        )


def serve(
    platform: "Platform",
    host: str = "127.0.0.1",
    port: int = 8400,
    *,
    allowed_hosts: Iterable[str] = (),
    allow_exposure: bool = False,
    certificate: Path | None = None,
    key: Path | None = None,
    console: bool = True,
) -> None:
    """Serve until SIGINT or SIGTERM; requests under way are finished first.

    Parameters
    ----------
    allowed_hosts: further names a Host header may carry, besides loopback's and ``host``.
    allow_exposure: permit plain HTTP beyond loopback (TLS ends in front).
    certificate, key: PEM files for TLS here.

    Raises
    ------
    Refused: see :func:`check_exposure`.
    """
    tls = certificate is not None and key is not None
    check_exposure(host, tls=tls, allow_exposure=allow_exposure)
    app = create_app(platform, allowed_hosts=(*LOOPBACK_HOSTS, host, *allowed_hosts), console=console)
    asyncio.run(_run(app, host, port, certificate if tls else None, key if tls else None))


async def _run(app: FastAPI, host: str, port: int, certificate: Path | None, key: Path | None) -> None:
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        backpressure=CONNECTIONS_MAX,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_READ_MS_MAX),
        log_enabled=False,
        ssl_cert=certificate,
        ssl_key=key,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    await server.serve()
