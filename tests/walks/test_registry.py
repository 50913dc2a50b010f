"""Behind an MLflow registry: what appears there is imported, judged, planned and released here, and its alias follows what answers.

The quick walks speak to a small server of the recorded shape; the slow one to a real MLflow server, which proves the shape.
"""

import dataclasses
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from benchmarks.peers import PeerUnavailable, peer_python
from tests.apps.mlflow_server import Registry as Recorded
from tests.apps.mlflow_server import registry as recorded_registry
from tests.conftest import free_port
from tests.serving.installation import model_text
from tests.training.test_import_mlflow import folder
from tests.walks.test_imported import arrivals, contract
from tests.whole_program import Immediately, clear_environment, issue_tokens, parquet

from leverframe.apps.cli.gate_rules import gate_rule
from leverframe.apps.egress.addresses import parse_networks
from leverframe.apps.egress.client import Egress
from leverframe.apps.egress.destination import parse_allowed
from leverframe.apps.importing import import_mlflow
from leverframe.apps.platform.platform import Platform
from leverframe.apps.platform.views import RegistryRequest
from leverframe.apps.registries.mlflow import MlflowServer
from leverframe.apps.registry_loop import RegistryLoop
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_parts
from leverframe.core.errors import Forbidden, NotFound, Unavailable
from leverframe.core.route import Endpoint
from leverframe.release.control.controller import Controller
from leverframe.release.plans.plan import KIND_PLAN, ReleasePlan
from leverframe.release.records import KIND_ENDPOINT

MLFLOW = ("mlflow==3.17.2", "lightgbm==4.6.0", "scikit-learn")


class Killed(BaseException):
    """The worker died here."""


class Place:
    """An installation with a dataset and a declared model of low risk, and a registry that it follows."""

    def __init__(self, home: Path, url: str, *, declared: bool = True, **request: Any) -> None:
        clear_environment()
        told = {"egress_hosts": url, "egress_networks": "127.0.0.0/8", "registry_interval_s": 0.1}
        self.parts = open_parts(Settings(home=home, **told))
        self.parts.queue.close()
        self.platform = Platform(dataclasses.replace(self.parts, queue=Immediately(self.parts)))  # type: ignore[arg-type]
        secrets = issue_tokens(self.platform)
        self.ana, self.olga = (self.platform.access.authenticate(secrets[name]) for name in ("ana", "olga"))
        if declared:
            self._declare(home.parent / "declared")
        asked = {
            "name": "mlflow",
            "url": url,
            "source": "delays",
            "team": "flights",
            "strategy": "blue_green",
            "risk_tier": "low",
        } | request
        self.platform.registries.add(self.olga, msgspec.convert(asked, RegistryRequest), key="follow")
        self.loop = RegistryLoop(self.parts)

    def _declare(self, place: Path) -> None:
        self.platform.data.apply_contract(self.ana, contract(), key="contract")
        rows = parquet(arrivals(time.time_ns() // 1000 - 10_000_000))
        assert self.platform.data.ingest(self.ana, "arrivals", rows, format="parquet", key="ingest").accepted
        made = import_mlflow(
            folder(place), home=place.parent / "other", name="delays", team="flights", owner="ana", now_us=1, risk_tier="low"
        )
        gates = (gate_rule("lower roc_auc >= 0.7"),)
        spec = msgspec.structs.replace(made.spec, dataset="arrivals", label="late", label_known_at="known_at", gates=gates)
        self.platform.training.apply_model(self.ana, spec, key="declare")

    def look(self) -> None:
        """The worker's look at registries, and one at releases."""
        self.loop.look()
        Controller(self.parts.ledger, "prod").tick(lambda since: iter(()), self.parts.clock.now_us())

    @property
    def live(self) -> str:
        endpoint = self.parts.ledger.get(KIND_ENDPOINT, "prod/delays", Endpoint)
        return endpoint.live.version if endpoint is not None and endpoint.live is not None else ""

    def followed(self) -> dict[int, tuple[str, str]]:
        return {each.number: (each.version, each.evaluated) for each in self.platform.registries.one("mlflow").followed}

    def close(self) -> None:
        self.loop.close()
        self.platform.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Recorded]:
    with recorded_registry() as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, server: Recorded) -> Iterator[Place]:
    opened = Place(tmp_path / "home", server.url)
    yield opened
    opened.close()


def artifacts(place: Path, seed: int) -> Path:
    """Another version of the model."""
    made = folder(place)
    (made / "model.lgb").write_text(model_text(4, seed))
    (made / "metadata").mkdir()
    (made / "metadata" / "MLmodel").write_text("beside")
    return made


def walk(place: Place, publish: Callable[[int], None], alias: Callable[[], int], wait: Callable[[Callable[[], bool]], None]) -> None:
    """From the first version over a second to its rollback, with the alias behind."""
    publish(1)
    wait(lambda: place.live == "delays@v2")
    assert place.followed() == {1: ("delays@v1", "delays@v2")}
    judged = place.platform.training.version("delays@v2")
    assert (judged.version.gates, judged.evaluation.rows) == ("pass", 600)
    assert place.platform.training.version("delays@v1").version.note == "version 1 of delays, registry mlflow"
    wait(lambda: alias() == 1)
    publish(2)
    wait(lambda: place.live == "delays@v4")
    wait(lambda: alias() == 2)
    entries = place.parts.ledger.entries_total()
    place.loop.look()
    assert place.parts.ledger.entries_total() == entries, "with nothing new a look writes nothing"
    place.platform.release.rollback(place.olga, "prod", "delays", reason="the walk's end", key="back")
    assert place.live == "delays@v2"
    wait(lambda: alias() == 1)
    assert [e.actor for e in place.platform.audit.entries(limit=500) if e.summary == "NoteAlias"] == ["platform"] * 3
    shown = place.platform.registries.one("mlflow")
    assert (shown.alias_number, shown.alias_version) == (1, "delays@v2")


def until(place: Place, holds: Callable[[], bool], seconds: float = 10.0) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, (place.live, place.platform.registries.one("mlflow"))
        place.look()


def test_versions_of_a_registry_are_released_and_its_alias_follows(place: Place, server: Recorded, tmp_path: Path) -> None:
    def publish(number: int) -> None:
        server.versions[number] = artifacts(tmp_path / f"m{number}", number)

    walk(place, publish, lambda: server.aliases.get("champion", 0), lambda holds: until(place, holds))


def test_of_two_workers_one_makes_the_plan(place: Place, server: Recorded, tmp_path: Path) -> None:
    server.versions[7] = artifacts(tmp_path / "m7", 7)
    loops = [RegistryLoop(place.parts) for _ in range(3)]
    threads = [threading.Thread(target=loop.look) for loop in loops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(place, lambda: place.live != "")
    plans = place.parts.ledger.find(KIND_PLAN, ReleasePlan)
    assert len(plans) == 1
    assert len(place.platform.training.versions("delays")) == 2, "imported, and evaluated: each once"
    for loop in loops:
        loop.close()


def _dying(real: Callable[..., Any], lives: list[int]) -> Callable[..., Any]:
    """``real``, and death right after it once ``lives`` are used up."""

    def write(*arguments: Any, **named: Any) -> Any:
        done = real(*arguments, **named)
        lives[0] -= 1
        if lives[0] < 0:
            raise Killed
        return done

    return write


def test_a_worker_that_is_killed_at_any_write_goes_on_where_it_was(place: Place, server: Recorded, tmp_path: Path) -> None:
    """Would be wrong if a kill between two steps left two versions, two plans, or none."""
    server.versions[1] = artifacts(tmp_path / "m1", 1)
    ledger, kills = place.parts.ledger, 0
    for after in range(40):
        with pytest.MonkeyPatch.context() as patch:
            lives = [after % 3]
            for name in ("write", "write_all"):
                patch.setattr(ledger, name, _dying(getattr(ledger, name), lives))
            try:
                place.loop.look()
            except Killed:
                kills += 1
                continue
            break
    assert kills >= 4
    until(place, lambda: server.aliases.get("champion") == 1)
    assert place.followed() == {1: ("delays@v1", "delays@v2")}
    assert len(place.platform.training.versions("delays")) == 2
    assert len(ledger.find(KIND_PLAN, ReleasePlan)) == 1


def test_an_alias_can_be_what_is_followed(tmp_path: Path, server: Recorded) -> None:
    for number in (1, 2, 3):
        server.versions[number] = artifacts(tmp_path / f"m{number}", number)
    place = Place(tmp_path / "home", server.url, watch="candidate", alias="live")
    place.look()
    assert place.followed() == {}
    server.aliases["candidate"] = 2
    until(place, lambda: server.aliases.get("live") == 2)
    assert place.followed() == {2: ("delays@v1", "delays@v2")}
    place.close()


def test_an_undeclared_model_is_planned_and_waits_for_its_gates(tmp_path: Path, server: Recorded) -> None:
    server.versions[1] = artifacts(tmp_path / "m1", 1)
    place = Place(tmp_path / "home", server.url, declared=False, risk_tier="high")
    place.look()
    (followed,) = place.platform.registries.one("mlflow").followed
    assert (followed.version, followed.evaluated, place.live, server.aliases) == ("delays@v1", "", "", {})
    missing = {each.rule for each in place.platform.release.plan_of(followed.plan).requirements if not each.holds}
    assert {"apply-gates-passed", "apply-high-risk", "evidence-runbook", "evidence-reproducible"} <= missing
    place.close()


def test_what_cannot_be_imported_is_said_once_and_tried_again_when_asked(place: Place, server: Recorded, tmp_path: Path) -> None:
    server.versions[1] = artifacts(tmp_path / "m1", 1)
    server.uri = "s3://bucket/models/m-{number}/artifacts"
    place.look()
    entries = place.parts.ledger.entries_total()
    place.look()
    assert place.parts.ledger.entries_total() == entries, "it is not tried, and not said, at every look"
    assert "not handed out by the server itself" in place.platform.registries.one("mlflow").followed[0].failure
    server.uri = "mlflow-artifacts:/0/models/m-{number}/artifacts"
    place.platform.registries.look(place.olga, "mlflow", key="again")
    until(place, lambda: place.live == "delays@v2")


def test_a_server_that_is_down_is_asked_again(place: Place, server: Recorded, tmp_path: Path) -> None:
    server.versions[1] = artifacts(tmp_path / "m1", 1)
    server.down = True
    place.look()
    assert place.followed() == {}
    server.down = False
    until(place, lambda: place.live == "delays@v2")


def test_an_alias_that_somebody_else_set_is_left_alone_while_nothing_of_the_registry_answers(place: Place, server: Recorded) -> None:
    server.aliases["champion"] = 9
    place.look()
    assert server.aliases == {"champion": 9}
    place.platform.registries.remove(place.olga, "mlflow", key="remove")
    with pytest.raises(NotFound):
        place.platform.registries.one("mlflow")


def _server(url: str, hosts: str, token: str = "") -> MlflowServer:
    from leverframe.governance.signing import SigningKey

    return MlflowServer(Egress(parse_allowed(hosts), parse_networks("127.0.0.0/8"), SigningKey.generate()), url, token)


def test_only_hosts_on_the_list_are_asked_and_credentials_go_along(server: Recorded, place: Place, tmp_path: Path) -> None:
    server.versions[1] = tmp_path
    with pytest.raises(Forbidden, match="does not name this one"):
        _server(server.url, "https://mlflow.example.com").model("delays")
    elsewhere = RegistryRequest(name="other", url="http://127.0.0.1:1/", source="x", team="flights")
    with pytest.raises(Forbidden, match="does not name this one"):
        place.platform.registries.add(place.olga, elsewhere, key="other")
    with pytest.raises(Forbidden):
        place.platform.registries.add(place.ana, elsewhere, key="other")
    server.token = "Basic YW5hOnNlY3JldA=="
    assert _server(server.url, server.url, "ana:secret").model("delays").name == "delays"
    with pytest.raises(Forbidden, match="other credentials"):
        _server(server.url, server.url, "a-token").model("delays")
    server.token = ""
    with pytest.raises(NotFound):
        _server(server.url, server.url).model("nothing")
    server.down = True
    with pytest.raises(Unavailable):
        _server(server.url, server.url).model("delays")


@pytest.mark.parametrize("name", ["../escaped", "a/../../b", "..", ""])
def test_no_file_is_written_outside_the_folder(name: str, server: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from leverframe.core.errors import Integrity

    asked = _server(server.url, server.url)
    into = tmp_path / "in" / "folder"
    into.mkdir(parents=True)
    real = asked._sent

    def lying(method: str, path: str, body: Any = None) -> Any:
        return {"files": [{"path": name, "is_dir": False, "file_size": 1}]} if "artifacts?" in path else real(method, path, body)

    monkeypatch.setattr(asked, "_sent", lying)
    server.versions[1] = tmp_path
    with pytest.raises((Integrity, NotFound, Unavailable)):
        asked.download("delays", 1, into)
    assert [path.name for path in (tmp_path / "in").rglob("*") if path.is_file() and path.parent != into] == []


# A real server ---------------------------------------------------------------------------------------------------

PUBLISH = """
import sys, mlflow, lightgbm, numpy as np, pandas as pd
from mlflow.models import infer_signature
booster = lightgbm.Booster(model_file=sys.argv[1])
rows = pd.DataFrame(np.random.default_rng(3).normal(size=(8, 4)), columns=[f"Column_{n}" for n in range(4)])
with mlflow.start_run():
    mlflow.lightgbm.log_model(booster, name="model", signature=infer_signature(rows, booster.predict(rows)),
                              input_example=rows, registered_model_name="delays")
"""


@pytest.fixture
def mlflow(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a real MLflow server, and the Python of its environment."""
    try:
        python = peer_python("mlflow-server", MLFLOW)
    except PeerUnavailable as error:
        pytest.skip(str(error))
    port = free_port()
    store = tmp_path / "mlflow"
    store.mkdir()
    command = [str(python.parent / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{store}/mlflow.db", "--artifacts-destination", str(store / "artifacts")]
    with (tmp_path / "mlflow.log").open("w") as log:
        running = subprocess.Popen(command, cwd=store, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        ends = time.monotonic() + 90
        while True:
            try:
                if httpx.get(f"{url}/health", timeout=1).status_code == 200:
                    break
            except httpx.HTTPError:
                assert time.monotonic() < ends, (tmp_path / "mlflow.log").read_text()[-2000:]
                time.sleep(0.2)
        yield url, python
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            # Its server waits for connections that nobody closes; what the walk found out stands.
            os.killpg(running.pid, signal.SIGKILL)
            running.wait(10)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_same_walk_behind_a_real_mlflow_server(mlflow: tuple[str, Path], tmp_path: Path) -> None:
    url, python = mlflow
    place = Place(tmp_path / "home", url)

    def publish(number: int) -> None:
        text = tmp_path / f"{number}.txt"
        text.write_text(model_text(4, number))
        environment = {**os.environ, "MLFLOW_TRACKING_URI": url, "PYTHONPATH": ""}
        done = subprocess.run([str(python), "-c", PUBLISH, str(text)], env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]

    def alias() -> int:
        said = httpx.get(f"{url}/api/2.0/mlflow/registered-models/get", params={"name": "delays"}).json()["registered_model"]
        return next((int(each["version"]) for each in said.get("aliases", []) if each["alias"] == "champion"), 0)

    walk(place, publish, alias, lambda holds: until(place, holds, 60))
    place.close()
