"""Which version of the team's own code a run belongs to."""

import shutil
import subprocess

GIT_TIMEOUT_S = 5.0


def code_commit() -> str:
    """The commit of the git checkout one stands in, with ``+changes`` when files differ from it; ``unversioned`` outside of one."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return "unversioned"
    return f"{commit}+changes" if _git("status", "--porcelain") else commit


def _git(*arguments: str) -> str:
    program = shutil.which("git")
    if program is None:
        return ""
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
