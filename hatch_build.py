"""Compiles the C files on installation; without a C compiler that succeeds too, and what each of them does faster is done without it."""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = {
    "src/leverframe/serving/runtimes/trees.c": "trees are scored by LightGBM's own library",
    "src/leverframe/features/rows/numbering.c": "keys are numbered by joins, several times slower",
    "src/leverframe/features/timelines/newest.c": "newest known rows are looked up by numpy, several times slower",
    "src/leverframe/features/timelines/sweep.c": "windows are computed by numpy, several times slower",
}
"""Each with what is so where it was not compiled. The library lies beside its source, as ``libleverframe_<stem>``."""
SUFFIX = {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")
# No contraction to fused multiply-add: it would change the last bit of a score or a deviation. That nobody reads errno or traps changes
# no bit, and lets roots and divisions be done several at once.
FLAGS = ("-std=gnu11", "-O3", "-fPIC", "-shared", "-fvisibility=default", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
COMPILE_SECONDS_MAX = 120


class CustomBuildHook(BuildHookInterface):
    """Called by hatchling before it builds a wheel, editable ones too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile next to the sources and have the wheel carry it, under a tag that names the platform but no Python."""
        if self.target_name != "wheel":
            return
        for name, without in SOURCES.items():
            source = Path(name)
            library = source.with_name(f"libleverframe_{source.stem}{SUFFIX}")
            why_not = build(Path(self.root) / source, Path(self.root) / library)
            if why_not:
                (Path(self.root) / library).unlink(missing_ok=True)
                self.app.display_warning(f"{without}: {why_not}")
                continue
            build_data["artifacts"].append(f"/{library.as_posix()}")
            build_data["pure_python"] = False
            build_data["tag"] = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")


def build(source: Path, target: Path) -> str:
    """Compile ``source`` into ``target``, which is replaced whole or not at all; returns why not, or nothing."""
    compiler = shlex.split(os.environ.get("CC", "")) or [name for name in map(shutil.which, ("cc", "gcc", "clang")) if name][:1]
    if not compiler:
        return "no C compiler was found"
    aside = target.with_name(f"{target.name}.{os.getpid()}")
    said = ""
    try:
        # A compiler or C library that cannot make one function for several processors makes it for the common one.
        for variant in ((), ("-DONE_TARGET",)):
            command = [*compiler, *FLAGS, *variant, "-o", str(aside), str(source), "-lm"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_SECONDS_MAX)  # noqa: S603
            if done.returncode == 0:
                aside.replace(target)
                return ""
            said = (done.stderr.strip().splitlines() or ["no reason given"])[0]
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    finally:
        aside.unlink(missing_ok=True)
    return said[:300]
