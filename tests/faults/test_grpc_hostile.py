"""P32/P31/P14/P12 at the gRPC door: whatever bytes come in, a call ends with a caller's status, memory stays, and others are served."""

import socket
import struct
import time

import grpc
import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.serving.grpc_caller import BEARER, Caller, grpc_gateway, rows_request
from tests.serving.installation import FLIGHT, Installation, table

from leverframe.core.route import Endpoint
from leverframe.serving.doors.grpc import oip_pb2 as oip
from leverframe.serving.doors.grpc.translate import CONTENTS

CALLERS_FAULT = {"INVALID_ARGUMENT", "UNAUTHENTICATED", "NOT_FOUND", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "PERMISSION_DENIED"}
SETTINGS = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
METHODS = ("ModelInfer", "ModelMetadata", "ModelReady", "RepositoryIndex", "RepositoryModelLoad", "ServerLive")
MIB = 1 << 20


@pytest.fixture(scope="module")
def doors(tmp_path_factory):
    home = tmp_path_factory.mktemp("hostile-grpc")
    installation = Installation(home)
    arms = {"m": installation.arm("m@v1", 1), "flight": installation.arm("f@v1", 4, signature=FLIGHT)}
    installation.publish(table(*(Endpoint(name=name, arms=(arm,)) for name, arm in arms.items())))
    with grpc_gateway(home) as both:
        yield both


def check(doors, answer) -> None:
    """A call ended well or by its caller's fault, and the door still answers."""
    gateway, caller = doors
    if not isinstance(answer, bytes | oip.ModelInferResponse):
        assert answer.code().name in CALLERS_FAULT, (answer.code(), answer.details())
    assert caller.infer(rows_request([[0.0] * 4])).outputs, "it answers no more"
    assert gateway.process.poll() is None


@pytest.fixture(scope="module", autouse=True)
def no_fault_of_ours(doors):
    yield
    assert "internal" not in doors[0].page()["refusals"], "malformed input reached a fault of ours"


GOOD = rows_request([[0.5, 1.5, -2.0, 0.0]], request_id="abc").SerializeToString()
TYPED = rows_request([[0.5, 1.5, -2.0, 0.0]], typed=True).SerializeToString()


@SETTINGS
@given(data=st.binary(max_size=400), method=st.sampled_from(METHODS))
def test_p32_any_bytes(doors, data, method):
    check(doors, doors[1].call(method, data))


@SETTINGS
@given(good=st.sampled_from([GOOD, TYPED]), cut=st.integers(0, len(TYPED)), insert=st.binary(max_size=8), skip=st.integers(0, 20))
def test_p32_mutated_messages(doors, good, cut, insert, skip):
    check(doors, doors[1].call("ModelInfer", good[:cut] + insert + good[cut + skip :]))


names = st.sampled_from(["x0", "x1", "rows", "origin", "carrier", "distance", "sched_dep_s", "", "\x00", "x" * 300])
parameter = st.one_of(
    st.builds(oip.InferParameter, bool_param=st.booleans()),
    st.builds(oip.InferParameter, int64_param=st.integers(-(2**63), 2**63 - 1)),
    st.builds(oip.InferParameter, double_param=st.floats()),
    st.builds(oip.InferParameter, string_param=st.text(max_size=8)),
    st.just(oip.InferParameter()),
)
parameters = st.dictionaries(st.sampled_from(["binary_data_output", "classification", "binary_data_size", "a"]), parameter, max_size=2)
contents = st.builds(
    oip.InferTensorContents,
    bool_contents=st.lists(st.booleans(), max_size=2),
    int_contents=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=3),
    int64_contents=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=2),
    uint64_contents=st.lists(st.integers(0, 2**64 - 1), max_size=2),
    fp32_contents=st.lists(st.floats(width=32), max_size=2),
    fp64_contents=st.lists(st.floats(), max_size=5),
    bytes_contents=st.lists(st.binary(max_size=6), max_size=3),
)
tensors = st.builds(
    oip.ModelInferRequest.InferInputTensor,
    name=names,
    datatype=st.sampled_from([*CONTENTS, "FP16", "BF16", "", "fp64"]),
    shape=st.lists(st.one_of(st.integers(-2, 5), st.integers(-(2**63), 2**63 - 1)), max_size=4),
    parameters=parameters,
    contents=st.one_of(st.none(), contents),
)
requests = st.builds(
    oip.ModelInferRequest,
    model_name=st.sampled_from(["m", "flight", "nobody", ""]),
    model_version=st.sampled_from(["", "1", "v1", "\x00", "9" * 50]),
    id=st.text(max_size=300),
    parameters=parameters,
    inputs=st.lists(tensors, max_size=5),
    outputs=st.lists(st.builds(oip.ModelInferRequest.InferRequestedOutputTensor, name=names, parameters=parameters), max_size=2),
    raw_input_contents=st.lists(st.binary(max_size=40), max_size=5),
)


@SETTINGS
@given(request=requests)
def test_p32_requests_of_any_shape(doors, request):
    check(doors, doors[1].infer(request))


@SETTINGS
@given(size=st.integers(0, 2**32 - 1), data=st.binary(max_size=24), rows=st.integers(0, 4), datatype=st.sampled_from([*CONTENTS, "FP16"]))
def test_p32_raw_contents_of_any_length(doors, size, data, rows, datatype):
    request = oip.ModelInferRequest(model_name="flight")
    request.inputs.add(name="origin", datatype=datatype, shape=[rows])
    request.raw_input_contents.append(struct.pack("<I", size) + data)
    check(doors, doors[1].infer(request))


@SETTINGS
@given(
    key=st.sampled_from(["authorization", "x-any", "authorization-bin", "grpc-any"]),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=400),
)
def test_p32_metadata_of_any_kind(doors, key, value):
    sent: str | bytes = value.encode() if key.endswith("-bin") else value
    answer = doors[1].call("ModelInfer", GOOD, metadata=((key, sent),))
    assert not isinstance(answer, bytes)
    check(doors, answer)


def test_p31_bombs_are_cheap_to_refuse(doors):
    gateway, caller = doors
    process = psutil.Process(gateway.process.pid)
    before, cpu = process.memory_info().rss, sum(process.cpu_times()[:2])
    rows = rows_request([[0.0] * 4])
    rows.inputs[0].shape[:] = [2**31, 4]
    many = oip.ModelInferRequest(model_name="m", inputs=[oip.ModelInferRequest.InferInputTensor()] * 200_000)
    bombs = [
        caller.call("ModelInfer", b"\0" * 16 * MIB),
        caller.call("ModelInfer", b"\0" * 200 * MIB, compression=grpc.Compression.Gzip),
        caller.infer(rows),
        caller.infer(many),
        caller.infer(rows_request(np.zeros((20_000, 4)))),
        caller.call("ModelInfer", GOOD, metadata=(*BEARER, ("x-long", "a" * 100_000))),
    ]
    assert [error.code().name for error in bombs[:2]] == ["RESOURCE_EXHAUSTED"] * 2
    for error in bombs:
        check(doors, error)
    assert process.memory_info().rss - before < 64 * MIB
    assert sum(process.cpu_times()[:2]) - cpu < 3.0


@pytest.mark.slow
def test_p32_memory_does_not_grow_over_bad_messages(doors):
    gateway, caller = doors
    process = psutil.Process(gateway.process.pid)
    bad = rows_request([[0.0] * 3]).SerializeToString()
    send = caller.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")

    def ask(count: int) -> None:
        for _ in range(count // 100):
            waiting = [send.future(data, metadata=BEARER) for data in (bad, b"\xff" * 200) for _ in range(50)]
            assert {call.code().name for call in waiting} <= {"INVALID_ARGUMENT", "UNAVAILABLE"}, "refused, or shed"

    ask(2_000)
    before = process.memory_info().rss
    ask(20_000)
    assert process.memory_info().rss - before < 8 * MIB


def http2(port: int, after: bytes = b"") -> socket.socket:
    """A connection that has begun to speak HTTP/2."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=5)
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + after)
    return connection


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def head(method: bytes = b"/inference.GRPCInferenceService/ModelInfer", more: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    fields = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", method),
        (b":authority", b"x"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    ]
    return b"".join(b"\0" + bytes((len(n),)) + n + bytes((len(v),)) + v for n, v in (*fields, *more))


def ended(connection: socket.socket, seconds: float) -> bool:
    """Whether the server closes the connection within ``seconds``."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            connection.settimeout(max(0.01, until - time.monotonic()))
            if not connection.recv(65536):
                return True
        except TimeoutError:
            return False
        except ConnectionError:
            return True
    return False


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 5000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 5000])
def test_p32_what_is_no_http2_is_closed(doors, data):
    with socket.create_connection(("127.0.0.1", doors[1].port), timeout=5) as connection:
        connection.sendall(data)
        assert ended(connection, 5)
    check(doors, b"")


def test_p32_pings_without_end_are_cut_off(doors):
    with http2(doors[1].port) as connection:
        closed = False
        for _ in range(200):
            try:
                connection.sendall(frame(6, 0, 0, b"12345678"))
            except ConnectionError:
                closed = True
                break
        assert closed or ended(connection, 5), "a client may ping for ever"
    check(doors, b"")


def test_p32_calls_reset_as_soon_as_they_are_made(doors):
    """CVE-2023-44487: requests that cost the client nothing because it takes each back at once."""
    process = psutil.Process(doors[0].process.pid)
    before = process.memory_info().rss
    with http2(doors[1].port) as connection:
        for number in range(5000):
            stream = 2 * number + 1
            try:
                connection.sendall(frame(1, 4, stream, head()) + frame(3, 0, stream, b"\0\0\0\x08"))
            except ConnectionError:
                break
        check(doors, b"")
    assert process.memory_info().rss - before < 32 * MIB
    check(doors, b"")


def test_p12_heads_without_messages_starve_nobody(doors):
    """Each opens as many calls as a connection may and never sends their messages; the library's own threaded server has no thread left."""
    gateway, _ = doors
    opened = b"".join(frame(1, 4, 2 * number + 1, head()) for number in range(100))
    slow = [http2(doors[1].port, opened) for _ in range(5)]
    try:
        fresh = Caller(doors[1].port)
        assert all(fresh.infer(rows_request([[0.0] * 4]), timeout=5).outputs for _ in range(50))
        fresh.channel.close()
    finally:
        for connection in slow:
            connection.close()
    assert gateway.page()["ready"]


@pytest.mark.slow
def test_p12_a_message_that_never_comes_is_given_up(doors):
    with http2(doors[1].port, frame(1, 4, 1, head())) as connection:
        connection.settimeout(20)
        started, got = time.monotonic(), b""
        while frame(3, 0, 1, b"")[3:9] not in got and b"grpc-status" not in got and time.monotonic() - started < 15:
            try:
                got += connection.recv(65536)
            except TimeoutError:
                break
        assert 5 < time.monotonic() - started < 14, "the call was not ended at its bound"


def test_negative_control_the_librarys_threads_are_starved():
    """The same heads without messages against grpcio's threaded server: nobody else is served."""
    from concurrent import futures

    server = grpc.server(futures.ThreadPoolExecutor(16))
    handlers = {"ModelInfer": grpc.unary_unary_rpc_method_handler(lambda data, context: data)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    caller = Caller(port)
    try:
        assert caller.call("ModelInfer", b"x") == b"x"
        opened = b"".join(frame(1, 4, 2 * number + 1, head()) for number in range(20))
        with http2(port, opened):
            time.sleep(0.5)
            starved = caller.call("ModelInfer", b"x", timeout=1.0)
            assert not isinstance(starved, bytes), "the control protects: this fault test proves nothing"
            assert starved.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    finally:
        caller.channel.close()
        server.stop(None)
