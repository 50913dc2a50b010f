"""From a message of a stream to an inference document, and from an answer or an error to the message that goes out.

A message is JSON: an Open Inference Protocol request, or one plain row ``{"field": value, ...}``. Its id is its field ``id``, or a
header or the key when the worker is told so; a message without one is named by its place in the stream and its content, which are the
same at each delivery.
"""

import base64
from collections.abc import Mapping, Sequence
from hashlib import blake2b, sha256

import msgspec

from leverframe.core.errors import InvalidInput, LeverframeError, LimitExceeded
from leverframe.core.schema import RequestField
from leverframe.serving.protocol.oip import ID_CHARS_MAX, INPUTS_MAX, InferDocument
from leverframe.serving.protocol.tensors import Tensor
from leverframe.serving.walk.answers import Answer

MESSAGE_BYTES_MAX = 512 * 1024
"""Bytes of a message; a larger one is a dead letter."""
ORIGINAL_BYTES_MAX = MESSAGE_BYTES_MAX
"""Bytes of the original that a dead letter carries; the rest is cut off and said to be. In base64 it fits a broker's usual 1 MiB."""
FIELD = "id"
"""Where a message's id is: in this field of it, unless ``header:NAME`` or ``key`` is said."""

_Value = dict[str, msgspec.Raw]
_row = msgspec.json.Decoder(_Value).decode
_document = msgspec.json.Decoder(InferDocument).decode
_id = msgspec.json.Decoder(str | int).decode
_encode = msgspec.json.encode


class Incoming(msgspec.Struct, frozen=True):
    """One message as a broker delivered it; ``place`` names it in its stream, the same at each delivery."""

    body: bytes
    place: str
    headers: Mapping[str, str] = {}
    key: str = ""


def digest_of(message: Incoming) -> bytes:
    """16 bytes that differ when the message does."""
    return blake2b(message.body, digest_size=16).digest()


def place_id(message: Incoming) -> str:
    """The id of a message that brings none: its place, and its content, for a stream that is made anew begins at the same places."""
    return f"{message.place}-{digest_of(message)[:6].hex()}"


def broker_id(prediction_id: str) -> str:
    """The id as a broker may carry it in a header or a key: itself, or its digest where it has characters that headers have not.

    >>> broker_id("r-1"), broker_id("a\\nb").startswith("blake2b:")
    ('r-1', True)
    """
    plain = prediction_id.isascii() and prediction_id.isprintable() and " " not in prediction_id
    return prediction_id if plain else f"blake2b:{blake2b(prediction_id.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"


def _shape_error(reason: str) -> InvalidInput:
    return InvalidInput(
        "not a message that can be scored",
        where="message",
        expected="JSON: an Open Inference Protocol request, or a row {field: value}",
        got=reason[:200],
    )


def read_message(message: Incoming, fields: Sequence[RequestField], id_from: str = FIELD) -> InferDocument:
    """The inference request in ``message``, its id set; the fields' values are not checked yet.

    Parameters
    ----------
    fields: of the endpoint's live version; they type a plain row.
    id_from: ``id`` (the field of that name), ``header:NAME`` or ``key``.

    Raises
    ------
    InvalidInput: not JSON, or neither shape.    LimitExceeded: too large, or an id too long.
    """
    if len(message.body) > MESSAGE_BYTES_MAX:
        raise LimitExceeded(
            "the message is too large", where="message", expected=f"at most {MESSAGE_BYTES_MAX} bytes", got=f"{len(message.body)} bytes"
        )
    try:
        values = _row(message.body)
        sent = values.get("inputs")
        if sent is not None and bytes(sent)[:1] == b"[" and not any(field.name == "inputs" for field in fields):
            document = _document(message.body)
        else:
            document = _from_row(values, fields)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _shape_error(str(error)) from error
    document.id = _identity(message, document.id, id_from)
    if len(document.inputs) > INPUTS_MAX:
        raise LimitExceeded("too many inputs", where="inputs", expected=f"at most {INPUTS_MAX}", got=str(len(document.inputs)))
    document.parameters, document.outputs = {}, []
    return document


def _from_row(values: dict[str, msgspec.Raw], fields: Sequence[RequestField]) -> InferDocument:
    """A document of one row; an empty value (null) is the same as none."""
    types = {field.name: field.datatype for field in fields}
    own_id = "" if FIELD in types else str(_id(values.pop(FIELD, b'""')))
    tensors = [
        # A name the model does not have is kept: the check of the inputs refuses it, with the closest name.
        Tensor(name=name, shape=[1], datatype=types.get(name, "FP64"), data=msgspec.Raw(b"[%b]" % bytes(raw)))
        for name, raw in values.items()
        if bytes(raw) != b"null"
    ]
    return InferDocument(inputs=tensors, id=own_id)


def _identity(message: Incoming, own_id: str, id_from: str) -> str:
    if id_from == FIELD:
        found = own_id
    elif id_from == "key":
        found = message.key
    else:
        found = message.headers.get(id_from.removeprefix("header:"), "")
    if len(found) > ID_CHARS_MAX:
        raise LimitExceeded("the id is too long", where=id_from, expected=f"at most {ID_CHARS_MAX} characters", got=f"{len(found)}")
    return found or place_id(message)


def prediction(endpoint: str, answer: Answer) -> bytes:
    """The message that carries ``answer``: the shape of its prediction record, whole."""
    facts = answer.facts()
    outputs = [{"name": one.name, "datatype": one.datatype, "shape": list(one.shape), "data": one.plain()} for one in answer.outputs()]
    return _encode(
        {
            "id": answer.id,
            "endpoint": endpoint,
            "model": answer.arm.version.partition("@")[0],
            "version": answer.arm.version,
            "arm": facts.get("arm", ""),
            "outputs": outputs,
            "parameters": facts,
        }
    )


def dead_letter(endpoint: str, prediction_id: str, message: Incoming, error: LeverframeError) -> bytes:
    """The message that says why ``message`` has no answer: the error in its one shape, and the original bytes in base64."""
    original = message.body[:ORIGINAL_BYTES_MAX]
    about = {
        "id": prediction_id,
        "endpoint": endpoint,
        "place": message.place,
        **error.to_dict(),
        "bytes": len(message.body),
        "sha256": sha256(message.body).hexdigest(),
        "cut": len(original) < len(message.body),
        "original_base64": base64.b64encode(original).decode(),
    }
    return _encode(about)
