"""Open Inference Protocol documents: JSON, binary, compressed; every fault of a request at once."""

import gzip
import json
import struct
import zlib

import numpy as np
import pytest
from tests.serving.installation import FLIGHT, PLAIN

from leverframe.core.assemble import expression_column
from leverframe.core.errors import Integrity, InvalidInput, LimitExceeded, SchemaMismatch
from leverframe.core.schema import InputColumn, OutputField, RequestField, Signature
from leverframe.serving.protocol import oip
from leverframe.serving.protocol.inputs import ROWS_MAX, InputPlan
from leverframe.serving.protocol.message import Request, Response
from leverframe.serving.protocol.outputs import OutputPlan
from leverframe.serving.protocol.tensors import _from_binary


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


INTEGERS = {
    f"{sign}INT{bits}": (0 if sign else -(2 ** (bits - 1)), 2 ** (bits - (not sign)) - 1) for sign in ("", "U") for bits in (8, 16, 32, 64)
}


@pytest.mark.parametrize("datatype", INTEGERS)
@pytest.mark.parametrize("binary", [False, True])
def test_integers_reach_from_their_smallest_to_their_largest_value_and_no_further(datatype, binary):
    """Through UINT64's upper half, in JSON as in binary; a value that only a wider type has is refused, never wrapped."""
    signature = Signature(request=(RequestField(name="n", datatype=datatype),), columns=())
    low, high = INTEGERS[datatype]

    def sent(values: list[int], as_type: str) -> list[int]:
        if not binary:
            return list(read({"inputs": [tensor("n", values, as_type)]}, signature)[0]["n"])
        data = np.array(values, dtype=as_type.lower()).tobytes()
        head = json.dumps(
            {"inputs": [{"name": "n", "shape": [2], "datatype": as_type, "parameters": {"binary_data_size": len(data)}}]}
        ).encode()
        return [int(v) for v in read(head + data, signature, inference_header_content_length=len(head))[0]["n"]]

    assert sent([low, high], datatype) == [low, high]
    for value, wider in ((low - 1, "INT64"), (high + 1, "INT64" if high < 2**32 else "UINT64")):
        if INTEGERS[wider][0] <= value <= INTEGERS[wider][1]:
            with pytest.raises(SchemaMismatch):
                sent([0, value], wider)
        if not binary:
            with pytest.raises(SchemaMismatch):
                sent([0, value], datatype)


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
    def wants(**document: object) -> list[tuple[str, bool]]:
        return oip.wishes(oip.read_document(request({"inputs": FOUR, **document}), 10_000))

    assert wants() == []
    assert wants(outputs=[{"name": "probability", "parameters": {"binary_data": True}}, {"name": "label"}]) == [
        ("probability", True),
        ("label", False),
    ]
    everywhere = {"binary_data_output": True}
    assert wants(outputs=[{"name": "probability"}], parameters=everywhere) == [("probability", True)]
    assert wants(outputs=[{"name": "probability", "parameters": {"binary_data": False}}], parameters=everywhere) == [("probability", False)]
    with pytest.raises(SchemaMismatch):
        wants(outputs=[{"name": "probability", "parameters": {"classification": 2}}])


def test_large_answers_are_compressed_when_accepted():
    large = Response(200, b"x" * 5000)
    assert gzip.decompress(oip.compressed(large, b"deflate, gzip").body) == large.body
    assert zlib.decompress(oip.compressed(large, b"deflate").body) == large.body
    assert oip.compressed(large, b"br") is large


def test_the_example_of_a_model_is_a_request_it_takes():
    for signature in (PLAIN, FLIGHT):
        assert read(oip.example(signature), signature)[1] == 1


VECTOR = Signature(
    request=(RequestField(name="e", datatype="FP32", width=3), RequestField(name="x", datatype="FP64")),
    columns=(
        InputColumn(name="x", source="request", field="x"),
        *(InputColumn(name=f"e{i}", source="request", field="e", element=i) for i in (2, 0, 1)),
    ),
)


def test_a_vector_comes_nested_flat_or_binary():
    wanted = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    for data in (wanted, [1, 2, 3, 4, 5, 6]):
        columns, rows = read({"inputs": [tensor("e", data, "FP32", [2, 3]), tensor("x", [0, 0])]}, VECTOR)
        assert (columns["e"].tolist(), rows) == (wanted, 2)
    packed = np.array(wanted, dtype="<f4").tobytes()
    inputs = [{"name": "e", "shape": [2, 3], "datatype": "FP32", "parameters": {"binary_data_size": len(packed)}}, tensor("x", [0, 0])]
    head = json.dumps({"inputs": inputs}).encode()
    assert read(head + packed, VECTOR, inference_header_content_length=len(head))[0]["e"].tolist() == wanted


def test_a_number_is_used_as_it_was_sent_whatever_width_its_field_declares():
    """JSON's 0.1 is the double that training rows hold; rounding it to the declared FP32 would part serving from training."""
    column = InputColumn(name="low", source="expression", sql="x <= 0.1")
    signature = Signature(
        request=(RequestField(name="x", datatype="FP32"), RequestField(name="y", datatype="FP32")),
        columns=(column,),
        outputs=(OutputField(name="score"),),
    )

    def low(document: object, **headers: object) -> float:
        columns, rows = read(document, signature, **headers)
        return float(expression_column(signature, column, columns, {}, rows)[0])

    packed = {sent: np.array([0.1], dtype=dtype).tobytes() for sent, dtype in (("FP32", "<f4"), ("FP64", "<f8"))}
    in_binary = {
        sent: json.dumps(
            {"inputs": [{"name": "x", "shape": [1], "datatype": sent, "parameters": {"binary_data_size": len(data)}}, tensor("y", [0.0])]}
        ).encode()
        for sent, data in packed.items()
    }
    assert [low({"inputs": [tensor("x", [0.1], sent), tensor("y", [0.0])]}) for sent in ("FP32", "FP64")] == [1.0, 1.0]
    found = {sent: low(head + packed[sent], inference_header_content_length=len(head)) for sent, head in in_binary.items()}
    assert found == {"FP32": 0.0, "FP64": 1.0}


@pytest.mark.parametrize("shape", [[3], [1, 2], [3, 1], [1, 3, 1]])
def test_a_vector_of_another_width_is_refused_with_what_was_expected(shape):
    with pytest.raises(SchemaMismatch) as caught:
        read({"inputs": [tensor("e", [1.0] * int(np.prod(shape)), "FP32", shape), tensor("x", [0.0])]}, VECTOR)
    fault = caught.value.faults[0]
    assert (fault.where, fault.expected, fault.got) == ("e", "[1, 3]", str(shape))


def test_metadata_and_example_say_how_wide_a_vector_is():
    assert oip.metadata("m", [], VECTOR)["inputs"][0] == {"name": "e", "datatype": "FP32", "shape": [-1, 3]}
    assert read(oip.example(VECTOR), VECTOR)[0]["e"].shape == (1, 3)


@pytest.mark.parametrize(
    ("request_field", "column"),
    [
        (RequestField(name="e", datatype="BYTES", width=2), {}),
        (RequestField(name="e", datatype="FP64", width=2), {"element": 2}),
        (RequestField(name="e", datatype="FP64"), {"source": "request_time", "function": "minute_of_day"}),
        (RequestField(name="e", datatype="INT64", required=False), {"source": "request_time", "function": "minute_of_day"}),
        (RequestField(name="other", datatype="FP64"), {}),
    ],
)
def test_a_signature_that_could_not_be_answered_is_never_loaded(request_field, column):
    with pytest.raises(Integrity):
        InputPlan(Signature(request=(request_field,), columns=(InputColumn(**{"name": "c", "source": "request", "field": "e", **column}),)))


@pytest.mark.parametrize(
    ("datatype", "scores", "expected"),
    [
        ("UINT64", [2.0**63, 1e30, -4.0, 2.0**53], [2**63, 2**64 - 1, 0, 2**53]),
        ("INT64", [-1e30, 1e30, 2.5, -(2.0**63)], [-(2**63), 2**63 - 1, 2, -(2**63)]),
        ("UINT8", [300.0, -1.0, 1.6], [255, 0, 2]),
        ("FP16", [1e9, -1e9, 0.5], [65504.0, -65504.0, 0.5]),
        ("BOOL", [0.2, 0.7, 1.0], [False, True, True]),
    ],
)
def test_scores_beyond_an_outputs_datatype_stop_at_its_ends(datatype, scores, expected):
    """A cast that wraps around would turn the largest score into the smallest."""
    signature = Signature(request=(), columns=(), outputs=(OutputField(name="o", datatype=datatype),))
    output = OutputPlan(signature).outputs(scores, len(scores))[0]
    assert output.plain() == expected
    assert list(_from_binary(output.packed(), datatype)) == expected
