"""Between protobuf messages and what the gateway itself takes and gives; nothing here knows a model.

Typed contents become the same little-endian bytes that raw contents are, so that everything behind reads one form.
Source: Open Inference Protocol v2, gRPC, "Tensor Contents"; field numbers in ``oip.proto``.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from google.protobuf.message import DecodeError, Message

from leverframe.core.errors import Fault, InvalidInput, LimitExceeded, SchemaMismatch
from leverframe.serving.doors.grpc import oip_pb2 as oip
from leverframe.serving.protocol.oip import ID_CHARS_MAX, INPUTS_MAX, InferDocument, OutputWish
from leverframe.serving.protocol.outputs import Output
from leverframe.serving.protocol.tensors import Tensor

SIZE_MAX = 2**31
"""Of one dimension; a larger one is refused, as at the REST door."""
CONTENTS: Mapping[str, tuple[str, str]] = {
    "BOOL": ("bool_contents", "|b1"),
    "INT8": ("int_contents", "|i1"),
    "INT16": ("int_contents", "<i2"),
    "INT32": ("int_contents", "<i4"),
    "INT64": ("int64_contents", "<i8"),
    "UINT8": ("uint_contents", "|u1"),
    "UINT16": ("uint_contents", "<u2"),
    "UINT32": ("uint_contents", "<u4"),
    "UINT64": ("uint64_contents", "<u8"),
    "FP32": ("fp32_contents", "<f4"),
    "FP64": ("fp64_contents", "<f8"),
    "BYTES": ("bytes_contents", ""),
}
"""Datatype to its list in ``InferTensorContents`` and its bytes. FP16 has no list: the protocol sends it raw."""
M = TypeVar("M", bound=Message)
_length = struct.Struct("<I").pack


def decoded(kind: type[M], data: bytes) -> M:
    """The message of type ``kind`` in ``data``.

    Raises
    ------
    InvalidInput: not such a message.
    """
    try:
        message: M = kind.FromString(data)
    except DecodeError as error:
        name = kind.DESCRIPTOR.full_name
        raise InvalidInput("not the protocol's message", where="message", expected=name, got=f"{len(data)} bytes that are none") from error
    return message


def document_of(request: oip.ModelInferRequest) -> tuple[InferDocument, bool]:
    """The inference request, every tensor with its bytes, and whether it came (and so is answered) raw.

    Raises
    ------
    SchemaMismatch: contents that are not of their tensor's datatype, in both forms or in neither.    LimitExceeded: too long.
    """
    if len(request.id) > ID_CHARS_MAX or len(request.inputs) > INPUTS_MAX:
        raise LimitExceeded(
            "too long", where="id or inputs", expected=f"at most {ID_CHARS_MAX} characters and {INPUTS_MAX} inputs", got="more"
        )
    raw: Sequence[bytes] = request.raw_input_contents
    if raw:
        _check_raw(request, raw)
        tensors = [_tensor(sent, data) for sent, data in zip(request.inputs, raw, strict=True)]
    else:
        tensors = [_tensor(sent, _packed(sent)) for sent in request.inputs]
    wishes = [OutputWish(name=wish.name, parameters=_parameters(wish.parameters)) for wish in request.outputs]
    document = InferDocument(inputs=tensors, id=request.id, parameters=_parameters(request.parameters), outputs=wishes)
    return document, bool(raw)


def _check_raw(request: oip.ModelInferRequest, raw: Sequence[bytes]) -> None:
    if len(raw) != len(request.inputs):
        raise SchemaMismatch(
            "raw contents and inputs disagree", where="raw_input_contents", expected=f"{len(request.inputs)} entries", got=str(len(raw))
        )
    for sent in request.inputs:
        if sent.HasField("contents"):
            raise SchemaMismatch(
                "an input has contents twice", where=sent.name[:100], expected="raw_input_contents or contents", got="both"
            )


def _tensor(sent: oip.ModelInferRequest.InferInputTensor, data: bytes) -> Tensor:
    shape = list(sent.shape)
    if shape and not 0 <= min(shape) <= max(shape) <= SIZE_MAX:
        raise SchemaMismatch("wrong shape", where=sent.name[:100], expected=f"sizes from 0 to {SIZE_MAX}", got=str(shape[:8]))
    return Tensor(name=sent.name, shape=shape, datatype=sent.datatype, parameters=_parameters(sent.parameters), binary=data)


def _packed(sent: oip.ModelInferRequest.InferInputTensor) -> bytes:
    """The bytes of a tensor with typed contents; lists of other datatypes must be empty."""
    known = CONTENTS.get(sent.datatype)
    if known is None:
        raise SchemaMismatch(
            "no typed contents for this datatype",
            where=sent.name[:100],
            expected=", ".join(CONTENTS) + "; FP16 in raw_input_contents",
            got=sent.datatype[:20] or "no datatype",
        )
    field, dtype = known
    filled = [given.name for given, _ in sent.contents.ListFields()]
    if filled not in ([], [field]):
        fault = Fault(where=sent.name[:100], what="contents of another datatype", expected=f"{field} for {sent.datatype}", got=filled[0])
        raise SchemaMismatch(fault.what, where=fault.where, expected=fault.expected, got=fault.got, faults=[fault])
    values = getattr(sent.contents, field)
    if not dtype:
        return b"".join([part for value in values for part in (_length(len(value)), value)])
    try:
        return np.array(values, dtype=dtype).tobytes()
    except OverflowError as error:
        fault = Fault(where=sent.name[:100], what="data does not fit the datatype", expected=sent.datatype, got="a value beyond its range")
        raise SchemaMismatch(fault.what, where=fault.where, expected=fault.expected, got=fault.got, faults=[fault]) from error


def _parameters(sent: Mapping[str, oip.InferParameter]) -> dict[str, Any]:
    if not sent:
        return {}
    return {name: getattr(value, chosen) for name, value in sent.items() if (chosen := value.WhichOneof("parameter_choice")) is not None}


def put_parameters(into: Any, parameters: Mapping[str, Any]) -> None:
    """Write ``parameters`` (booleans, integers, floats; anything else as text) into a message's map."""
    for name, value in parameters.items():
        if isinstance(value, bool):
            into[name].bool_param = value
        elif isinstance(value, int):
            into[name].int64_param = value
        elif isinstance(value, float):
            into[name].double_param = value
        else:
            into[name].string_param = str(value)


def put_output(response: oip.ModelInferResponse, output: Output, *, raw: bool) -> None:
    """Add one output: its elements as bytes when ``raw`` (or when the datatype has no list), else as the list of its datatype."""
    placed = response.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
    known = CONTENTS.get(output.datatype)
    if raw or known is None:
        response.raw_output_contents.append(output.packed())
    elif output.datatype == "BYTES":
        placed.contents.bytes_contents.extend([str(text).encode() for text in output.plain()])
    else:
        getattr(placed.contents, known[0]).extend(output.plain())
