"""P33: what would be exposed or readable by others does not start, says why and what to type, and listens to nobody meanwhile."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import free_port

from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_platform

CONTROL, GATEWAY = "leverframe.apps.control_plane", "leverframe.apps.gateway"
START_S_MAX = 30.0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    open_platform(Settings(home=tmp_path / "home")).close()
    return tmp_path / "home"


def started(module: str, home: Path, **variables: str) -> tuple[subprocess.Popen[str], int]:
    port = free_port()
    told = {name: value for name, value in os.environ.items() if not name.startswith("LEVER_")}
    told |= {"LEVER_HOME": str(home), "LEVER_PORT": str(port), "LEVER_GATEWAY_PORT": str(port), **variables}
    command = [sys.executable, "-m", module]
    return subprocess.Popen(command, env=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True), port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def refused(module: str, home: Path, **variables: str) -> str:
    """What a process says that does not start; it was never seen listening."""
    process, port = started(module, home, **variables)
    deadline, heard = time.monotonic() + START_S_MAX, False
    while process.poll() is None and time.monotonic() < deadline:
        heard = heard or listens(port)
        time.sleep(0.01)
    if process.poll() is None:
        process.kill()
    out, err = process.communicate()
    assert not heard, "it listened before it refused"
    assert process.returncode == 5, f"it started, or died: {out[-500:]} {err[-500:]}"
    assert "Traceback" not in err, "a person is shown a stack of calls"
    return err


def serves(module: str, home: Path, **variables: str) -> bool:
    process, port = started(module, home, **variables)
    try:
        deadline = time.monotonic() + START_S_MAX
        while process.poll() is None and time.monotonic() < deadline:
            if listens(port):
                return True
            time.sleep(0.02)
        return False
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_control_plane_in_the_clear_beyond_this_machine_is_refused(home: Path) -> None:
    for host in ("0.0.0.0", "::"):
        said = refused(CONTROL, home, LEVER_HOST=host)
        assert "without encryption" in said
        assert "lever up --host 127.0.0.1" in said
    # The negative control: somebody said that TLS ends in front.
    assert serves(CONTROL, home, LEVER_HOST="0.0.0.0", LEVER_ALLOW_EXPOSURE="true")


def test_a_gateway_open_to_others_without_callers_is_refused(home: Path) -> None:
    said: Any = json.loads(refused(GATEWAY, home, LEVER_GATEWAY_HOST="0.0.0.0").splitlines()[-1])
    assert said["event"] == "refused to start"
    assert said["next"]
    assert serves(GATEWAY, home), "on loopback it does not start either: the test proves nothing"


@pytest.mark.parametrize(
    ("file", "mode"),
    [
        ("signing.key", 0o644),
        pytest.param("signing.key", 0o620, marks=pytest.mark.slow),
        pytest.param("personal.key", 0o604, marks=pytest.mark.slow),
    ],
)
def test_a_key_that_others_can_read_is_refused_with_the_command_that_mends_it(home: Path, file: str, mode: int) -> None:
    key = home / "keys" / file
    key.chmod(mode)
    said = refused(CONTROL, home)
    assert f"chmod 600 {key}" in said
    assert key.read_bytes()[:8].hex() not in said
    key.chmod(0o600)
    assert serves(CONTROL, home)


@pytest.mark.parametrize(
    "content", [b"password", pytest.param(b"", marks=pytest.mark.slow), pytest.param(b"\0" * 32, marks=pytest.mark.slow)]
)
def test_a_key_that_is_none_is_refused_and_not_replaced(home: Path, content: bytes) -> None:
    key = home / "keys" / "signing.key"
    key.write_bytes(content)
    key.chmod(0o600)
    assert "not a private key" in refused(CONTROL, home)
    assert key.read_bytes() == content


def test_there_is_no_default_password_and_the_first_token_is_said_once(tmp_path: Path) -> None:
    platform = open_platform(Settings(home=tmp_path / "home"))
    secret = platform.access.bootstrap()
    assert secret is not None
    assert len(secret) >= 32
    assert platform.access.bootstrap() is None, "the first token can be had twice"
    platform.close()
    kept = b"".join(path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file())
    assert secret.encode() not in kept, "the token itself is on the disk"
    assert (tmp_path / "home").stat().st_mode & 0o077 == 0, "others can look into the home folder"


def test_a_client_file_that_others_can_read_is_not_used(home: Path) -> None:
    file = home / "client.json"
    file.write_text(json.dumps({"url": "http://127.0.0.1:1", "token": "lf_secret"}))
    told = {name: value for name, value in os.environ.items() if not name.startswith("LEVER_")} | {"LEVER_HOME": str(home)}
    command = [sys.executable, "-m", "leverframe.apps.cli.main", "status"]
    file.chmod(0o644)
    done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=60, check=False)
    assert f"chmod 600 {file}" in done.stderr
    assert "lf_secret" not in done.stdout + done.stderr
    file.chmod(0o600)
    done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=60, check=False)
    assert "nobody answers" in done.stderr, "it is not used when only its owner can read it either"
