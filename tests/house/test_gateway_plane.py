"""The data plane stays light and apart: what a running gateway process has, and has not, imported."""

import json
import socket
import subprocess
import sys

from tests.serving.installation import Installation, table

from leverframe.core.route import Endpoint

FORBIDDEN = (
    *("polars", "sqlalchemy", "sklearn", "pandas", "fastapi", "cedarpy", "dbos", "alembic", "pydantic", "onnx", "pickle5", "joblib"),
    "sqlglot",  # comes with the first model that has an expression
)
FORBIDDEN_ROOMS = ("data", "training", "evaluation", "release", "monitoring", "governance.ledger", "governance.policy", "apps.control")


def loaded_modules(tmp_path) -> list[str]:
    """Modules of a process that has started a gateway, loaded a bundle and answered."""
    script = tmp_path / "probe.py"
    script.write_text(
        "import asyncio, sys, threading, urllib.request, os, signal, json\n"
        "from pathlib import Path\n"
        "from leverframe.apps.gateway import main as gateway\n"
        "settings = gateway.GatewaySettings(home=Path(sys.argv[1]), port=int(sys.argv[2]))\n"
        "def ask():\n"
        "    import time\n"
        "    for _ in range(200):\n"
        "        try:\n"
        "            urllib.request.urlopen(f'http://127.0.0.1:{sys.argv[2]}/v2/health/ready', timeout=1).read(); break\n"
        "        except OSError: time.sleep(0.05)\n"
        "    Path(sys.argv[3]).write_text(json.dumps(sorted(sys.modules)))\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "threading.Thread(target=ask).start()\n"
        "gateway.run(settings)\n"
    )
    installation = Installation(tmp_path / "home")
    installation.publish(table(Endpoint(name="m", arms=(installation.arm("m@v1", 1),))))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    subprocess.run(
        [sys.executable, str(script), str(tmp_path / "home"), str(port), str(tmp_path / "modules")],
        check=True,
        timeout=60,
        capture_output=True,
    )
    return json.loads((tmp_path / "modules").read_text())


def test_a_serving_gateway_has_loaded_nothing_of_the_control_plane(tmp_path):
    modules = loaded_modules(tmp_path)
    assert "onnxruntime" in modules, "the probe did not serve a model: the test would prove nothing"
    assert [name for name in modules if name.split(".")[0] in FORBIDDEN] == []
    rooms = tuple(f"leverframe.{room}" for room in FORBIDDEN_ROOMS)
    assert [name for name in modules if name.startswith(rooms)] == []


def test_the_lightgbm_package_is_not_imported_only_its_library(tmp_path):
    assert "lightgbm" not in loaded_modules(tmp_path), "the package imports pandas and scikit-learn"
