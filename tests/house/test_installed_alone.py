"""The program's processes load with what ``requirements/platform.txt`` installs, and reach for nothing that only the tests have."""

import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import msgspec
import pytest

from leverframe.core.errors import Unavailable
from leverframe.core.model import ISOLATED, PYFUNC, IsolatedRuntime
from leverframe.core.schema import Signature
from leverframe.serving.runtimes.isolated.environment import lock
from leverframe.serving.runtimes.isolated.opening import IsolatedOpener

ROOT = Path(__file__).parents[2]
ENTRIES = (
    "leverframe.apps.cli.main",
    "leverframe.apps.control.server",
    "leverframe.apps.demo.story",
    "leverframe.apps.evaluating",
    "leverframe.apps.gateway.process",
    "leverframe.apps.importing",
    "leverframe.apps.scoring.job",
    "leverframe.apps.scoring.tables",
    "leverframe.apps.supervisor",
    "leverframe.apps.worker",
)
IMPORT_WITHOUT = """
import importlib, sys
absent = set(sys.argv[2].split(","))

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
importlib.import_module(sys.argv[1])
"""


def absent_from_the_platform() -> set[str]:
    """Top-level modules of this environment that no distribution of the platform's lock file brings."""
    lines = (ROOT / "requirements" / "platform.txt").read_text().splitlines()
    locked = {re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() for line in lines if re.match(r"[A-Za-z0-9]", line)}
    locked |= {"leverframe"}
    brought = packages_distributions()
    return {
        module
        for module, distributions in brought.items()
        if not any(re.sub(r"[-_.]+", "-", name).lower() in locked for name in distributions)
    }


def load(module: str, absent: set[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", IMPORT_WITHOUT, module, ",".join(sorted(absent))]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=os.environ)


@pytest.mark.parametrize("module", ENTRIES)
def test_a_process_loads_with_what_the_platform_installs(module: str) -> None:
    absent = absent_from_the_platform()
    assert {"uv", "pytest"} <= absent, "the tests' own packages are not told apart: this test proves nothing"
    done = load(module, absent)
    assert done.returncode == 0, done.stderr[-800:]


def test_negative_control_a_package_that_is_needed_is_missed() -> None:
    done = load("leverframe.apps.worker", {"sqlalchemy"})
    assert "No module named 'sqlalchemy'" in done.stderr


def test_a_foreign_model_without_its_extra_is_refused_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uv", None)
    with pytest.raises(Unavailable, match="uv cannot be started") as refused:
        lock(("numpy==2.3.0",), "3.11")
    assert refused.value.next_step == "install leverframe[isolated]"
    monkeypatch.setitem(sys.modules, "leverframe.serving.runtimes.isolated.host", None)
    opener = IsolatedOpener(tmp_path, patience_s=30.0)
    files = {ISOLATED: msgspec.json.encode(IsolatedRuntime(columns=())), PYFUNC + "MLmodel": b""}
    with pytest.raises(Unavailable, match="foreign models cannot run here") as refused:
        opener.open("m", files, Signature(request=(), columns=()))
    assert refused.value.next_step == "install leverframe[isolated]"
