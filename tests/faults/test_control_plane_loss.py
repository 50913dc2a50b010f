"""P8 on the whole program: with control plane, worker and ledger gone the gateway answers, restarts, and says how old its routes are."""

import http.client
import json
import time

import pytest
from tests.serving.installation import gateway
from tests.whole_program import ENDPOINT, NOW_US, Traffic, WholeProgram, copy_home, whole_program

from leverframe.core.clock import HOUR_US

COLD_START_S_MAX = 3.0
STORES = ("published", "artifacts")


@pytest.fixture
def lost(tmp_path):
    """An installation whose control plane and worker were killed, and whose ledger is away."""
    with whole_program(tmp_path, revive=False) as program:
        for name in ("control", "worker"):
            program.kill(name)
            next(child for child in program.supervisor.children if child.name == name).process.wait()
        for file in program.home.glob("ledger.db*"):
            file.rename(file.with_name(f"away-{file.name}"))
        yield program


def restart_gateway(program: WholeProgram) -> float:
    """``kill -9`` the gateway and start it again; seconds until it answers."""
    gateway = next(child for child in program.supervisor.children if child.name == "gateway")
    program.kill("gateway")
    gateway.process.wait()
    started = time.monotonic()
    gateway.start()
    gateway.wait_ready()
    return time.monotonic() - started


def ask(program: WholeProgram) -> tuple[int, dict]:
    """One prediction over HTTP."""
    inputs = {"origin": "JFK", "carrier": "B6", "tailnum": "N516JB", "dest": "BOS", "distance": 187.0, "sched_dep_s": NOW_US // 1_000_000}
    types = {str: "BYTES", float: "FP64", int: "INT64"}
    body = {"inputs": [{"name": n, "shape": [1], "datatype": types[type(v)], "data": [v]} for n, v in inputs.items()]}
    connection = http.client.HTTPConnection(program.settings.gateway_host, program.settings.gateway_port, timeout=5)
    try:
        headers = {"Authorization": f"Bearer {program.secrets['booking-site']}"}
        connection.request("POST", f"/v2/models/{ENDPOINT}/infer", json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_p8_serves_and_restarts_without_a_control_plane_and_agrees_again_when_it_is_back(lost):
    status, before = ask(lost)
    assert (status, before["model_version"]) == (200, "flight-delay@v1")
    with Traffic(lost, seed=8, pause_s=0.005) as traffic:
        time.sleep(1.0)
    assert len(traffic.answered) > 100
    assert (traffic.failed, traffic.refused) == (0, [])
    cold_s = [restart_gateway(lost)]
    assert ask(lost)[1]["outputs"] == before["outputs"]
    for name in STORES:
        (lost.home / name).rename(lost.home / f"away-{name}")
    cold_s.append(restart_gateway(lost))
    print(f"cold start {', '.join(f'{s:.2f}' for s in cold_s)} s")
    assert max(cold_s) <= COLD_START_S_MAX
    status, after = ask(lost)
    assert (status, after["outputs"], after["model_version"]) == (200, before["outputs"], "flight-delay@v1")
    lost.clock.set(lost.clock.now_us() + 5 * HOUR_US)
    table = lost.page()["table"]
    assert table["source"] == "last-good copy"
    assert table["age_s"] >= 5 * 3600 - 1.0, "the page does not say how old the routes are"
    assert "no table is published" in table["problem"]
    bring_back(lost)
    (view,) = lost.person("ana").release.endpoints()
    assert lost.wait_generation(view.generation_desired)["table"]["problem"] == ""
    assert lost.person("admin").audit.verify().ok


def bring_back(program: WholeProgram) -> None:
    """Ledger and stores to their places, control plane and worker started."""
    for file in program.home.glob("away-*"):
        file.rename(file.with_name(file.name.removeprefix("away-")))
    children = [child for child in program.supervisor.children if child.name != "gateway"]
    for child in children:
        child.start()
    for child in children:
        child.wait_ready()


def test_p8_negative_control_without_its_last_good_copy_it_answers_nothing(tmp_path):
    home = copy_home(tmp_path / "home")
    clock = f"replay:{home / 'replay.clock'}"
    token = json.loads((home / "secrets.json").read_text())["booking-site"]
    with gateway(home, "--clock", clock) as served:
        assert served.call("/v2/health/ready", token=token)[0] == 200
    (home / "published").rename(home / "away-published")
    with gateway(home, "--clock", clock) as kept:
        assert kept.call("/v2/health/ready", token=token)[0] == 200
    (home / "gateway").rename(home / "away-gateway")
    with gateway(home, "--clock", clock) as bare:
        assert bare.call("/v2/health/live", token=token)[0] == 200
        status, said = bare.call(f"/v2/models/{ENDPOINT}/infer", {"inputs": []}, token=token)
        assert (status, said["code"]) == (503, "unavailable")
        assert said["next"], "a refusal without a next step"
