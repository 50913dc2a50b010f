"""Protobuf messages and the gateway's own documents: every datatype, both forms, and what is wrong with a message."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc.service_pb2 as triton

from leverframe.core import errors
from leverframe.core.errors import InvalidInput, LeverframeError, LimitExceeded, SchemaMismatch
from leverframe.serving.doors import grpc as grpc_door
from leverframe.serving.doors.grpc import oip_pb2 as oip
from leverframe.serving.doors.grpc.status import STATUS_OF_CODE, failure
from leverframe.serving.doors.grpc.translate import CONTENTS, decoded, document_of, put_output, put_parameters
from leverframe.serving.protocol.message import STATUS_OF_CODE as HTTP_STATUS_OF_CODE
from leverframe.serving.protocol.outputs import Output

FOLDER = Path(grpc_door.__file__).parent
VALUES = {
    "BOOL": [True, False], "INT8": [-128, 127], "INT16": [-32768, 7], "INT32": [-(2**31), 2**31 - 1], "INT64": [-(2**63), 2**63 - 1],
    "UINT8": [0, 255], "UINT16": [0, 65535], "UINT32": [0, 2**32 - 1], "UINT64": [0, 2**64 - 1], "FP32": [0.1, -1e38],
    "FP64": [0.1, 5e-324],
    "BYTES": [b"JFK", "ü".encode()],
}  # fmt: skip


def infer_request(datatype: str, values: list, *, raw: bool) -> oip.ModelInferRequest:
    request = oip.ModelInferRequest(model_name="m", id="r-1")
    tensor = request.inputs.add(name="x", datatype=datatype, shape=[len(values)])
    field, dtype = CONTENTS[datatype]
    if not raw:
        getattr(tensor.contents, field).extend(values)
    elif dtype:
        request.raw_input_contents.append(np.array(values, dtype=dtype).tobytes())
    else:
        request.raw_input_contents.append(b"".join(struct.pack("<I", len(value)) + value for value in values))
    return request


def test_the_generated_modules_are_what_the_proto_file_says(tmp_path):
    subprocess.run([FOLDER / "compile.sh", tmp_path], check=True, env={**os.environ, "PYTHON": sys.executable}, timeout=60)
    for name in ("oip_pb2.py", "oip_pb2.pyi"):
        assert (tmp_path / name).read_text() == (FOLDER / name).read_text(), f"run compile.sh: {name} is older than oip.proto"


def test_every_field_is_where_tritons_own_client_has_it():
    def compare(ours, theirs):
        for field in ours.fields:
            other = theirs.fields_by_name[field.name]
            assert (field.number, field.type, field.is_repeated) == (other.number, other.type, other.is_repeated), field.full_name
        for nested in ours.nested_types:
            compare(nested, theirs.nested_types_by_name[nested.name])

    for name, message in oip.DESCRIPTOR.message_types_by_name.items():
        compare(message, triton.DESCRIPTOR.message_types_by_name[name])
    service = oip.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    known = triton.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    for method in service.methods:
        assert method.input_type.full_name == known[method.name].input_type.full_name


@pytest.mark.parametrize("datatype", VALUES)
def test_typed_contents_are_the_bytes_of_raw_ones(datatype):
    typed, raw = (document_of(infer_request(datatype, VALUES[datatype], raw=raw)) for raw in (False, True))
    assert typed == (raw[0], False)
    assert raw[1]
    assert raw[0].id == "r-1"
    assert raw[0].inputs[0].datatype == datatype


@pytest.mark.parametrize("datatype", [*VALUES, "FP16"])
@pytest.mark.parametrize("raw", [True, False])
def test_outputs_come_back_as_they_were(datatype, raw):
    response = oip.ModelInferResponse()
    values = VALUES.get(datatype, [0.5, -2.0])
    if datatype == "BYTES":
        output = Output("y", datatype, (2,), [value.decode() for value in values])
    else:
        output = Output("y", datatype, (2,), np.array(values, dtype="<f2" if datatype == "FP16" else CONTENTS[datatype][1]))
    put_output(response, output, raw=raw)
    described = response.outputs[0]
    assert (described.name, described.datatype, list(described.shape)) == ("y", datatype, [2])
    if raw or datatype == "FP16":
        assert response.raw_output_contents[0] == output.packed()
    else:
        expected = [np.float32(value) for value in values] if datatype == "FP32" else values
        assert list(getattr(described.contents, CONTENTS[datatype][0])) == expected


def test_parameters_of_every_kind():
    request = infer_request("FP64", [1.0], raw=True)
    given = {"a": True, "b": -7, "c": "text", "d": 2.5}
    put_parameters(request.parameters, given)
    request.parameters["e"].uint64_param = 2**64 - 1
    request.parameters["nothing"].SetInParent()
    document, _ = document_of(request)
    assert document.parameters == {**given, "e": 2**64 - 1}


def broken() -> dict[str, oip.ModelInferRequest]:
    made = {name: infer_request("FP64", [1.0], raw=True) for name in ("more raw", "both", "negative", "huge")}
    made["more raw"].raw_input_contents.append(b"")
    made["both"].inputs[0].contents.fp64_contents.append(1.0)
    made["negative"].inputs[0].shape[:] = [-1]
    made["huge"].inputs[0].shape[:] = [2**40]
    made |= {name: infer_request("INT8", [1], raw=False) for name in ("range", "other list", "two lists", "datatype", "raw only")}
    made["range"].inputs[0].contents.int_contents[:] = [300]
    made["other list"].inputs[0].contents.ClearField("int_contents")
    made["other list"].inputs[0].contents.fp64_contents.append(1.0)
    made["two lists"].inputs[0].contents.bool_contents.append(True)
    made["datatype"].inputs[0].datatype = "FP65"
    made["raw only"].inputs[0].datatype = "FP16"
    return made


@pytest.mark.parametrize("name", broken())
def test_what_disagrees_is_refused_by_name(name):
    with pytest.raises(SchemaMismatch) as refused:
        document_of(broken()[name])
    assert refused.value.expected
    assert refused.value.got


def test_too_long_is_refused():
    with pytest.raises(LimitExceeded):
        document_of(oip.ModelInferRequest(id="x" * 201))
    with pytest.raises(LimitExceeded):
        document_of(oip.ModelInferRequest(inputs=[oip.ModelInferRequest.InferInputTensor()] * 1025))


def test_bytes_that_are_no_message():
    with pytest.raises(InvalidInput, match=r"inference\.ModelInferRequest"):
        decoded(oip.ModelInferRequest, b"\xff\xff")


def test_every_error_has_a_status_and_tells_itself_in_it():
    codes = {error.code for error in vars(errors).values() if isinstance(error, type) and issubclass(error, LeverframeError)}
    assert codes <= set(STATUS_OF_CODE)
    assert set(HTTP_STATUS_OF_CODE) <= set(STATUS_OF_CODE)
    status, details, trailers = failure(SchemaMismatch("wrong shape", where="x", expected="[1]", got="[2]"), {"inputs": []})
    assert status == 3
    assert details == 'x: wrong shape; expected [1], got [2] Example: {"inputs":[]}'
    assert dict(trailers)["lever-code"] == "schema_mismatch"
    long = failure(InvalidInput("x" * 100_000))
    assert len(long[1]) == 1500
    assert [name for name, _ in long[2]] == ["lever-code"], "a document that clients could not take"
