"""A headless Chromium and a control plane to point it at, both real processes on loopback."""

import asyncio
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from starlette.types import ASGIApp, Receive, Scope, Send

from leverframe.apps.console.session import COOKIE
from leverframe.apps.control.app import create_app
from leverframe.apps.platform.platform import Platform

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--timeout=2500",
)

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH (Debian: apt-get install chromium)")


class SignedIn:
    """Adds a session cookie to each request: a headless browser cannot be handed one on its command line."""

    def __init__(self, app: ASGIApp, session: str) -> None:
        self._app, self._session = app, session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["headers"] = [*scope["headers"], (b"cookie", f"{COOKIE}={self._session}".encode())]
        await self._app(scope, receive, send)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(platform: Platform, token: str = "") -> Iterator[str]:
    """The control application on granian in a thread of this process; signed in with ``token`` when one is given."""
    app = create_app(platform)
    target: ASGIApp = SignedIn(app, app.state.console.sessions.open(token).id) if token else app
    port = free_port()
    started: list[tuple[asyncio.AbstractEventLoop, Server]] = []

    async def main() -> None:
        server = Server(
            target, address="127.0.0.1", port=port, interface=Interfaces.ASGI, http=HTTPModes.http1, websockets=False, log_enabled=False
        )
        started.append((asyncio.get_running_loop(), server))
        await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            urllib.request.urlopen(f"{address}/api/v1/health", timeout=1).close()
            break
        except OSError:
            threading.Event().wait(0.02)
    try:
        yield address
    finally:
        loop, server = started[0]
        loop.call_soon_threadsafe(server.stop)
        thread.join(10)


def screenshot(url: str, to: Path, *, width: int = 1280, height: int = 900, dark: bool = False, profile: Path) -> None:
    """A picture of ``url``."""
    assert CHROMIUM is not None
    flags = [*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}", f"--screenshot={to}"]
    flags += ["--blink-settings=preferredColorScheme=0"] if dark else []
    subprocess.run([CHROMIUM, *flags, url], check=True, capture_output=True, timeout=60)


def dom(url: str, *, profile: Path) -> tuple[str, str]:
    """The page after its scripts ran, and what the browser complained about."""
    assert CHROMIUM is not None
    flags = [*FLAGS, f"--user-data-dir={profile}", "--enable-logging=stderr", "--v=0", "--dump-dom"]
    done = subprocess.run([CHROMIUM, *flags, url], check=True, capture_output=True, timeout=60, text=True)
    return done.stdout, done.stderr


if __name__ == "__main__":
    from tests.apps.fake_platform import EmptyPlatform, FakePlatform
    from tests.apps.fake_records import digest

    folder = Path(sys.argv[1])
    pages = {
        "overview": "/",
        "version": "/versions/flight-delay@v2",
        "release": "/releases/rel-0003",
        "endpoint": "/endpoints/prod/flight-delay",
        "monitor": "/monitor/flight-delay",
        "audit": "/audit?verify=1",
        "plan": f"/plans/{digest('plan3')}",
        "data": "/data/weather",
    }
    with served(FakePlatform(), "admin-token") as address:
        for name, path in pages.items():
            screenshot(address + path, folder / f"{name}.png", height=1300, profile=folder / "profile")
        screenshot(address, folder / "dark.png", height=1300, dark=True, profile=folder / "profile")
        screenshot(address, folder / "narrow.png", width=420, height=1300, profile=folder / "profile")
    with served(EmptyPlatform(), "admin-token") as address:
        screenshot(address, folder / "empty.png", profile=folder / "profile")
    with served(EmptyPlatform()) as address:
        screenshot(address, folder / "login.png", profile=folder / "profile")
