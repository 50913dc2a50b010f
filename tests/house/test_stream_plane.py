"""The stream worker is of the data plane: with every broker's adapter loaded, it has imported nothing of the control plane."""

import json
import subprocess
import sys

from tests.house.test_gateway_plane import FORBIDDEN, FORBIDDEN_ROOMS

BRINGS = ("pydantic",)
"""FastStream checks its own settings with it: why streams are a process of their own."""
ADAPTERS = ("nats", "redis", "kafka")


def test_a_stream_worker_has_loaded_nothing_of_the_control_plane():
    names = ", ".join(f"leverframe.apps.streaming.{name}" for name in ("worker", *ADAPTERS))
    script = f"import json, sys, {names}; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=60).stdout)
    assert {"faststream", "lmdb"} <= set(modules), "the probe loaded no worker: the test would prove nothing"
    assert [name for name in modules if name.split(".")[0] in set(FORBIDDEN) - set(BRINGS)] == []
    rooms = tuple(f"leverframe.{room}" for room in FORBIDDEN_ROOMS)
    assert [name for name in modules if name.startswith(rooms)] == []
