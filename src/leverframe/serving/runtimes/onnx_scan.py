"""Looks through an ONNX file, without running anything, for tensors that live outside it.

A model may name other files as the home of its weights, and an engine would open them. A bundle's model is one file that names nothing, so
such a model is refused before an engine sees it. Walks the protobuf wire format directly: the gateway does not carry the onnx package.
Source: onnx.proto3 (field numbers), Protocol Buffers encoding guide.
"""

from collections.abc import Iterator

from leverframe.core.errors import Integrity

DEPTH_MAX = 32
FIELDS_MAX = 5_000_000

# message kind -> field number -> kind of the message inside
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Integrity("not an ONNX model", where="model.onnx", expected="protobuf")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Field number, varint value (0 for others) and bytes (empty for others) of each field."""
    at, empty = 0, data[:0]
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value, empty
        elif wire == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise Integrity("not an ONNX model", where="model.onnx", expected="protobuf, whole")
            yield number, 0, data[at : at + size]
            at += size
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise Integrity("not an ONNX model", where="model.onnx", expected="protobuf")


def refuse_external_data(model: bytes) -> None:
    """Return if every tensor of ``model`` is inside the file.

    Raises
    ------
    Integrity: a tensor names another file, or the bytes are not an ONNX model.
    """
    waiting: list[tuple[str, memoryview, int]] = [("model", memoryview(model), 0)]
    seen = graphs = 0
    while waiting:
        kind, data, depth = waiting.pop()
        graphs += kind == "graph"
        for number, value, inside in _fields(data):
            seen += 1
            if depth > DEPTH_MAX or seen > FIELDS_MAX:
                raise Integrity("the ONNX model is nested too deeply or too large to check", where="model.onnx")
            if kind == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)):
                raise Integrity(
                    "the ONNX model keeps tensors in other files",
                    where="model.onnx",
                    expected="all tensors inside the file",
                    got="external data",
                    next_step="save the model with its tensors inside and build the bundle again",
                )
            if number in _INSIDE[kind] and inside:
                waiting.append((_INSIDE[kind][number], inside, depth + 1))
    if not graphs:
        raise Integrity("not an ONNX model", where="model.onnx", expected="a graph")
