"""What a gateway says to those who ask it: a model's inputs, its own page, and traffic by arm."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from leverframe.apps.transport import Transport
from leverframe.core.errors import InvalidInput
from leverframe.core.schema import DataType, RequestField

_SAMPLE = re.compile(
    r'^lever_(answers_total|latency_seconds_bucket)\{endpoint="([^"]*)",version="([^"]*)",role="([^"]*)",(?:status|le)="([^"]*)"\} (\S+)$'
)


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway's answer: one list a named output, and what it says about itself (version, arm, fallback …)."""

    id: str
    model: str
    outputs: dict[str, tuple[Any, ...]]
    version: str = ""
    parameters: dict[str, Any] = {}


class _Tensor(msgspec.Struct, frozen=True):
    name: str
    data: tuple[Any, ...]


class _Answer(msgspec.Struct, frozen=True):
    model_name: str
    outputs: tuple[_Tensor, ...]
    id: str = ""
    model_version: str = ""
    parameters: dict[str, Any] = {}


def datatype_of(values: Sequence[object]) -> DataType:
    """The Open Inference Protocol datatype that holds ``values``.

    >>> datatype_of(["JFK"]), datatype_of([1, 2]), datatype_of([1, 2.5]), datatype_of([True])
    ('BYTES', 'INT64', 'FP64', 'BOOL')

    Raises
    ------
    InvalidInput: ``values`` is empty or of mixed kinds.
    """
    if values and all(isinstance(v, bool) for v in values):
        return "BOOL"
    if values and all(isinstance(v, str) for v in values):
        return "BYTES"
    if values and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return "INT64" if all(isinstance(v, int) for v in values) else "FP64"
    raise InvalidInput("values of an input must be of one kind", expected="text, numbers or booleans", got=repr(list(values)[:3]))


def _shape(values: Sequence[object]) -> list[int]:
    """``[rows]``, or ``[rows, width]`` of vectors."""
    first = values[0] if values else None
    return [len(values), len(first)] if isinstance(first, list | tuple) else [len(values)]


class _Input(msgspec.Struct, frozen=True):
    name: str
    datatype: DataType


class _Model(msgspec.Struct, frozen=True):
    inputs: tuple[_Input, ...]


class ArmCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of one arm since its gateway started. ``buckets``: (upper bound in seconds, answers at most that slow)."""

    endpoint: str
    version: str
    role: str
    answers: dict[str, int]
    buckets: tuple[tuple[float, int], ...]


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a gateway: its page and the counters of its arms."""

    page: dict[str, Any]
    arms: tuple[ArmCounts, ...]


class Gateway:
    """Asks one gateway about itself.

    Parameters
    ----------
    transport: where it listens, and the token to show.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def fields(self, endpoint: str) -> tuple[RequestField, ...]:
        """What the model behind ``endpoint`` takes, as its metadata says it."""
        model = self._transport.get(f"/v2/models/{quote(endpoint, safe='')}", _Model)
        return tuple(RequestField(name=each.name, datatype=each.datatype) for each in model.inputs)

    def predict(
        self,
        endpoint: str,
        inputs: Mapping[str, Sequence[object]],
        *,
        id: str | None = None,
        datatypes: Mapping[str, DataType] | None = None,
    ) -> Prediction:
        """Ask once: ``inputs`` maps each request field to one value a row; ``datatypes`` names types that the values do not show.

        Raises
        ------
        InvalidInput: the inputs do not fit the signature.
        """
        known = datatypes or {}
        tensors = [
            {"name": name, "shape": _shape(values), "datatype": known.get(name) or datatype_of(values), "data": list(values)}
            for name, values in inputs.items()
        ]
        body: dict[str, Any] = {"inputs": tensors} | ({"id": id} if id else {})
        answer = self._transport.send("POST", f"/v2/models/{quote(endpoint, safe='')}/infer", _Answer, body, key=id)
        return Prediction(
            id=answer.id,
            model=answer.model_name,
            version=answer.model_version,
            outputs={tensor.name: tensor.data for tensor in answer.outputs},
            parameters=answer.parameters,
        )

    def look(self) -> Look:
        """The health page and the counters, read one after the other."""
        page = self._transport.get("/", dict[str, Any])
        return Look(page=page, arms=tuple(_arms(self._transport.get_bytes("/metrics").decode())))


def _arms(text: str) -> Iterator[ArmCounts]:
    answers: dict[tuple[str, str, str], dict[str, int]] = {}
    buckets: dict[tuple[str, str, str], list[tuple[float, int]]] = {}
    for line in text.splitlines():
        found = _SAMPLE.match(line)
        if found is None:
            continue
        name, endpoint, version, role, label, value = found.groups()
        arm = (endpoint, version, role)
        if name == "answers_total":
            answers.setdefault(arm, {})[label] = int(value)
        else:
            buckets.setdefault(arm, []).append((float(label), int(value)))
    for arm, counted in answers.items():
        endpoint, version, role = arm
        yield ArmCounts(endpoint=endpoint, version=version, role=role, answers=counted, buckets=tuple(buckets.get(arm, ())))
