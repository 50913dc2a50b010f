"""What breaks a caller who changes nothing, and what does not."""

import msgspec
import pytest

from leverframe.core.compatibility import SeenForm, incompatibilities
from leverframe.core.schema import OutputField, RequestField, Signature

OLD = Signature(
    request=(
        RequestField(name="carrier", datatype="BYTES"),
        RequestField(name="seats", datatype="INT32"),
        RequestField(name="distance", datatype="FP32", required=False),
    ),
    columns=(),
    outputs=(OutputField(name="probabilities", width=3), OutputField(name="label", datatype="BYTES")),
)
TABLE = Signature(request=tuple(RequestField(name=name, datatype="FP64") for name in ("a", "b")), columns=())


def request(*changed: RequestField, without: str = "", base: Signature = OLD) -> Signature:
    fields = {field.name: field for field in base.request if field.name != without} | {field.name: field for field in changed}
    return msgspec.structs.replace(base, request=tuple(fields.values()))


def outputs(*fields: OutputField) -> Signature:
    return msgspec.structs.replace(OLD, outputs=fields)


def field(name: str, datatype: str, **more: object) -> RequestField:
    return RequestField(name=name, datatype=datatype, **more)


def form(count: int = 1, **inputs: str) -> SeenForm:
    return SeenForm(inputs=tuple(inputs.items()), count=count)


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        request(field("wind", "FP64", required=False)),
        request(field("seats", "INT64")),
        request(field("seats", "FP64")),
        request(field("carrier", "BYTES", required=False)),
        request(without="distance"),
        outputs(*OLD.outputs, OutputField(name="spread")),
    ],
)
def test_additions_and_wider_types_break_nobody(new):
    assert incompatibilities(OLD, new) == ()


@pytest.mark.parametrize(
    ("new", "where"),
    [
        (request(field("wind", "FP64")), "wind"),
        (request(field("distance", "INT64", required=False)), "distance"),
        (request(field("seats", "INT16")), "seats"),
        (request(field("seats", "UINT64")), "seats"),
        (request(field("seats", "INT32", width=2)), "seats"),
        (request(field("carrier", "FP64")), "carrier"),
        (request(field("distance", "FP32")), "distance"),
        (request(without="carrier"), "carrier"),
        (outputs(OLD.outputs[0]), "label"),
        (outputs(OutputField(name="probabilities", width=4), OLD.outputs[1]), "probabilities"),
        (outputs(OutputField(name="probabilities", width=3, datatype="FP32"), OLD.outputs[1]), "probabilities"),
        (outputs(OutputField(name="new first"), *OLD.outputs), "outputs"),
    ],
)
def test_what_breaks_a_caller_is_named(new, where):
    assert [fault.where for fault in incompatibilities(OLD, new)] == [where]


def test_a_renamed_input_is_both_gone_and_never_sent():
    renamed = request(field("airline", "BYTES"), without="carrier")
    assert {fault.where for fault in incompatibilities(OLD, renamed)} == {"airline", "carrier"}


def test_what_callers_send_decides():
    new = request(field("wind", "FP64"))
    assert incompatibilities(OLD, new, [form(carrier="BYTES", seats="INT32", wind="FP32")]) == ()
    assert incompatibilities(OLD, new, [form(wind="FP32"), form(carrier="BYTES")]) != ()
    assert incompatibilities(OLD, request(field("wind", "INT64")), [form(wind="FP32")]) != ()
    assert incompatibilities(OLD, request(without="carrier"), [form(seats="INT32")]) == ()
    assert incompatibilities(OLD, request(without="distance"), [form(distance="FP32")]) != ()


def test_a_table_without_names_keeps_its_columns_while_somebody_sends_one():
    more = request(field("c", "FP64", required=False), base=TABLE)
    swapped = msgspec.structs.replace(TABLE, request=TABLE.request[::-1])
    for new in (more, swapped):
        assert incompatibilities(TABLE, new, [form(a="FP64", b="FP64")]) == ()
        assert [fault.where for fault in incompatibilities(TABLE, new, [SeenForm(packed=2)])] == ["inputs"]
    assert incompatibilities(TABLE, TABLE, [SeenForm(packed=2)]) == ()
