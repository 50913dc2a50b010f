"""A gateway as a child of the terminal: started, announced, and stopped when the person says so."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from leverframe.apps.orphans import die_with_parent


def run_gateway(options: Sequence[str], announce: Callable[[dict[str, Any]], None], *, echo: bool) -> int:
    """Start a gateway with ``options`` and wait for its end; returns its exit code.

    Parameters
    ----------
    announce: told once, what the gateway says when it listens (``host``, ``port`` and more).
    echo: pass the gateway's own lines on, instead of announcing.
    """
    # A session of its own: Ctrl-C reaches the gateway once, through us, and a second one makes it hurry.
    child = subprocess.Popen(  # noqa: S603 - a fixed program, no shell
        [sys.executable, "-m", "leverframe.apps.gateway", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        preexec_fn=die_with_parent,
        start_new_session=True,
        text=True,
    )

    def stop(_signal: int, _frame: FrameType | None) -> None:
        child.terminate()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert child.stdout is not None
        for line in child.stdout:
            if echo:
                print(line, end="", flush=True)
            elif (said := json.loads(line)).get("event") == "listening":
                announce(said)
        return child.wait()
    finally:
        child.kill()
        child.wait()
        for number, handler in before.items():
            signal.signal(number, handler)
