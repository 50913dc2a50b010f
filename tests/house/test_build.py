"""What an installation carries: the compiled libraries where there is a compiler, and all else where there is none."""

import ctypes
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from leverframe.features.rows import numbering_c
from leverframe.features.rows.libraries import load_library
from leverframe.features.timelines import newest_c, sweep_c
from leverframe.serving.runtimes import trees

ROOT = Path(__file__).parents[2]
C_SOURCES = [
    f"src/leverframe/{name}"
    for name in ("serving/runtimes/trees.c", "features/rows/numbering.c", "features/timelines/newest.c", "features/timelines/sweep.c")
]


@pytest.mark.slow
def test_this_installation_compiled_its_c_files():
    """Everything would be right without them, and much slower: no other test would say so."""
    again = "install Leverframe again: `pip install -e .`"
    assert load_library(ROOT / "src/leverframe/features/rows/numbering.c", numbering_c.INTERFACE), again
    assert isinstance(newest_c.newest_engine(), newest_c.CompiledNewest), again
    assert isinstance(sweep_c.sweep_engine(), sweep_c.CompiledSweeps), again
    assert trees._functions(), again


@pytest.mark.slow
def test_the_wheel_carries_the_library_and_the_source_distribution_its_source(tmp_path):
    build = "import hatchling.build as b, sys; print(b.build_wheel(sys.argv[1])); print(b.build_sdist(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", build, tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    (wheel,), (source,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    assert "-py3-none-" in wheel.name
    assert not wheel.name.endswith("any.whl")
    with zipfile.ZipFile(wheel) as opened:
        libraries = sorted(name for name in opened.namelist() if "libleverframe_" in name)
        opened.extractall(tmp_path, libraries)
    calls = [ctypes.CDLL(str(tmp_path / library)) for library in libraries]
    assert calls[0].leverframe_numbering_group
    assert calls[1].leverframe_newest_answer
    assert calls[2].leverframe_sweep_sums
    assert calls[3].leverframe_trees_row
    with tarfile.open(source) as opened:
        names = opened.getnames()
    for source in C_SOURCES:
        assert any(name.endswith(source) for name in names)
    assert any(name.endswith("/hatch_build.py") for name in names)


@pytest.mark.slow
def test_without_a_compiler_the_build_succeeds_with_a_wheel_for_any_machine(tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        (copy / name).write_bytes((ROOT / name).read_bytes())
    for name in C_SOURCES:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    build = "import hatchling.build as b, sys; print(b.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, tmp_path], cwd=copy, capture_output=True, text=True, timeout=200, env={"PATH": "", "CC": "no-such-cc"}
    )
    assert done.returncode == 0, done.stderr
    assert "LightGBM's own" in done.stderr + done.stdout
    assert "keys are numbered by joins" in done.stderr + done.stdout
    assert "newest known rows are looked up by numpy" in done.stderr + done.stdout
    assert "windows are computed by numpy" in done.stderr + done.stdout
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("py3-none-any.whl")
