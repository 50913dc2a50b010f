"""A model's own Python environment, built with uv from the pinned lines of its signed bundle and kept by their digest.

Only wheels whose SHA-256 the bundle names are installed: nothing is built, so no package's code runs here, and nothing is resolved. Which
index they come from is the operator's configuration of uv, never the model's. Owner of uv.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from leverframe.core.digest import canonical_json, digest_bytes
from leverframe.core.errors import InvalidInput, Unavailable

BUILD_S_MAX = 600.0
"""A build that takes longer is ended; the model stays away, with that reason."""
REQUIREMENTS_MAX = 500
"""More lines are refused."""
HASHES_MAX = 200
"""A line with more hashes is refused."""
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}==[A-Za-z0-9][A-Za-z0-9.!+_-]{0,99}(?: --hash=sha256:[0-9a-f]{64})+")
_PYTHON = re.compile(r"3\.\d{1,2}")
_PASSED_ON = ("PATH", "HOME", "XDG_", "UV_", "SSL_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
# One build at a time in a process; others wait in their own threads.
_building = threading.Lock()


def check_requirements(lines: Sequence[str]) -> tuple[str, ...]:
    """``lines`` if each is ``name==version --hash=sha256:…`` and nothing else.

    Raises
    ------
    InvalidInput: with the first line that is something else: an option, an index, a URL, a path, a range.

    >>> check_requirements(["numpy==2.4.6 --hash=sha256:" + "0" * 64])[0][:12]
    'numpy==2.4.6'
    """
    wrong = next((line for line in lines if not _REQUIREMENT.fullmatch(line) or line.count("--hash=") > HASHES_MAX), None)
    if wrong is not None or len(lines) > REQUIREMENTS_MAX:
        raise InvalidInput(
            "not a requirement that is installed",
            where="isolated.json",
            expected=f"at most {REQUIREMENTS_MAX} lines name==version --hash=sha256:…",
            got=f"{len(lines)} lines" if wrong is None else wrong[:120],
            next_step="import the model again: lever model import",
        )
    return tuple(lines)


def interpreter(home: Path, python: str, requirements: Sequence[str]) -> Path:
    """The Python of the environment for these requirements, built when it is not there; waits for that, so never call it on an event loop.

    Parameters
    ----------
    home: the installation; environments are kept in its folder ``environments``.
    python: ``3.x``; empty: as this process. No requirements: this process's own Python, nothing is built.

    Raises
    ------
    InvalidInput: a line or version that is not accepted.    Unavailable: it cannot be built now.
    """
    lines = check_requirements(requirements)
    if not lines:
        return Path(sys.executable)
    wanted = python or f"3.{sys.version_info.minor}"
    if not _PYTHON.fullmatch(wanted):
        raise InvalidInput("not a Python version", where="isolated.json", expected="3.x", got=python[:20])
    environments = home.resolve() / "environments"
    folder = environments / digest_bytes(canonical_json([wanted, *lines])).removeprefix("sha256:")
    if not folder.exists():
        with _building:
            if not folder.exists():
                _build(environments, folder, wanted, lines)
    return folder / "bin" / "python"


def _build(environments: Path, folder: Path, python: str, lines: Sequence[str]) -> None:
    """Build beside the final place, then rename: an environment that is there is complete."""
    environments.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix="building-", dir=environments))
    try:
        target, listed = building / "environment", building / "requirements.txt"
        listed.write_text("\n".join(lines) + "\n")
        _uv("venv", "--relocatable", "--no-python-downloads", "--no-project", "--python", python, str(target))
        _uv("pip", "install", "--no-deps", "--require-hashes", "--no-build", "--python", str(target / "bin" / "python"), "-r", str(listed))
        try:
            target.rename(folder)
        except OSError:
            # Another worker of this installation was first; what it built is the same.
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def lock(wanted: Sequence[str], python: str) -> tuple[str, ...]:
    """``wanted`` (lines ``name==version``) and all that they need, pinned with hashes, by asking the operator's index now.

    Raises
    ------
    InvalidInput: a line is not such a one.    Unavailable: it cannot be resolved.
    """
    pins = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[A-Za-z0-9,._-]+\])?==[A-Za-z0-9][A-Za-z0-9.!+_-]*")
    wrong = next((line for line in wanted if not pins.fullmatch(line)), None)
    if wrong is not None:
        raise InvalidInput("a requirement is not pinned", where="requirements.txt", expected="name==version", got=wrong[:120])
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder) / "requirements.in", Path(folder) / "requirements.txt"
        source.write_text("\n".join(wanted) + "\n")
        options = ("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-build", "--python-version", python)
        _uv("pip", "compile", *options, str(source), "-o", str(result))
        text = result.read_text().replace("\\\n", " ")
    lines = (" ".join(line.split("#", 1)[0].split()) for line in text.splitlines())
    return check_requirements([line for line in lines if line])


def _uv(*arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
    try:
        import uv  # of the extra "isolated": everything but a build works without it

        done = subprocess.run(  # noqa: S603 - a fixed program and an argument list, no shell
            [uv.find_uv_bin(), *arguments, "--no-progress", "--quiet"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=BUILD_S_MAX,
            env=environment,
            cwd=tempfile.gettempdir(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable("an environment is not built in time", where="environment", expected=f"{BUILD_S_MAX:g} s") from error
    except (ImportError, OSError) as error:
        raise Unavailable(
            "uv cannot be started", where="environment", got=type(error).__name__, next_step="install leverframe[isolated]"
        ) from error
    if done.returncode:
        raise Unavailable(
            "the model's environment cannot be built",
            where=f"uv {arguments[0]}",
            got=" ".join(done.stderr.decode("utf-8", "replace").split())[-400:],
            next_step="see that this machine reaches its package index, or fill uv's cache; the running version stays",
        )
