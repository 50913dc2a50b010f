"""Open Inference Protocol v2 over REST: a request's bytes become a document, scores become an answer's bytes.

Source: Open Inference Protocol v2 (KServe); Triton's binary tensor data extension (``Inference-Header-Content-Length``).
"""

import zlib
from typing import Any

import msgspec

from leverframe.core.errors import InvalidInput, LimitExceeded, SchemaMismatch
from leverframe.core.schema import RequestField, Signature
from leverframe.serving.protocol.message import JSON, Request, Response
from leverframe.serving.protocol.tensors import Tensor
from leverframe.serving.telemetry.counts import ArmStats

PLATFORM = "leverframe"
OCTETS = b"application/octet-stream"
ID_CHARS_MAX = 200
INPUTS_MAX = 1024
COMPRESS_BYTES_MIN = 1024


class OutputWish(msgspec.Struct):
    """One output a caller asks for."""

    name: str
    parameters: dict[str, Any] = {}


class InferDocument(msgspec.Struct):
    """The JSON part of an inference request."""

    inputs: list[Tensor]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[OutputWish] = []


_decode_document = msgspec.json.Decoder(InferDocument).decode
_encode = msgspec.json.encode


def body_of(request: Request, bytes_max: int) -> bytes:
    """The body, decompressed when it says so.

    Raises
    ------
    InvalidInput: damaged, or compressed in another way.  LimitExceeded: larger than ``bytes_max`` once decompressed.
    """
    encoding = request.headers.get(b"content-encoding")
    if encoding is None or encoding == b"identity":
        return request.body
    if encoding.lower() not in (b"gzip", b"deflate"):
        raise InvalidInput("unknown compression", where="Content-Encoding", expected="gzip or deflate", got=encoding[:30].decode("latin-1"))
    try:
        inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
        body = inflate.decompress(request.body, bytes_max + 1)
    except zlib.error as error:
        raise InvalidInput("the compressed body is damaged", where="body", expected=encoding.decode()) from error
    if len(body) > bytes_max:
        raise LimitExceeded("the decompressed body is too large", where="body", expected=f"at most {bytes_max} bytes", got="more")
    if not inflate.eof:
        raise InvalidInput("the compressed body is cut short", where="body", expected=encoding.decode())
    return body


def read_document(request: Request, bytes_max: int) -> InferDocument:
    """The inference request, its binary parts attached to their tensors; field types are not checked yet.

    Raises
    ------
    InvalidInput: not JSON, or not the protocol's shape.
    """
    headers = request.headers
    body = body_of(request, bytes_max) if b"content-encoding" in headers else request.body
    header_length = headers.get(b"inference-header-content-length")
    try:
        if header_length is None:
            document = _decode_document(body)
        else:
            size = int(header_length) if header_length.isdigit() and len(header_length) < 12 else -1
            if not 0 <= size <= len(body):
                raise InvalidInput(
                    "wrong length of the JSON part", where="Inference-Header-Content-Length", expected=f"0 to {len(body)}", got=str(size)
                )
            document = _decode_document(body[:size])
            _attach_binary(document, body[size:])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(
            "not an inference request",
            where="body",
            expected="JSON with 'inputs': [{name, shape, datatype, data}]",
            got=str(error)[:200],
            next_step="see the example",
        ) from error
    if len(document.id) > ID_CHARS_MAX or len(document.inputs) > INPUTS_MAX:
        raise LimitExceeded(
            "too long", where="id or inputs", expected=f"at most {ID_CHARS_MAX} characters and {INPUTS_MAX} inputs", got="more"
        )
    return document


def _attach_binary(document: InferDocument, data: bytes) -> None:
    """Give each tensor its share of ``data``, in order."""
    at = 0
    for tensor in document.inputs:
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            continue
        if type(size) is not int or size < 0 or at + size > len(data):
            raise InvalidInput(
                "binary data is cut short", where=tensor.name[:100], expected=f"at most {len(data) - at} bytes", got=str(size)[:20]
            )
        tensor.binary = data[at : at + size]
        at += size
    if at != len(data):
        raise InvalidInput("bytes behind the last tensor", where="body", expected=f"{at} bytes of binary data", got=str(len(data)))


def wishes(document: InferDocument) -> list[tuple[str, bool]]:
    """The outputs asked for, each with whether it is wanted in binary; empty: all, as ``document.parameters`` say.

    Raises
    ------
    SchemaMismatch: an output is asked for in a form that is not served.
    """
    everywhere = bool(document.parameters.get("binary_data_output", False))
    for wish in document.outputs:
        if wish.parameters.get("classification"):
            raise SchemaMismatch("classification is not served", where=wish.name[:100], expected="plain scores", got="classification")
    return [(wish.name, bool(wish.parameters.get("binary_data", everywhere))) for wish in document.outputs]


def answer_start(model: str, version: str) -> bytes:
    """The constant beginning of a JSON answer, up to the id."""
    return b'{"model_name":%b,"model_version":%b,"id":' % (_encode(model), _encode(version))


def answer_outputs(name: str, datatype: str) -> bytes:
    """The constant part of a JSON answer between its parameters and the shape."""
    return b',"outputs":[{"name":%b,"datatype":%b,"shape":[' % (_encode(name), _encode(datatype))


def compressed(response: Response, accepted: bytes) -> Response:
    """``response``, compressed when the caller accepts that and it is worth it."""
    if len(response.body) < COMPRESS_BYTES_MIN:
        return response
    accepted = accepted.lower()
    if b"gzip" in accepted:
        name, deflate = b"gzip", zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    elif b"deflate" in accepted:
        name, deflate = b"deflate", zlib.compressobj(1)
    else:
        return response
    body = deflate.compress(response.body) + deflate.flush()
    return Response(response.status, body, response.content_type, response.extra + b"Content-Encoding: %b\r\n" % name)


def _shape(width: int) -> list[int]:
    """Any number of rows of ``width`` values."""
    return [-1] if width == 1 else [-1, width]


def metadata(model: str, versions: list[str], signature: Signature) -> dict[str, object]:
    """Model metadata: what to send and what comes back."""
    return {
        "name": model,
        "versions": versions,
        "platform": PLATFORM,
        "inputs": [{"name": field.name, "datatype": field.datatype, "shape": _shape(field.width)} for field in signature.request],
        "outputs": [{"name": field.name, "datatype": field.datatype, "shape": _shape(field.width)} for field in signature.outputs],
    }


def example(signature: Signature) -> dict[str, object]:
    """A correct request for this model, of one row."""
    return {
        "inputs": [
            {
                "name": field.name,
                "shape": [1] if field.width == 1 else [1, field.width],
                "datatype": field.datatype,
                "data": [example_value(field)] * field.width,
            }
            for field in signature.request
        ]
    }


def example_value(field: RequestField) -> object:
    """A value this field takes: the declared example, or one that stands in for it."""
    stand_in: dict[str, object] = {"BYTES": "text", "BOOL": True}
    return field.example if field.example is not None else stand_in.get(field.datatype, 0 if "INT" in field.datatype else 0.0)


def read_object(request: Request, bytes_max: int) -> dict[str, Any]:
    """The body as a JSON object; an empty one is an object without fields.

    Raises
    ------
    InvalidInput: not a JSON object.
    """
    body = body_of(request, bytes_max)
    try:
        return msgspec.json.decode(body, type=dict[str, Any]) if body.strip() else {}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput("not a JSON object", where="body", expected="a JSON object, or nothing", got=str(error)[:120]) from error


def statistics(model: str, version: str, stats: ArmStats) -> dict[str, object]:
    """One version's counts since the gateway started, in the form of Triton's statistics extension; times in nanoseconds.

    Fallbacks are answers, errors and refusals are failures. Only their time together is measured, so it stands with the successes.
    """
    answered, failed = stats.ok + stats.fallbacks, stats.errors + stats.refused
    return {
        "name": model,
        "version": version,
        "inference_count": answered,
        "execution_count": answered,
        "inference_stats": {"success": {"count": answered, "ns": stats.latency_us_sum * 1000}, "fail": {"count": failed, "ns": 0}},
        "batch_stats": [],
    }


def json_response(document: object, status: int = 200) -> Response:
    """``document`` as a JSON answer."""
    return Response(status, _encode(document), JSON)
