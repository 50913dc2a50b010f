"""Open Inference Protocol documents: JSON, binary, compressed; every fault of a request at once."""

import gzip
import json
import struct
import zlib

import numpy as np
import pytest
from tests.serving.installation import FLIGHT, PLAIN

from leverframe.core.errors import InvalidInput, LimitExceeded, SchemaMismatch
from leverframe.core.schema import RequestField, Signature
from leverframe.serving import oip
from leverframe.serving.inputs import ROWS_MAX, InputPlan
from leverframe.serving.message import Request, Response


def request(document: object, **headers: object) -> Request:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Request(b"POST", b"/", {k.replace("_", "-").encode(): str(v).encode() for k, v in headers.items()}, body, 0)


def read(document: object, signature: Signature = PLAIN, **headers: object):
    return InputPlan(signature).read(oip.read_document(request(document, **headers), 1_000_000))


def tensor(name: str, data: list, datatype: str = "FP64", shape: list | None = None) -> dict:
    return {"name": name, "shape": [len(data)] if shape is None else shape, "datatype": datatype, "data": data}


FOUR = [tensor(f"x{i}", [float(i)]) for i in range(4)]
FLIGHT_ROW = [tensor("origin", ["JFK"], "BYTES"), tensor("sched_dep_s", [7], "INT64")]


def test_columns_may_be_nested_integers_or_one_packed_table():
    assert read({"inputs": FOUR})[0]["x3"] == [3.0]
    columns, rows = read({"inputs": [tensor(f"x{i}", [[1], [2]], "INT32", [2, 1]) for i in range(4)]})
    assert (columns["x0"], rows) == ([1.0, 2.0], 2)
    columns, rows = read({"inputs": [tensor("rows", [1, 2, 3, 4, 5, 6, 7, 8], "FP32", [2, 4])]})
    assert (columns["x1"].tolist(), rows) == ([2.0, 6.0], 2)
    columns, rows = read({"inputs": [tensor("rows", [[1, 2, 3, None]], "FP32", [1, 4])]})
    assert (columns["x2"], columns["x3"], rows, len(columns), list(columns)) == ([3.0], [None], 1, 4, ["x0", "x1", "x2", "x3"])


def test_optional_fields_may_be_left_out_and_others_ignored():
    columns, _ = read({"inputs": [*FLIGHT_ROW, tensor("unused", [1.0])]}, FLIGHT)
    assert columns["carrier"] == [None]
    assert np.isnan(columns["distance"][0])


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"])
def test_binary_numbers(datatype):
    numpy = {"F": "f", "I": "i", "U": "u"}[datatype[0]] + str(int("".join(c for c in datatype if c.isdigit())) // 8)
    data = np.array([1, 2], dtype="<" + numpy).tobytes()
    inputs = [{"name": f"x{i}", "shape": [2], "datatype": datatype, "parameters": {"binary_data_size": len(data)}} for i in range(4)]
    head = json.dumps({"inputs": inputs}).encode()
    columns, rows = read(head + data * 4, inference_header_content_length=len(head))
    assert rows == 2
    assert list(columns["x3"]) == [1, 2]


def test_binary_text_and_booleans():
    signature = Signature(request=(RequestField(name="t", datatype="BYTES"), RequestField(name="b", datatype="BOOL")), columns=())
    text = b"".join(struct.pack("<I", len(v)) + v for v in (b"JFK", "é".encode()))
    inputs = [
        {"name": "t", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": len(text)}},
        {"name": "b", "shape": [2], "datatype": "BOOL", "parameters": {"binary_data_size": 2}},
    ]
    head = json.dumps({"inputs": inputs}).encode()
    columns, _ = read(head + text + b"\x01\x00", signature, inference_header_content_length=len(head))
    assert columns["t"] == ["JFK", "é"]
    assert list(columns["b"]) == [True, False]


def test_all_faults_at_once_with_the_closest_name():
    with pytest.raises(SchemaMismatch) as caught:
        read(
            {
                "inputs": [
                    tensor("orign", ["JFK"], "BYTES"),
                    tensor("sched_dep_s", [1.5], "FP64"),
                    tensor("distance", [[1.0, 2.0]], shape=[1, 2]),
                ]
            },
            FLIGHT,
        )
    faults = {fault.where: (fault.what, fault.got) for fault in caught.value.faults}
    assert faults == {
        "origin": ("missing input", "'orign'"),
        "sched_dep_s": ("wrong datatype", "FP64"),
        "distance": ("wrong shape", "[1, 2]"),
    }


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        [tensor("x0", [True])],
        [tensor("x0", ["a"], "BYTES")],
        [tensor(f"x{i}", [1.0, 2.0], shape=[1]) for i in range(4)],
        [tensor(f"x{i}", [], shape=[0]) for i in range(4)],
        [tensor(f"x{i}", [1.0], shape=[1, 1, 1]) for i in range(4)],
        [*FOUR, FOUR[0]],
        [tensor("x0", [10**400]), *FOUR[1:]],
        [tensor("rows", [1.0] * 5, shape=[1, 5])],
        [{"name": "x0", "shape": [1], "datatype": "FP64"}, *FOUR[1:]],
        [tensor(f"x{i}", [1.0], "NOPE") for i in range(4)],
    ],
)
def test_wrong_inputs_are_refused(inputs):
    with pytest.raises(SchemaMismatch):
        read({"inputs": inputs})


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 1.5, True, None, "7"])
def test_integers_are_64_bit_integers(value):
    with pytest.raises(SchemaMismatch):
        read({"inputs": [FLIGHT_ROW[0], tensor("sched_dep_s", [value], "INT64")]}, FLIGHT)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{", b'{"inputs": 1}', b'{"inputs": [{}]}', b"\xff\xfe", b"[" * 100_000,
     b'{"inputs":[{"name":"x0","shape":[-1],"datatype":"FP64","data":[1]}]}',
     b'{"inputs":[{"name":"x0","shape":[1],"datatype":"FP64","data":' + b"[" * 100_000 + b"1" + b"]" * 100_000 + b"}]}"],
)  # fmt: skip
def test_anything_else_is_invalid_input_not_a_crash(body):
    with pytest.raises(InvalidInput):
        read(body)


@pytest.mark.parametrize(("header", "extra"), [("x", b""), ("-1", b""), ("999999", b""), ("{n}", b"\0" * 7), ("{n}", b"\0" * 9)])
def test_binary_parts_must_fit_exactly(header, extra):
    head = json.dumps({"inputs": [{"name": "x0", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}]}).encode()
    with pytest.raises(InvalidInput):
        read(head + extra, inference_header_content_length=header.format(n=len(head)))


def test_compressed_bodies_are_bounded():
    body = json.dumps({"inputs": FOUR}).encode()
    assert read(gzip.compress(body), content_encoding="gzip")[1] == 1
    assert read(zlib.compress(body), content_encoding="deflate")[1] == 1
    with pytest.raises(LimitExceeded):
        read(gzip.compress(b" " * 50_000_000), content_encoding="gzip")
    for broken, name in ((gzip.compress(body)[:-9], "gzip"), (b"nonsense", "gzip"), (body, "br")):
        with pytest.raises(InvalidInput):
            read(broken, content_encoding=name)


def test_too_many_rows_and_too_long_ids_are_refused_before_work():
    with pytest.raises(LimitExceeded):
        read({"inputs": [tensor("x0", [1.0], shape=[ROWS_MAX + 1])]})
    with pytest.raises(LimitExceeded):
        read({"id": "i" * 1000, "inputs": FOUR})


def test_outputs_asked_for():
    def wants(**document: object) -> bool:
        return oip.wants_binary(oip.read_document(request({"inputs": FOUR, **document}), 10_000), "probability")

    assert not wants()
    assert wants(parameters={"binary_data_output": True})
    assert wants(outputs=[{"name": "probability", "parameters": {"binary_data": True}}])
    assert not wants(outputs=[{"name": "probability", "parameters": {"binary_data": False}}], parameters={"binary_data_output": True})
    for outputs in ([{"name": "nope"}], [{"name": "probability", "parameters": {"classification": 2}}]):
        with pytest.raises(SchemaMismatch):
            wants(outputs=outputs)


def test_answers_are_json_and_binary_of_the_same_scores():
    start, outputs = oip.answer_start('m"x', "v"), oip.answer_outputs("probability", "FP64")
    text = json.loads(oip.json_answer(start, 'i"d', b"{}", outputs, [0.1, 1e-300]))
    assert (text["model_name"], text["id"], text["outputs"][0]["data"], text["outputs"][0]["shape"]) == ('m"x', 'i"d', [0.1, 1e-300], [2])
    answer = oip.binary_answer(start, "i", b"{}", outputs, [0.1, 0.2], "FP64")
    size = int(answer.extra.split(b": ")[1])
    assert json.loads(answer.body[:size])["outputs"][0]["parameters"]["binary_data_size"] == 16
    assert np.frombuffer(answer.body[size:]).tolist() == [0.1, 0.2]


def test_large_answers_are_compressed_when_accepted():
    large = Response(200, b"x" * 5000)
    assert gzip.decompress(oip.compressed(large, b"deflate, gzip").body) == large.body
    assert zlib.decompress(oip.compressed(large, b"deflate").body) == large.body
    assert oip.compressed(large, b"br") is large


def test_the_example_of_a_model_is_a_request_it_takes():
    for signature in (PLAIN, FLIGHT):
        assert read(oip.example(signature), signature)[1] == 1
