"""What a gateway says to those who ask it: a model's inputs, its own page, and traffic by arm."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from leverframe.apps.client_transport import Transport
from leverframe.core.schema import DataType, RequestField

_SAMPLE = re.compile(
    r'^lever_(answers_total|latency_seconds_bucket)\{endpoint="([^"]*)",version="([^"]*)",role="([^"]*)",(?:status|le)="([^"]*)"\} (\S+)$'
)


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
