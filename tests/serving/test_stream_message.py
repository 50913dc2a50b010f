"""From messages to documents, and to dead letters: ids, the two shapes, and everything that is neither."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving.installation import FLIGHT, PLAIN

from leverframe.core.errors import InvalidInput, LimitExceeded
from leverframe.serving.protocol.inputs import InputPlan
from leverframe.serving.stream.message import MESSAGE_BYTES_MAX, Incoming, dead_letter, place_id, read_message


def read(body: bytes, id_from: str = "id", **more):
    return read_message(Incoming(body, "rows.7", **more), PLAIN.request, id_from)


def test_a_row_and_a_request_are_the_same_document():
    row = read(b'{"x0":1,"x1":2.5,"x2":null,"x3":4,"id":"r1"}')
    request = read(
        json.dumps(
            {
                "id": "r1",
                "inputs": [{"name": f"x{i}", "shape": [1], "datatype": "FP64", "data": [v]} for i, v in ((0, 1), (1, 2.5), (3, 4))],
            }
        ).encode()
    )
    assert row.id == request.id == "r1"
    assert [(t.name, t.shape, t.datatype, json.loads(bytes(t.data))) for t in row.inputs] == [
        (t.name, t.shape, t.datatype, json.loads(bytes(t.data))) for t in request.inputs
    ]


def test_a_row_is_typed_by_the_signature():
    document = read_message(Incoming(b'{"origin":"JFK","sched_dep_s":1364814000}', "p"), FLIGHT.request)
    assert [(t.name, t.datatype) for t in document.inputs] == [("origin", "BYTES"), ("sched_dep_s", "INT64")]
    assert InputPlan(FLIGHT).read(document)[0]["origin"] == ["JFK"]


def test_an_unknown_field_is_refused_like_online_with_the_closest_name():
    with pytest.raises(InvalidInput) as refused:
        InputPlan(PLAIN).read(read(b'{"x0":1,"x1":1,"x2":1,"x33":1}'))
    assert "x33" in refused.value.sentence() + "".join(f"{fault.where} {fault.got}" for fault in refused.value.faults)


@pytest.mark.parametrize(
    ("id_from", "expected"),
    [("id", "7"), ("key", "k"), ("header:Request", "h"), ("header:None", "")],
)
def test_where_the_id_comes_from(id_from, expected):
    message = {"headers": {"Request": "h"}, "key": "k"}
    document = read(b'{"x0":1,"id":7}', id_from, **message)
    assert document.id == (expected or place_id(Incoming(b'{"x0":1,"id":7}', "rows.7")))


def test_without_an_id_the_place_and_the_content_name_a_message():
    assert read(b'{"x0":1}').id == read(b'{"x0":1}').id
    assert read(b'{"x0":1}').id != read(b'{"x0":2}').id, "a stream made anew begins at the same places"
    assert read(b'{"x0":1}').id.startswith("rows.7-")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"x0":}',
        b"\xff",
        b'{"id":{}}',
        b'{"id":[1]}',
        b'{"inputs":[1]}',
        b'{"inputs":[{"name":1}]}',
        b"[" * 5000,
    ],
)
def test_what_is_neither_is_refused(body):
    with pytest.raises(InvalidInput):
        read(body)


def test_bounds():
    with pytest.raises(LimitExceeded):
        read(b'{"x0":"' + b"x" * MESSAGE_BYTES_MAX + b'"}')
    with pytest.raises(LimitExceeded):
        read(b'{"id":"' + b"x" * 201 + b'"}')


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | st.recursive(st.none() | st.floats() | st.text(), lambda x: st.dictionaries(st.text(), x)).map(json.dumps))
def test_any_bytes_are_a_document_or_refused(body):
    message = Incoming(body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass"), "rows.7")
    fault: InvalidInput | None = None
    try:
        InputPlan(PLAIN).read(read_message(message, PLAIN.request))
    except InvalidInput as refused:
        fault = refused
    if fault is not None:
        letter = json.loads(dead_letter("m", "i", message, fault))
        assert (base64.b64decode(letter["original_base64"]), letter["code"]) == (message.body, fault.code)


def test_a_dead_letter_of_a_huge_message_is_cut_and_says_so():
    message = Incoming(b"x" * (MESSAGE_BYTES_MAX + 5), "rows.7")
    with pytest.raises(LimitExceeded) as refused:
        read_message(message, PLAIN.request)
    letter = dead_letter("m", "i", message, refused.value)
    assert len(letter) < 1024 * 1024, "it must fit a broker's usual bound"
    assert (json.loads(letter)["cut"], json.loads(letter)["bytes"]) == (True, MESSAGE_BYTES_MAX + 5)
