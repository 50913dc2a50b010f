"""P30: no code runs from a bundle. P31/P32: whatever bytes come in, the gateway answers 4xx or closes, and goes on."""

import json
import socket
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.serving.installation import PLAIN, TOKEN, Gateway, Installation, bundle_files, infer_body, start_gateway, table
from tests.serving.test_tables import external_model

from leverframe.core.route import Endpoint


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Gateway:
    home = tmp_path_factory.mktemp("hostile")
    installation = Installation(home)
    installation.publish(table(Endpoint(name="m", arms=(installation.arm("m@v1", 1),))))
    started = start_gateway(home)
    yield started
    started.process.kill()
    started.process.wait()


def talk(port: int, data: bytes) -> bytes:
    """Send ``data``, half-close, and read to the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        got = b""
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                got += piece
        except (ConnectionError, BrokenPipeError):
            pass
        return got


def post(body: bytes, target: bytes = b"/v2/models/m/infer", extra: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n%bContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (
        target, TOKEN.encode(), extra, len(body), body,
    )  # fmt: skip


def statuses(got: bytes) -> list[int]:
    return [int(line[9:12]) for line in got.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


def check(running: Gateway, got: bytes) -> None:
    assert all(status < 500 for status in statuses(got)), got[:500]
    assert running.call("/v2/models/m/infer", infer_body([0.0] * 4))[0] == 200
    assert "internal" not in running.page()["refusals"], "malformed input reached a fault of ours"


SETTINGS = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
GOOD = json.dumps(infer_body([0.5] * 4, "a")).encode()

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["name", "shape", "datatype", "data", "parameters", "id"]), inner, max_size=5)
    ),
    max_leaves=20,
)


@SETTINGS
@given(data=st.binary(max_size=600))
def test_p32_any_bytes(running, data):
    check(running, talk(running.port, data))


@SETTINGS
@given(
    body=st.binary(max_size=300),
    target=st.sampled_from([b"/v2/models/m/infer", b"/v2/models/m/feedback", b"/v2/models/%ff/infer", b"/v2/repository/index"]),
)
def test_p32_any_body(running, body, target):
    check(running, talk(running.port, post(body, target)))


@SETTINGS
@given(cut=st.integers(0, len(GOOD)), insert=st.binary(max_size=8), skip=st.integers(0, 20))
def test_p32_mutated_requests(running, cut, insert, skip):
    check(running, talk(running.port, post(GOOD[:cut] + insert + GOOD[cut + skip :])))


@SETTINGS
@given(
    document=st.fixed_dictionaries(
        {"inputs": st.lists(json_values, max_size=4)}, optional={"outputs": json_values, "parameters": json_values, "id": json_values}
    )
)
def test_p32_documents_of_any_shape(running, document):
    check(running, talk(running.port, post(json.dumps(document).encode())))


@SETTINGS
@given(
    size=st.integers(-1, 2**40), length=st.integers(0, 400), data=st.binary(max_size=64), shape=st.lists(st.integers(0, 2**31), max_size=3),
    datatype=st.sampled_from(["FP64", "FP16", "BYTES", "BOOL", "INT64", "UINT64", "X"]),
)  # fmt: skip
def test_p32_binary_tensors_of_any_shape(running, size, length, data, shape, datatype):
    head = json.dumps({"inputs": [{"name": "x0", "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": size}}]}).encode()
    check(running, talk(running.port, post(head + data, extra=b"Inference-Header-Content-Length: %d\r\n" % (length or len(head)))))


def test_p31_bombs_are_cheap_to_refuse(running):
    import gzip
    import time

    import psutil

    process = psutil.Process(running.process.pid)
    before, cpu = process.memory_info().rss, sum(process.cpu_times()[:2])
    bombs = [
        post(gzip.compress(b"\0" * 200_000_000, 9), extra=b"Content-Encoding: gzip\r\n"),
        post(b"[" * 1_000_000),
        post(b'{"inputs":[{"name":"x0","shape":[2147483648],"datatype":"FP64","data":[1]}]}'),
        b"POST /v2/models/m/infer HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100_000,
    ]
    started = time.monotonic()
    for bomb in bombs:
        got = statuses(talk(running.port, bomb))
        assert all(400 <= status < 500 for status in got), got
    assert time.monotonic() - started < 10
    assert sum(process.cpu_times()[:2]) - cpu < 2.0
    assert process.memory_info().rss - before < 64 * 1024 * 1024
    check(running, b"")


def test_p12_slow_clients_starve_nobody(running):
    slow = []
    for _ in range(300):
        connection = socket.create_connection(("127.0.0.1", running.port))
        connection.sendall(b"POST /v2/models/m/infer HTTP/1.1\r\nContent-Le")
        slow.append(connection)

    def drip() -> None:
        for connection in slow:
            connection.sendall(b"n")

    dripping = threading.Thread(target=drip)
    dripping.start()
    assert all(running.call("/v2/models/m/infer", infer_body([0.0] * 4))[0] == 200 for _ in range(100))
    dripping.join()
    for connection in slow:
        connection.close()


def test_p30_no_code_runs_from_a_published_bundle(tmp_path):
    import pickle

    canary = tmp_path / "canary"

    class Evil:
        def __reduce__(self):
            return (open, (str(canary), "w"))

    installation = Installation(tmp_path)
    good = installation.arm("m@v1", 1)
    installation.publish(table(Endpoint(name="m", arms=(good,)), generation=1))
    evil = pickle.dumps(Evil())
    bundles = [
        {**bundle_files(PLAIN, 1), "model.pkl": evil},
        {**bundle_files(PLAIN, 1), "model.joblib": evil},
        {**bundle_files(PLAIN, 1), "model.onnx": evil},
        {**bundle_files(PLAIN, 1), "model.lightgbm.txt": evil},
        {**bundle_files(PLAIN, 1), "golden.json": evil},
        {**bundle_files(PLAIN, 1), "model.onnx": external_model(str(canary))},
    ]
    running = start_gateway(tmp_path)
    try:
        for number, files in enumerate(bundles, 1):
            installation.publish(table(Endpoint(name="m", arms=(installation.bundle(files),)), generation=number + 1))
            running.wait(lambda page, wanted=number: page["table_refusals"] == wanted)
            assert running.call("/v2/models/m/infer", infer_body([0.0] * 4))[1]["model_version"] == "m@v1"
        assert not canary.exists(), "code ran from data"
        pickle.loads(evil)
        assert canary.exists(), "negative control: unpickling does run it"
    finally:
        running.process.kill()
        running.process.wait()
