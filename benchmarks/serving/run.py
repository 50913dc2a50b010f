"""The gateway under load against its peers, in one run: distinct rows, one server on one core, the load generator on the other.

Ours has authentication, sticky routing over two arms, missing-value policy, prediction log, metrics and limits on; the bare limit nothing.
"""

import hashlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import lightgbm
import msgspec
import numpy as np
from benchmarks.peers import PeerUnavailable, peer_python
from benchmarks.report import Report
from benchmarks.serving import flight
from benchmarks.serving.load import Measured, measure

from leverframe.core.digest import canonical_json
from leverframe.core.model import GOLDEN, MODEL_LIGHTGBM, MODEL_ONNX, SIGNATURE, Golden
from leverframe.core.route import Arm, Caller, Endpoint, RouteTable
from leverframe.core.schema import InputColumn, OutputField, RequestField, Signature
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.bundles import write_bundle
from leverframe.governance.publication import Publication
from leverframe.governance.signing import load_or_create
from leverframe.training.export import export_onnx

COLUMNS, TREES, ROWS = 20, 200, 2000
SECONDS, ROUNDS, WARM_S = 1.5, 5, 0.5
CONNECTIONS = (16, 64)
TOKEN = "benchmark-token"
KSERVE = ("kserve==0.15.2", "onnxruntime>=1.20", "setuptools<81")
START_S_MAX = 60.0
SERVER_CORE, LOAD_CORE = 0, 1
SIGNATURE_OF_20 = Signature(
    request=tuple(RequestField(name=f"f{i}", datatype="FP64") for i in range(COLUMNS)),
    columns=tuple(InputColumn(name=f"f{i}", source="request", field=f"f{i}") for i in range(COLUMNS)),
    outputs=(OutputField(name="probability"),),
)


def _model(home: Path) -> Mapping[str, bytes]:
    """A bundle's files: 200 trees over 20 columns; also written to ``home`` for those who want a path."""
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(20_000, COLUMNS))
    target = (rows[:, 0] + rows[:, 1] * rows[:, 2] + rng.normal(size=len(rows)) > 0).astype(float)
    params = {"objective": "binary", "num_leaves": 31, "verbose": -1, "num_threads": 1, "seed": 7, "deterministic": True}
    booster = lightgbm.train(params, lightgbm.Dataset(rows, target), TREES)
    text = booster.model_to_string()
    golden = Golden(
        columns=tuple(column.name for column in SIGNATURE_OF_20.columns),
        rows=tuple(tuple(map(float, row)) for row in rows[:32]),
        expected=tuple((float(score),) for score in booster.predict(rows[:32])),
        tolerance=1e-9,
    )
    files = {
        MODEL_LIGHTGBM: text.encode(),
        MODEL_ONNX: export_onnx(text),
        SIGNATURE: msgspec.json.encode(SIGNATURE_OF_20),
        GOLDEN: msgspec.json.encode(golden),
    }
    for name, data in files.items():
        (home / name).write_bytes(data)
    return files


def _install(home: Path, files: Mapping[str, bytes]) -> None:
    """Sign and publish what a gateway under ``home`` serves: two arms, half the callers each, sticky by the first field."""
    key, artifacts = load_or_create(home / "keys"), ArtifactStore(str(home / "artifacts"))
    flight.fill_store(home)
    endpoints = []
    for name, field, content in (("m", "f0", files), (flight.NAME, "tailnum", flight.files_of(files))):
        bundle, envelope = write_bundle(artifacts, key, model=name, files=content, created_at_us=1)
        arms = tuple(
            Arm(version=f"{name}@v{number}", bundle=bundle, envelope=envelope, role=role, weight=50.0)
            for number, role in ((1, "live"), (2, "canary"))
        )
        endpoints.append(Endpoint(name=name, arms=arms, hash_field=field, salt="s"))
    routes = RouteTable(
        environment="prod",
        generation=1,
        issued_at_us=1,
        endpoints=tuple(endpoints),
        callers=(Caller(token_sha256=hashlib.sha256(TOKEN.encode()).hexdigest(), subject="service:benchmark"),),
    )
    signed = key.sign("application/vnd.leverframe.routes+json", canonical_json(routes))
    Publication(str(home / "published")).publish("routes-prod", signed)


def _requests(rows_each: int) -> list[bytes]:
    """2,000 distinct requests of ``rows_each`` rows, as one tensor [rows, 20]; the same bytes for every server."""
    rng = np.random.default_rng(11)
    requests = []
    for _ in range(ROWS):
        data = rng.normal(size=rows_each * COLUMNS).tolist()
        body = msgspec.json.encode({"inputs": [{"name": "rows", "shape": [rows_each, COLUMNS], "datatype": "FP64", "data": data}]})
        requests.append(_request("m", body))
    return requests


def _request(model: str, body: bytes) -> bytes:
    head = (
        f"POST /v2/models/{model}/infer HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def _server(command: list[str], port: int, log: Path) -> Iterator[int]:
    """A server process on its own core, ready to answer."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pin = (lambda: os.sched_setaffinity(0, {SERVER_CORE})) if (os.cpu_count() or 1) > 1 and hasattr(os, "sched_setaffinity") else None
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, preexec_fn=pin)
    try:
        deadline = time.monotonic() + START_S_MAX
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=1).read()
                break
            except urllib.error.HTTPError:
                break
            except (OSError, ValueError):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise PeerUnavailable(f"did not start: {log.read_text(errors='replace')[-400:]}") from None
                time.sleep(0.1)
        yield port
    finally:
        process.kill()
        process.wait()


def _commands(home: Path) -> dict[str, Callable[[int], list[str]]]:
    python = sys.executable
    commands: dict[str, Callable[[int], list[str]]] = {
        "limit": lambda port: [python, "-m", "benchmarks.serving.limit", str(home / MODEL_LIGHTGBM), str(COLUMNS), str(port)],
        "leverframe": lambda port: [python, "-m", "leverframe.apps.gateway", "--home", str(home), "--port", str(port)],
    }
    peer = str(peer_python("kserve", KSERVE))
    commands["kserve"] = lambda port: [peer, str(Path(__file__).parent / "kserve_peer.py"), str(home / MODEL_ONNX), str(port)]
    return commands


def _medians(home: Path, ports: Mapping[str, int], requests: list[bytes], connections: int) -> dict[str, Measured]:
    """Rounds interleaved over the servers, so that a disturbance of the machine hits all; medians of each figure."""
    seen: dict[str, list[Measured]] = {name: [] for name in ports}
    for _ in range(ROUNDS):
        for name, port in ports.items():
            measured = measure(port, requests, connections, SECONDS)
            assert measured.failures == 0, f"{name} failed {measured.failures} requests; see {home / f'{name}.log'}"
            seen[name].append(measured)
    return {
        name: Measured(
            *(statistics.median(getattr(m, f) for m in runs) for f in ("answers_per_s", "latency_ms_p50", "latency_ms_p99")), failures=0
        )
        for name, runs in seen.items()
    }


def main() -> None:
    """Measure and report."""
    report = Report("serving", packages=("uvloop", "httptools", "msgspec", "lightgbm", "onnxruntime"))
    report.versions["kserve"] = KSERVE[0].partition("==")[2]
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {LOAD_CORE})
    with tempfile.TemporaryDirectory(prefix="lever-bench-") as folder:
        home = Path(folder)
        _install(home, _model(home))
        _measure_all(home, report)
    report.write()


def _measure_all(home: Path, report: Report) -> None:
    with ExitStack() as stack:
        ports: dict[str, int] = {}
        try:
            commands = _commands(home)
        except PeerUnavailable as error:
            print(error)
            raise SystemExit(1) from error
        for name, command in commands.items():
            port = _free_port()
            ports[name] = stack.enter_context(_server(command(port), port, home / f"{name}.log"))
        single = _requests(1)
        for port in ports.values():
            measure(port, single, 4, WARM_S)
        for connections in CONNECTIONS:
            found = _medians(home, ports, single, connections)
            for name, measured in found.items():
                report.add(f"1-row requests at {connections} connections", round(measured.answers_per_s), "requests/s", peer=name)
            for peer, bar in (("kserve", 10.0), ("limit", 0.7)):
                ratio = round(found["leverframe"].answers_per_s / found[peer].answers_per_s, 2)
                report.add(f"ratio at {connections} connections", ratio, "x", peer=peer, bar=bar, better="higher")
        found = _medians(home, ports, single, 1)
        report.add("p50 at 1 connection", round(found["leverframe"].latency_ms_p50, 3), "ms", peer="leverframe", bar=0.2)
        report.add("p50 at 1 connection", round(found["kserve"].latency_ms_p50, 3), "ms", peer="kserve")
        many = _requests(32)
        without = {name: port for name, port in ports.items() if name != "limit"}
        found = _medians(home, without, many, 16)
        for name, measured in found.items():
            report.add("32-row requests at 16 connections", round(measured.answers_per_s), "requests/s", peer=name)
        ratio = found["leverframe"].answers_per_s / found["kserve"].answers_per_s
        report.add("32-row ratio", round(ratio, 2), "x", peer="kserve", bar=4, better="higher")
        _measure_look_ups(ports["leverframe"], single, report)


def _measure_look_ups(port: int, single: list[bytes], report: Report) -> None:
    """Ours alone: what looking features up costs, against the same trees fed from the request."""
    looked_up = [_request(flight.NAME, body) for body in flight.bodies(1, ROWS)]
    ranking = [_request(flight.NAME, body) for body in flight.bodies(500, 100)]
    rates: dict[str, list[float]] = {"without": [], "with": []}
    p50 = []
    for _ in range(ROUNDS):
        for name, requests in (("without", single), ("with", looked_up)):
            rates[name].append(measure(port, requests, 16, SECONDS).answers_per_s)
        found = measure(port, ranking, 1, SECONDS)
        assert found.failures == 0
        p50.append(found.latency_ms_p50)
    report.add(
        "1-row requests with look-up of 15 features in 4 views", round(statistics.median(rates["with"])), "requests/s", peer="leverframe"
    )
    ratio = statistics.median(rates["with"]) / statistics.median(rates["without"])
    report.add("with look-up against without", round(ratio, 2), "x", peer="leverframe", bar=0.7, better="higher")
    report.add("500-candidate ranking request, p50", round(statistics.median(p50), 2), "ms", peer="leverframe", bar=5.0)


if __name__ == "__main__":
    main()
