"""gRPC under load against the KServe SDK's gRPC, in one run: the same messages, one server on one core, the load generator on the other.

Ours has authentication, sticky routing over two arms, missing-value policy, prediction log, metrics and limits on; the peer the model.
"""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from benchmarks.classifier import COLUMNS, train
from benchmarks.peers import PeerUnavailable, peer_python
from benchmarks.report import Report
from benchmarks.serving import setup
from benchmarks.serving.load import Measured
from benchmarks.serving.servers import free_port
from benchmarks.serving_grpc.load import measure, message

from leverframe.core.model import MODEL_ONNX
from leverframe.serving.doors.grpc import oip_pb2 as oip

SECONDS, ROUNDS, WARM_S, START_S_MAX = 1.5, 5, 0.5, 60.0
CLIENTS = (16, 64)
KSERVE = ("kserve==0.21.0", "onnxruntime==1.32.0")
METADATA = ((b"authorization", f"Bearer {setup.TOKEN}".encode()),)


def messages(rows_each: int, *, typed: bool = False) -> list[bytes]:
    """Distinct requests of ``rows_each`` rows, as one tensor [rows, 20] in raw bytes (or typed contents); the same for every server."""
    rng = np.random.default_rng(11)
    made = []
    for _ in range(setup.ROWS):
        request = oip.ModelInferRequest(model_name="m")
        tensor = request.inputs.add(name="rows", datatype="FP64", shape=[rows_each, COLUMNS])
        values = rng.normal(size=rows_each * COLUMNS)
        if typed:
            tensor.contents.fp64_contents.extend(values.tolist())
        else:
            request.raw_input_contents.append(values.tobytes())
        made.append(message(request.SerializeToString()))
    return made


@contextmanager
def _server(command: list[str], port: int, log: Path) -> Iterator[None]:
    """A server process on its own core, listening."""
    pin = (lambda: os.sched_setaffinity(0, {0})) if (os.cpu_count() or 1) > 1 and hasattr(os, "sched_setaffinity") else None
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, "OMP_NUM_THREADS": "1"}, preexec_fn=pin)
    try:
        deadline = time.monotonic() + START_S_MAX
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise PeerUnavailable(f"did not start: {log.read_text(errors='replace')[-400:]}") from None
                time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


def _medians(ports: Mapping[str, int], asked: Sequence[bytes], clients: int) -> dict[str, Measured]:
    """Rounds interleaved over the servers, so that a disturbance of the machine hits both; medians of each figure."""
    seen: dict[str, list[Measured]] = {name: [] for name in ports}
    for _ in range(ROUNDS):
        for name, port in ports.items():
            measured = measure(port, asked, METADATA, clients, SECONDS)
            assert measured.failures == 0, f"{name} failed {measured.failures} calls"
            seen[name].append(measured)
    return {
        name: Measured(
            *(statistics.median(getattr(m, f) for m in runs) for f in ("answers_per_s", "latency_ms_p50", "latency_ms_p99")), failures=0
        )
        for name, runs in seen.items()
    }


def _measure_all(home: Path, report: Report) -> None:
    peer = str(peer_python("serving-kserve", KSERVE))
    ports = {"leverframe": free_port(), "kserve": free_port()}
    commands = {
        "leverframe": [
            sys.executable, "-m", "leverframe.apps.gateway", "--home", str(home), "--port", "0", "--grpc-port", str(ports["leverframe"]),
        ],
        "kserve": [peer, str(Path(__file__).parent / "peer_kserve.py"), str(home / MODEL_ONNX), str(ports["kserve"]), str(free_port())],
    }  # fmt: skip
    with ExitStack() as stack:
        for name, command in commands.items():
            stack.enter_context(_server(command, ports[name], home / f"{name}.log"))
        single = messages(1)
        for port in ports.values():
            measure(port, single, METADATA, 4, WARM_S)
        for clients in CLIENTS:
            _compare(report, ports, single, clients, "1-row calls", bar=3.0 if clients == 16 else None)
        _compare(report, ports, messages(1, typed=True), 16, "1-row calls in typed contents")
        _compare(report, ports, messages(32), 16, "32-row calls")
        for name, measured in _medians(ports, single, 1).items():
            report.add("p50 at 1 client", round(measured.latency_ms_p50, 3), "ms", peer=name)


def _compare(report: Report, ports: Mapping[str, int], asked: Sequence[bytes], clients: int, what: str, bar: float | None = None) -> None:
    found = _medians(ports, asked, clients)
    for name, measured in found.items():
        report.add(f"{what} at {clients} clients", round(measured.answers_per_s), "calls/s", peer=name)
    ratio = found["leverframe"].answers_per_s / found["kserve"].answers_per_s
    report.add(f"{what} at {clients} clients, ratio", round(ratio, 2), "x", peer="kserve", bar=bar, better="higher")


def main() -> None:
    """Measure and report."""
    report = Report("serving_grpc", packages=("grpcio", "protobuf", "uvloop", "lightgbm", "onnxruntime"))
    report.versions["kserve"] = KSERVE[0].partition("==")[2]
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {1})
    with tempfile.TemporaryDirectory(prefix="lever-bench-") as folder:
        home = Path(folder)
        setup.install(home, {"m": ("f0", setup.write_model(home, train(threads=1)))})
        try:
            _measure_all(home, report)
        except PeerUnavailable as error:
            print(error)
            raise SystemExit(1) from error
    report.write()


if __name__ == "__main__":
    main()
