"""Throw-away environments for the tools we compare with, so that nothing of theirs is ever in ours."""

import shutil
import subprocess
import sys
from pathlib import Path

PEERS = Path(__file__).parent / ".peers"
INSTALL_SECONDS_MAX = 600


class PeerUnavailable(Exception):
    """A peer could not be installed; the message says why."""


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
            raise PeerUnavailable(f"{name}: {lines[-1] if lines else 'installing failed'}")
    stamp.write_text(wanted)
    return python
