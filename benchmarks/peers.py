"""Throw-away environments for the tools we compare with, so that nothing of theirs is ever in ours."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PEERS = Path(__file__).parent / ".peers"
INSTALL_SECONDS_MAX = 600
INSTALLS_AT_ONCE_MAX = 3
"""Further peers wait: installing is bound by network and disk, and three keep both busy."""
REASON_CHARS_MAX = 160
"""Of what a tool says when it fails, this much stands in the report."""


class PeerUnavailable(Exception):
    """A peer could not be installed or started; the message says why."""


def peer_python(name: str, requirements: tuple[str, ...]) -> Path:
    """The Python of an environment that holds ``requirements``, made at the first call and kept for the next.

    Raises
    ------
    PeerUnavailable: the packages cannot be installed here.
    """
    home = PEERS / name
    python = home / "bin" / "python"
    stamp = home / "requirements.installed"
    wanted = "\n".join(requirements)
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"installing {', '.join(requirements)} into a throw-away environment", flush=True)
    uv = shutil.which("uv")
    make = (
        [uv, "venv", "-q", "--clear", "--python", sys.executable, str(home)] if uv else [sys.executable, "-m", "venv", "--clear", str(home)]
    )
    install = (
        [uv, "pip", "install", "-q", "--python", str(python), *requirements]
        if uv
        else [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *requirements]
    )
    for command in (make, install):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX)
        except subprocess.TimeoutExpired as error:
            raise PeerUnavailable(f"{name}: installing took longer than {INSTALL_SECONDS_MAX} s") from error
        if done.returncode:
            lines = [line for line in done.stderr.strip().splitlines() if not line.startswith("WARNING")]
            raise PeerUnavailable(f"{name}: {lines[-1][:REASON_CHARS_MAX] if lines else 'installing failed'}")
    stamp.write_text(wanted)
    return python


def peer_pythons(wanted: Mapping[str, tuple[str, ...]]) -> dict[str, Path | PeerUnavailable]:
    """``peer_python`` for several environments at once, before anything is measured: each one's Python, or why there is none."""

    def made(name: str) -> Path | PeerUnavailable:
        try:
            return peer_python(name, wanted[name])
        except PeerUnavailable as error:
            return error

    with ThreadPoolExecutor(INSTALLS_AT_ONCE_MAX) as pool:
        return dict(zip(wanted, pool.map(made, wanted), strict=True))
