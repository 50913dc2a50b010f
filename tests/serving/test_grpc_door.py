"""The gRPC door of a real gateway, asked by Triton's stock client and by bare stubs: the same answers, log and refusals as REST's."""

import os
import signal
import time

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tests.serving.grpc_caller import BEARER, grpc_gateway, rows_request
from tests.serving.installation import FLIGHT, TOKEN, Installation, infer_body, read_log, start_gateway, table

from leverframe.core.route import Endpoint, Fallback
from leverframe.serving.doors.grpc import oip_pb2 as oip
from leverframe.serving.doors.grpc.limits import GrpcLimits

HEADERS = {"authorization": f"Bearer {TOKEN}"}
ROWS = np.random.default_rng(5).normal(size=(40, 4))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grpc")
    installation = Installation(folder)
    canary = installation.arm("m@v2", 2, role="canary", weight=40.0)
    arms = (installation.arm("m@v1", 1, weight=60.0), canary, installation.arm("m@v3", 3, role="shadow", weight=0.0))
    killed = Endpoint(name="killed", arms=(installation.arm("k@v1", 1),), killed=True, fallback=Fallback(value=0.25))
    shut = Endpoint(name="shut", arms=(installation.arm("s@v1", 1),), killed=True)
    flight = Endpoint(name="flight", arms=(installation.arm("f@v1", 4, signature=FLIGHT),))
    installation.publish(table(Endpoint(name="m", arms=arms, hash_field="x1", salt="s"), killed, shut, flight))
    return folder


@pytest.fixture(scope="module")
def doors(home):
    with grpc_gateway(home) as both:
        yield both


@pytest.fixture(scope="module")
def client(doors):
    stock = triton.InferenceServerClient(f"127.0.0.1:{doors[1].port}")
    yield stock
    stock.close()


def tensor(name: str, values: np.ndarray, datatype: str) -> triton.InferInput:
    return triton.InferInput(name, list(values.shape), datatype).set_data_from_numpy(values)


def status_of(error: grpc.RpcError) -> str:
    assert isinstance(error, grpc.RpcError), "it was answered"
    return error.code().name


def test_the_stock_client_finds_its_way(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("m", headers=HEADERS)
    assert client.is_model_ready("m", "2", headers=HEADERS)
    assert client.get_server_metadata(headers=HEADERS).name == "leverframe"
    metadata = client.get_model_metadata("m", headers=HEADERS)
    assert list(metadata.versions) == ["m@v1", "m@v2"], "a shadow is nobody's to ask"
    assert [(field.name, field.datatype, list(field.shape)) for field in metadata.inputs] == [(f"x{i}", "FP64", [-1]) for i in range(4)]
    index = client.get_model_repository_index(headers=HEADERS).models
    assert {(model.name, model.version, model.state) for model in index if model.name == "m"} == {
        ("m", f"m@v{number}", "READY") for number in (1, 2, 3)
    }


def test_the_stock_client_is_answered(client):
    answer = client.infer("m", [tensor("rows", ROWS[:1], "FP64")], request_id="r-1", headers=HEADERS)
    assert answer.as_numpy("probability").shape == (1,)
    said = answer.get_response()
    assert said.id == "r-1"
    assert said.model_version == f"m@v{1 if said.parameters['arm'].string_param == 'live' else 2}"
    assert said.parameters["generation"].int64_param == 1
    columns = [tensor(f"x{index}", ROWS[:5, index].astype(np.float32), "FP32") for index in range(4)]
    wanted = [triton.InferRequestedOutput("probability")]
    assert client.infer("m", columns, outputs=wanted, model_version="v2", headers=HEADERS).as_numpy("probability").shape == (5,)


def test_text_and_integers(client, doors):
    values = {"origin": np.array([b"JFK"], dtype=object), "carrier": np.array([b"B6"], dtype=object)}
    inputs = [tensor(name, value, "BYTES") for name, value in values.items()]
    inputs += [tensor("distance", np.array([187.0]), "FP64"), tensor("sched_dep_s", np.array([1364814000]), "INT64")]
    document = {
        "inputs": [
            {"name": "origin", "shape": [1], "datatype": "BYTES", "data": ["JFK"]},
            {"name": "carrier", "shape": [1], "datatype": "BYTES", "data": ["B6"]},
            {"name": "distance", "shape": [1], "datatype": "FP64", "data": [187.0]},
            {"name": "sched_dep_s", "shape": [1], "datatype": "INT64", "data": [1364814000]},
        ]
    }
    status, rest = doors[0].call("/v2/models/flight/infer", document)
    assert status == 200
    answer = client.infer("flight", inputs, headers=HEADERS)
    assert answer.as_numpy("probability").tolist() == rest["outputs"][0]["data"]
    said = answer.get_response().parameters
    # No feature was ever materialised here: both doors say so.
    assert (said["missing"].int64_param, said["missing_features"].string_param) == (
        rest["parameters"]["missing"],
        rest["parameters"]["missing_features"],
    )


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("rows", [1, 7])
def test_the_same_bits_as_rest(doors, rows, typed):
    gateway, caller = doors
    for start in range(0, 35, 7):
        part = ROWS[start : start + rows]
        data = {"name": "rows", "shape": list(part.shape), "datatype": "FP64", "data": part.ravel().tolist()}
        status, rest = gateway.call("/v2/models/m/infer", {"inputs": [data]})
        answer = caller.infer(rows_request(part, typed=typed))
        assert status == 200
        output = answer.outputs[0]
        scores = list(output.contents.fp64_contents) if typed else np.frombuffer(answer.raw_output_contents[0], "<f8").tolist()
        assert scores == rest["outputs"][0]["data"]
        assert (answer.model_version, list(output.shape)) == (rest["model_version"], rest["outputs"][0]["shape"])
        assert answer.parameters["arm"].string_param == rest["parameters"]["arm"]


def test_fallbacks_are_marked(doors):
    answer = doors[1].infer(rows_request(ROWS[:2], model="killed"))
    assert np.frombuffer(answer.raw_output_contents[0], "<f8").tolist() == [0.25, 0.25]
    assert answer.parameters["fallback"].string_param == "constant"
    assert answer.parameters["fallback_reason"].string_param
    refused = doors[1].infer(rows_request(ROWS[:2], model="shut"))
    _, rest = doors[0].call("/v2/models/shut/infer", infer_body(ROWS[0].tolist()))
    assert status_of(refused) == "UNAVAILABLE"
    assert dict(refused.trailing_metadata())["lever-code"] == rest["code"]
    assert refused.details() == rest["error"]


def test_refusals_say_what_and_what_next(doors):
    error = doors[1].infer(rows_request(ROWS[:1, :3]))
    assert status_of(error) == "INVALID_ARGUMENT"
    assert "expected [rows, 4], got [1, 3]" in error.details()
    assert 'Example: {"inputs":[{"name":"x0"' in error.details()
    trailers = dict(error.trailing_metadata())
    assert trailers["lever-code"] == "schema_mismatch"
    assert b'"next":"see the example' in trailers["lever-error-bin"]


def test_who_may_not(doors):
    _, caller = doors
    good = rows_request(ROWS[:1])
    for metadata in ((), (("authorization", "Bearer other"),), (("authorization", TOKEN),)):
        for method, data in (
            ("ModelInfer", good.SerializeToString()), ("ModelMetadata", oip.ModelMetadataRequest(name="m").SerializeToString()),
            ("ModelReady", b""), ("RepositoryIndex", b""), ("RepositoryModelLoad", b""), ("ModelInfer", b""),
        ):  # fmt: skip
            assert status_of(caller.call(method, data, metadata=metadata)) == "UNAUTHENTICATED", method
    for method in ("ServerLive", "ServerReady"):
        assert isinstance(caller.call(method, b"", metadata=()), bytes)


def test_what_there_is_not(doors):
    _, caller = doors
    assert status_of(caller.infer(rows_request(ROWS[:1], model="nobody"))) == "NOT_FOUND"
    request = rows_request(ROWS[:1])
    for version in ("9", "v3"):
        request.model_version = version
        assert status_of(caller.infer(request)) == "NOT_FOUND"
    request = rows_request(ROWS[:1])
    request.outputs.add(name="score")
    assert status_of(caller.infer(request)) == "INVALID_ARGUMENT"
    assert status_of(caller.call("ModelStatistics", b"")) == "UNIMPLEMENTED"
    assert status_of(caller.call("/other.Service/Method", b"")) == "UNIMPLEMENTED"


def test_nobody_changes_what_is_served(doors):
    _, caller = doors
    asked = oip.RepositoryModelLoadRequest(model_name="m")
    assert caller.call("RepositoryModelLoad", asked.SerializeToString()) == b"", "it is loaded: nothing is left to do"
    assert status_of(caller.call("RepositoryModelUnload", asked.SerializeToString())) == "FAILED_PRECONDITION"
    asked.parameters["config"].string_param = "{}"
    assert status_of(caller.call("RepositoryModelLoad", asked.SerializeToString())) == "FAILED_PRECONDITION"


def test_the_log_adds_up_over_both_doors(home):
    before = read_log(home / "log")[1] if (home / "log").exists() else None
    with grpc_gateway(home, "--worker", "gateway-9") as (gateway, caller):
        for number, row in enumerate(ROWS):
            gateway.call("/v2/models/m/infer", infer_body(row.tolist(), f"rest-{number}"))
            caller.infer(rows_request(row[None], request_id=f"grpc-{number}"))
            caller.infer(rows_request(row[None, :2]))
        assert gateway.page()["refusals"] == {"schema_mismatch": len(ROWS)}
        assert gateway.stop() == 0
    records, counts = read_log(home / "log")
    assert counts.adds_up
    assert counts.served - (before.served if before else 0) == 2 * len(ROWS)
    by_id = {record.id: record for record in records if record.role != "shadow"}
    for number, row in enumerate(ROWS):
        rest, grpc_record = by_id[f"rest-{number}"], by_id[f"grpc-{number}"]
        assert (rest.outputs, rest.features, rest.version) == (grpc_record.outputs, grpc_record.features, grpc_record.version)
        assert grpc_record.features == row.astype("<f8").tobytes()


def test_a_call_whose_time_is_over_asks_no_model(home):
    with grpc_gateway(home, "--worker", "gateway-8") as (gateway, caller):
        assert caller.infer(rows_request(ROWS[:1])).outputs
        os.kill(gateway.process.pid, signal.SIGSTOP)
        errors = [caller.infer(rows_request(ROWS[:1]), timeout=0.1) for _ in range(2)]
        os.kill(gateway.process.pid, signal.SIGCONT)
        assert {status_of(error) for error in errors} == {"DEADLINE_EXCEEDED"}
        assert caller.infer(rows_request(ROWS[:1]), timeout=5.0).outputs
        assert gateway.page()["log"]["served"] == 2, "a model was asked for callers who had given up"


def test_a_stop_finishes_what_is_under_way(home):
    before = read_log(home / "log")[1].served if (home / "log").exists() else 0
    with grpc_gateway(home, "--worker", "gateway-7") as (gateway, caller):
        calls = [caller.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer") for _ in range(200)]
        waiting = [call.future(rows_request(ROWS[:1]).SerializeToString(), metadata=BEARER) for call in calls]
        assert waiting[0].result(timeout=10)
        gateway.process.terminate()
        began = time.monotonic()
        turned_away = [call.code() for call in waiting if call.exception(timeout=20) is not None]
        assert gateway.process.wait(15) == 0
        assert time.monotonic() - began < GrpcLimits().stop_grace_s, "a call under way was waited for in vain"
    assert set(turned_away) <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    counts = read_log(home / "log")[1]
    assert counts.adds_up
    assert counts.served - before == len(waiting) - len(turned_away), "a call that was taken up was turned away"


def test_a_taken_port_is_a_refusal_to_start(home, doors):
    with pytest.raises(AssertionError, match="cannot listen for gRPC"):
        start_gateway(home, "--worker", "gateway-6", "--grpc-port", str(doors[1].port))
