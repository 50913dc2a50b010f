"""``lever serve`` alone: published routes, one model of a home, an unpacked bundle; and clear refusals of anything else."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from tests.serving.fleets import installed
from tests.serving.installation import infer_body

from leverframe.apps.cli.serve_alone import ENVELOPE_FILE
from leverframe.governance.bundles import MANIFEST_SUBJECT, open_bundle
from leverframe.governance.signing import SigningKey, TrustStore


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """An installation with one endpoint, and its bundle unpacked beside it."""
    folder = tmp_path_factory.mktemp("serve")
    installation = installed(folder)
    arm = installation.arm("m@v1", 1)
    bundle = open_bundle(installation.artifacts, TrustStore.from_folder(folder / "keys"), arm.bundle, arm.envelope)
    unpacked = folder / "unpacked"
    unpacked.mkdir()
    (unpacked / MANIFEST_SUBJECT).write_bytes(installation.artifacts.get(arm.bundle))
    (unpacked / ENVELOPE_FILE).write_bytes(installation.artifacts.get(arm.envelope))
    for name in bundle.names:
        (unpacked / name).write_bytes(bundle.read(name))
    (folder / "digest").write_text(arm.bundle)
    return folder


def lever(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """``lever serve`` on a free port."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LEVER_")} | {"LEVER_HOME": str(home)}
    return subprocess.Popen(
        [sys.executable, "-m", "leverframe.apps.cli.main", "serve", "--port", "0", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def stop(process: subprocess.Popen[str]) -> str:
    """Ctrl-C, and everything it still said."""
    process.send_signal(signal.SIGINT)
    said, problem = process.communicate(timeout=20)
    assert process.returncode == 0, problem
    return said


@pytest.mark.parametrize("target", ["m", "m@v1", "digest", "unpacked"])
def test_one_model_is_served_and_its_curl_works(home, target):
    """What is printed is what works: the address answers, and the curl is a whole command."""
    target = {"digest": (home / "digest").read_text(), "unpacked": str(home / "unpacked")}.get(target, target)
    process = lever(home, target)
    said = ""
    while "Ctrl-C" not in said:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        said += line
    command = said[said.index("curl") : said.index("Ctrl-C")]
    answer = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=20, env={**os.environ, "LEVER_TOKEN": ""})
    try:
        assert json.loads(answer.stdout)["model_name"] == "m", answer
    finally:
        stop(process)


def test_published_routes_are_served_by_several_workers(home):
    process = lever(home, "--workers", "2", "--json")
    facts = json.loads(process.stdout.readline())
    assert facts["workers"] == ["gateway-alone-0", "gateway-alone-1"]
    body = json.dumps(infer_body([0.1] * 4)).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{facts['port']}/v2/models/m/infer", body, {"Authorization": "Bearer test-token-1"})
    assert urllib.request.urlopen(request, timeout=10).status == 200
    assert '"fleet stopped"' in stop(process)


def test_what_cannot_be_served_is_refused_with_the_reason(home, tmp_path):
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "signing.pub").write_bytes(SigningKey.generate().public_pem)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for file in (home / "unpacked").iterdir():
        (damaged / file.name).write_bytes(file.read_bytes())
    model = next(file for file in damaged.iterdir() if file.name.startswith("model"))
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    cases = {
        ("nothing",): "nothing of this name is published here",
        (str(tmp_path),): "not a bundle folder",
        (str(home / "unpacked"), "--trust", str(stranger)): "no trusted signature",
        (str(home / "unpacked"), "--trust", str(tmp_path)): "no public keys to trust",
        (str(damaged),): "bytes the bundle needs are gone",
        ("--home", str(tmp_path)): "no installation here",
        ("m", "--workers", "many"): "not a number of workers",
        ("m", "--host", "0.0.0.0"): "refusing to listen beyond this machine",
    }
    started = {arguments: lever(home, *arguments) for arguments in cases}
    for arguments, process in started.items():
        _, problem = process.communicate(timeout=60)
        assert process.returncode not in (0, 1), arguments
        assert cases[arguments] in " ".join(problem.split()), (arguments, problem)
