"""The whole program for tests: one small trained installation, made once a run, copied, and brought up as real processes.

The world is the first ten days of the real flights: some 9,000 questions, models of 25 small trees. ``flight-delay@v1`` is live, ``@v2`` is
as good (five trees more), ``@v3`` is broken: it was fitted on delays in hours while the online store keeps minutes.
"""

import asyncio
import atexit
import dataclasses
import http.client
import io
import json
import os
import random
import shutil
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from leverframe.apps.client import Client
from leverframe.apps.clocks import ReplayClock
from leverframe.apps.demo.project.features import VIEWS
from leverframe.apps.demo.project.models import BAD_UNITS_PREPARE, FLIGHT_DELAY
from leverframe.apps.demo.project.prepare import between, datasets, moment_us
from leverframe.apps.demo.stage import free_port
from leverframe.apps.durable import StepCaller
from leverframe.apps.fetch_workflow import FetchWorkflow
from leverframe.apps.materialize_workflow import MaterializeWorkflow
from leverframe.apps.platform.fetching import WORKFLOW as FETCH
from leverframe.apps.platform.materializing import WORKFLOW as MATERIALIZE
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.platform import Platform
from leverframe.apps.platform.reproducing import WORKFLOW as REPRODUCE
from leverframe.apps.platform.training import WORKFLOW as TRAIN
from leverframe.apps.platform.views import MaterializeRequest, PlanRequest, RunView, TrainRequest
from leverframe.apps.replay.driver import request_bodies
from leverframe.apps.replay.load import LoadClient
from leverframe.apps.reproduce_workflow import ReproduceWorkflow
from leverframe.apps.settings import Settings
from leverframe.apps.supervisor import Supervisor
from leverframe.apps.training_workflow import TrainingWorkflow
from leverframe.apps.wiring import open_parts
from leverframe.core.actor import Actor
from leverframe.core.clock import MINUTE_US
from leverframe.core.errors import Unavailable
from leverframe.core.verdict import GateRule

ENDPOINT, ENVIRONMENT, TEAM = "flight-delay", "prod", "flights"
FROM_US, NOW_US = moment_us(1, 1), moment_us(1, 11)
DATASETS = ("planes", "weather", "flights", "departures")
PEOPLE = {"ana": "engineer", "eva": "engineer", "ben": "approver", "olga": "operator"}
SPEC = msgspec.structs.replace(
    FLIGHT_DELAY,
    params={"num_iterations": 25, "learning_rate": 0.1, "num_leaves": 15, "min_data_in_leaf": 50},
    gates=(GateRule(metric="roc_auc", op=">=", threshold=0.52, bound="lower"),),
)


def parquet(frame: pl.DataFrame) -> bytes:
    """The rows as an uploadable file."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


@cache
def world() -> Mapping[str, pl.DataFrame]:
    """What had arrived by the small world's moment."""
    arrived = dict(datasets(NOW_US))
    arrived["flights"] = between(arrived["flights"], "asked_at", FROM_US, NOW_US)
    # A departure refers to its flight; the first hour's flights were asked about in the old year.
    arrived["departures"] = arrived["departures"].join(arrived["flights"].select("flight_id"), on="flight_id", how="semi")
    return arrived


class Immediately:
    """A queue that does the work at once, in this process, with nothing remembered."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def enqueue(self, workflow: str, workflow_id: str, argument: str, *, queue: str = "") -> None:
        """Run the workflow now."""

        def call(name: str, step: Callable[[], Any], *, retries: int = 0) -> Any:
            return step()

        remembered: StepCaller = call
        body = {TRAIN: TrainingWorkflow, MATERIALIZE: MaterializeWorkflow, REPRODUCE: ReproduceWorkflow, FETCH: FetchWorkflow}[workflow]
        body(self._parts).run(argument, remembered)

    def close(self) -> None:
        """Nothing is open."""


def open_in_process(settings: Settings) -> Platform:
    """The platform in this process; training runs and materialisations are carried out at once instead of by a worker."""
    parts = open_parts(settings)
    parts.queue.close()
    return Platform(dataclasses.replace(parts, queue=Immediately(parts)))  # type: ignore[arg-type]


def clear_environment() -> None:
    """No ``LEVER_*`` of the machine leaks into an installation."""
    for name in [name for name in os.environ if name.startswith("LEVER_")]:
        del os.environ[name]


def issue_tokens(platform: Platform) -> dict[str, str]:
    """Secrets by name: an administrator, the people of the team, and the service that asks for predictions."""
    secret = platform.access.bootstrap()
    assert secret is not None, "a fresh installation hands out its one-time token"
    secrets = {"admin": secret}
    admin = platform.access.authenticate(secret)
    for subject, role in {**PEOPLE, "booking-site": "service"}.items():
        secrets[subject] = platform.access.issue(admin, subject, (role,), (TEAM,), days=1, key=f"token-{subject}").secret
    return secrets


def fill(platform: Platform, ana: Actor) -> None:
    """Contracts, snapshots, views, materialised features and the model's spec."""
    folder = files("leverframe.apps.demo.project") / "contracts"
    for name in DATASETS:
        platform.data.apply_contract(ana, (folder / f"{name}.odcs.yaml").read_text(), key=f"contract-{name}")
    for name in DATASETS:
        done = platform.data.ingest(ana, name, parquet(world()[name]), format="parquet", key=f"ingest-{name}")
        assert done.accepted, done.report
    for view in VIEWS:
        platform.features.apply_view(ana, view, key=f"view-{view.name}")
    platform.training.apply_model(ana, SPEC, key="model")
    jobs = platform.materializing.start(ana, MaterializeRequest(), key="materialize")
    assert {job.status for job in jobs} == {"done"}, [job.failure for job in jobs]


def train(platform: Platform, ana: Actor, seed: int, **more: Any) -> RunView:
    """A finished run on the small world's ten days."""
    request = TrainRequest(model=ENDPOINT, from_us=FROM_US, to_us=NOW_US, seed=seed, **more)
    run = platform.training.start(ana, request, key=f"train-{seed}-{'-'.join(more)}")
    assert run.status == "succeeded", run.failure
    return run


def first_release(platform: Platform, secrets: Mapping[str, str]) -> None:
    """Plan, approval by another person, and the route to v1."""
    ana, ben = (platform.access.authenticate(secrets[name]) for name in ("ana", "ben"))
    plan = platform.release.plan(ana, PlanRequest(endpoint=ENDPOINT, version=f"{ENDPOINT}@v1", strategy="initial"), key="plan-1")
    platform.release.approve(ben, plan.digest, note="evidence read", key="approve-1")
    platform.release.apply(ana, plan.digest, key="apply-1")


@cache
def template() -> Path:
    """A home with three versions, the first of them live, and ``secrets.json``; made once a run and only copied afterwards."""
    clear_environment()
    home = Path(tempfile.mkdtemp(prefix="lfwhole")) / "home"
    atexit.register(shutil.rmtree, home.parent, ignore_errors=True)
    home.mkdir(mode=0o700)
    clock = ReplayClock(home / "replay.clock")
    clock.set(NOW_US)
    clock.close()
    platform = open_in_process(Settings(home=home, clock=f"replay:{home / 'replay.clock'}"))
    secrets = issue_tokens(platform)
    ana = platform.access.authenticate(secrets["ana"])
    fill(platform, ana)
    for seed, more in ((1, {}), (2, {"params": {"num_iterations": 30}}), (1, {"prepare": dict(BAD_UNITS_PREPARE)})):
        train(platform, ana, seed, **more)
    assert all(version.gates == "pass" for version in platform.training.versions(ENDPOINT)), platform.training.versions(ENDPOINT)
    first_release(platform, secrets)
    platform.close()
    (home / "secrets.json").write_text(json.dumps(secrets))
    return home


def copy_home(target: Path) -> Path:
    """A copy of the template's home; holes in its online store stay holes."""
    import subprocess

    subprocess.run(["cp", "-a", "--sparse=always", str(template()), str(target)], check=True)
    return target


class WholeProgram:
    """One running installation: control plane, worker and gateway under the supervisor that ``lever up`` uses.

    Parameters
    ----------
    home: a copy of :func:`template`, or another home with a ``secrets.json``.    revive: whether children that die are started again.
    settings: what is set otherwise than by default.
    """

    def __init__(self, home: Path, *, revive: bool = True, **settings: Any) -> None:
        clear_environment()
        self.home = home
        self.secrets: dict[str, str] = json.loads((home / "secrets.json").read_text())
        self.settings = Settings(
            home=home,
            clock=f"replay:{home / 'replay.clock'}",
            port=free_port(),
            gateway_port=free_port(),
            **{"gateway_grpc_port": 0, "look_interval_ms": 10, **settings},
        )
        self.clock = ReplayClock(home / "replay.clock")
        self.look = ReplayClock(home / "look.clock")
        self.supervisor = Supervisor(self.settings)
        self._revive = revive
        self._watcher = threading.Thread(target=self.supervisor.watch, daemon=True)
        self._clients: dict[str, Client] = {}

    def __enter__(self) -> "WholeProgram":
        try:
            self.supervisor.start()
        except Unavailable:
            self.supervisor.stop()
            raise
        if self._revive:
            self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients.values():
            client.close()
        self.supervisor.request_stop()
        if self._watcher.is_alive():
            self._watcher.join()
        self.supervisor.stop()

    # People and processes -------------------------------------------------------------------------------------------

    @property
    def control_url(self) -> str:
        """Where the control API answers."""
        return f"http://{self.settings.host}:{self.settings.port}"

    @property
    def gateway_url(self) -> str:
        """Where the gateway answers."""
        return f"http://{self.settings.gateway_host}:{self.settings.gateway_port}"

    def person(self, name: str) -> Client:
        """The client of one of the people; ``booking-site`` asks for predictions."""
        if name not in self._clients:
            self._clients[name] = Client(self.control_url, self.secrets[name], gateway_url=self.gateway_url)
        return self._clients[name]

    def pid(self, name: str) -> int:
        """The process id of a child."""
        process = next(child.process for child in self.supervisor.children if child.name == name)
        assert process is not None
        return process.pid

    def kill(self, name: str) -> int:
        """``kill -9`` a child and return its process id."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    # Talking to it ----------------------------------------------------------------------------------------------------

    def page(self) -> dict[str, Any]:
        """The gateway's health page; empty while it does not answer."""
        connection = http.client.HTTPConnection(self.settings.gateway_host, self.settings.gateway_port, timeout=2)
        try:
            connection.request("GET", "/", headers={"Authorization": f"Bearer {self.secrets['booking-site']}"})
            return dict(json.loads(connection.getresponse().read()))
        except (OSError, ValueError, http.client.HTTPException):
            return {}
        finally:
            connection.close()

    def wait_generation(self, generation: int, timeout_s: float = 20.0) -> dict[str, Any]:
        """The health page once the gateway runs at least ``generation``."""
        deadline = time.monotonic() + timeout_s
        while True:
            page = self.page()
            if (page.get("generation") or 0) >= generation:
                return page
            assert time.monotonic() < deadline, page
            time.sleep(0.01)

    def approved_plan(self, version: str, *, author: str = "ana", **more: Any) -> str:
        """The digest of a plan that Ben approved."""
        request = PlanRequest(endpoint=ENDPOINT, version=version, **{"strategy": "blue_green", **more})
        plan = self.person(author).release.plan(request)
        return self.person("ben").release.approve(plan.digest, "evidence read").digest


@contextmanager
def whole_program(folder: Path, **more: Any) -> Iterator[WholeProgram]:
    """A fresh installation under ``folder``, running."""
    with WholeProgram(copy_home(folder / "home"), **more) as running:
        yield running


class Traffic:
    """Questions in event time over the gateway's HTTP, with labels an hour of event time later, from a thread of this process.

    Every step the clock moves by ``step_us`` and ``batch`` questions with fresh ids are asked; questions that fail, because the gateway was
    killed under them, are counted and not asked again.
    """

    def __init__(self, program: WholeProgram, *, seed: int, batch: int = 10, step_us: int = 4 * MINUTE_US, pause_s: float = 0.0) -> None:
        self._program = program
        self._batch, self._step_us, self._pause_s = batch, step_us, pause_s
        self._random = random.Random(seed)
        rows = between(datasets()["flights"], "asked_at", NOW_US, moment_us(1, 16)).drop_nulls("late")
        self._bodies = [json.loads(body) for body in request_bodies(rows, FLIGHT_DELAY.request, "flight_id")]
        self._labels = [float(label) for label in rows["late"].to_list()]
        self.answered: dict[str, str] = {}
        self.failed = 0
        self.refused: list[str] = []
        self.latency_s_max = 0.0
        self._due: list[tuple[int, str, float]] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), daemon=True)

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    async def _live(self) -> None:
        client: LoadClient | None = None
        while not self._stopping.is_set():
            try:
                if client is None:
                    settings = self._program.settings
                    client = LoadClient(settings.gateway_host, settings.gateway_port, self._program.secrets["booking-site"])
                    await client.open()
                await self._step(client)
            except (OSError, Unavailable, TimeoutError):
                self.failed += 1
                client = None
                await asyncio.sleep(0.05)
            await asyncio.sleep(self._pause_s)
        if client is not None:
            client.close()

    async def _step(self, client: LoadClient) -> None:
        clock, look = self._program.clock, self._program.look
        # Event time never runs more than half an hour ahead of the release controller (decision 0003); a dead worker stops it.
        if clock.now_us() - look.now_us() < 30 * MINUTE_US:
            clock.set(clock.now_us() + self._step_us)
        now_us = clock.now_us()
        asked = []
        for _ in range(self._batch):
            index = self._random.randrange(len(self._bodies))
            request_id = uuid.UUID(int=self._random.getrandbits(128)).hex
            asked.append((request_id, self._labels[index], msgspec.json.encode({**self._bodies[index], "id": request_id})))
        started = time.monotonic()
        answers = await client.post(f"/v2/models/{ENDPOINT}/infer", [body for _, _, body in asked])
        self.latency_s_max = max(self.latency_s_max, time.monotonic() - started)
        for (request_id, label, _), answer in zip(asked, answers, strict=True):
            if answer.status == 200:
                self.answered[request_id] = json.loads(answer.body)["model_version"]
                self._due.append((now_us + 60 * MINUTE_US, request_id, label))
            else:
                self.refused.append(answer.body.decode(errors="replace")[:300])
        await self._report(client, now_us)

    async def _report(self, client: LoadClient, now_us: int) -> None:
        ready = [due for due in self._due if due[0] <= now_us]
        if ready:
            labels = [{"id": request_id, "label": label, "known_at_us": known_us} for known_us, request_id, label in ready]
            await client.post(f"/v2/models/{ENDPOINT}/feedback", [msgspec.json.encode({"labels": labels})])
            self._due = [due for due in self._due if due[0] > now_us]
