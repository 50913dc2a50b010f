"""P8: the gateway serves, and restarts, with control plane, publication and artifact store gone; and says how old its routes are."""

import shutil
import signal
import time

from tests.serving.installation import Installation, gateway, infer_body, table

from leverframe.core.route import Endpoint

GOOD = infer_body([0.1, 0.2, 0.3, 0.4])
COLD_START_S_MAX = 3.0


def test_p8_serves_and_restarts_from_its_own_copies(tmp_path):
    installation = Installation(tmp_path)
    issued_at_us = time.time_ns() // 1000 - 3_600_000_000
    installation.publish(table(Endpoint(name="m", arms=(installation.arm("m@v1", 1),)), issued_at_us=issued_at_us))
    with gateway(tmp_path) as running:
        before = running.call("/v2/models/m/infer", GOOD)[1]["outputs"]
        for folder in ("published", "artifacts"):
            (tmp_path / folder).rename(tmp_path / f"{folder}.away")
        running.wait(lambda page: "no table is published" in page["table"]["problem"])
        assert running.call("/v2/models/m/infer", GOOD)[1]["outputs"] == before
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
    with gateway(tmp_path) as running:
        assert running.started_s <= COLD_START_S_MAX
        assert running.call("/v2/models/m/infer", GOOD)[1]["outputs"] == before
        assert running.call("/v2/health/ready")[0] == 200
        page = running.page()["table"]
        assert page["source"] == "last-good copy"
        assert 3600 <= page["age_s"] < 3700, "the page does not say how old the routes are"
        assert "no table is published" in page["problem"]
        for folder in ("published", "artifacts"):
            (tmp_path / f"{folder}.away").rename(tmp_path / folder)
        installation.publish(table(Endpoint(name="m", arms=(installation.arm("m@v2", 2),)), generation=2))
        running.wait(lambda page: page["generation"] == 2)
        assert running.page()["table"] | {"age_s": 0, "seen_s_ago": 0, "issued_at_us": 0} == {
            "issued_at_us": 0, "age_s": 0, "source": "published", "seen_s_ago": 0, "problem": "",
        }  # fmt: skip


def test_p8_negative_control_without_its_copies_it_cannot(tmp_path):
    installation = Installation(tmp_path)
    installation.publish(table(Endpoint(name="m", arms=(installation.arm("m@v1", 1),))))
    with gateway(tmp_path) as running:
        assert running.call("/v2/models/m/infer", GOOD)[0] == 200
    shutil.rmtree(tmp_path / "published")
    shutil.rmtree(tmp_path / "gateway")
    with gateway(tmp_path) as running:
        assert running.call("/v2/health/live")[0] == 200
        assert running.call("/v2/health/ready")[0] == 503
        assert running.call("/v2/models/m/infer", GOOD)[0] == 503


def test_p33_exposed_without_callers_refuses_to_start(tmp_path):
    import subprocess
    import sys

    installation = Installation(tmp_path)
    installation.publish(table(Endpoint(name="m", arms=(installation.arm("m@v1", 1),)), callers=False))
    command = [sys.executable, "-m", "leverframe.apps.gateway", "--home", str(tmp_path), "--port", "0", "--host", "0.0.0.0"]
    refused = subprocess.run(command, capture_output=True, timeout=30, text=True)
    assert refused.returncode == 5
    assert "refusing to listen beyond this machine" in refused.stderr
    assert "lever token issue" in refused.stderr
    installation.publish(table(Endpoint(name="m", arms=(installation.arm("m@v1", 1),)), generation=2))
    with gateway(tmp_path, "--host", "0.0.0.0") as running:
        assert running.call("/v2/models/m/infer", GOOD)[0] == 200
        assert running.call("/", token="wrong")[0] == 401, "the health page is open to the network"
        assert running.call("/v2/health/ready", token="wrong")[0] == 200
