"""Labels: ``POST /v2/models/{model}/feedback`` puts what turned out to be true into the same log as the answers.

A label names its prediction by id, or by the entity that was asked about and a moment.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import msgspec

from leverframe.core.clock import Clock
from leverframe.core.errors import Fault, InvalidInput, SchemaMismatch, Unavailable
from leverframe.core.prediction import LabelRecord
from leverframe.serving.log_segments import SegmentLog
from leverframe.serving.protocol import oip
from leverframe.serving.protocol.inputs import ROWS_MAX
from leverframe.serving.protocol.message import Request, Response

LABELS_MAX = 20_000
"""Labels a request; more is refused by the decoder."""

FEEDBACK_EXAMPLE = {"labels": [{"id": "prediction-1", "label": 1.0, "known_at_us": 1364814000000000}]}
ENTITIES_MAX = 16
"""Entity fields of one label; more is refused by the decoder."""


_Text = Annotated[str, msgspec.Meta(max_length=oip.ID_CHARS_MAX)]


class Label(msgspec.Struct, frozen=True):
    """One label. ``known_at_us``: when the world knew it; now, when left out. ``row``: of a request with several.

    Either ``id``, or ``entities`` (every entity field of the model, as text) with ``asked_at_us``, a moment at or after the asking and
    before the next asking about the same entity; when left out, the moment the world knew.
    """

    label: float
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=oip.ID_CHARS_MAX)] = ""
    entities: Annotated[dict[_Text, _Text], msgspec.Meta(max_length=ENTITIES_MAX)] = {}
    asked_at_us: Annotated[int, msgspec.Meta(ge=0, le=2**62)] | None = None
    known_at_us: Annotated[int, msgspec.Meta(ge=0, le=2**62)] | None = None
    row: Annotated[int, msgspec.Meta(ge=0, lt=ROWS_MAX)] = 0


class _Labels(msgspec.Struct, frozen=True):
    labels: Annotated[list[Label], msgspec.Meta(min_length=1, max_length=LABELS_MAX)]


_decode_many = msgspec.json.Decoder(_Labels).decode
_decode_one = msgspec.json.Decoder(Label).decode


def read_labels(body: bytes) -> list[Label]:
    """One label ``{"id", "label", …}`` or many ``{"labels": […]}``.

    Raises
    ------
    InvalidInput: neither.    SchemaMismatch: a label is not a finite number.

    >>> read_labels(b'{"id": "a", "label": 1}')[0].label
    1.0
    """
    try:
        labels = _decode_many(body).labels if b'"labels"' in body else [_decode_one(body)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(
            "not labels",
            where="body",
            expected="label with id, or with entities and asked_at_us; or a list of them as 'labels'",
            got=str(error)[:200],
            next_step="see the example",
        ) from error
    faults = [
        Fault(where=f"label {i}", what="not finite", expected="a number") for i, one in enumerate(labels) if not math.isfinite(one.label)
    ]
    if faults:
        raise SchemaMismatch("labels must be finite numbers", where="labels", faults=faults[:100], expected="a number", got="infinity")
    return labels


def take_labels(
    endpoint: str, entity_fields: Sequence[str], request: Request, log: SegmentLog, clock: Clock, body_bytes_max: int
) -> Response:
    """Log every label of ``request``, or none when the log has no room.

    Parameters
    ----------
    entity_fields: of the live version; labels by entity name them all.

    Raises
    ------
    InvalidInput: not labels, or of nothing.    Unavailable: the log dropped labels; send them again (labels are idempotent by id and row).
    """
    labels = read_labels(oip.body_of(request, body_bytes_max))
    _check_named(labels, entity_fields)
    now_us = clock.now_us()
    logged = 0
    for label in labels:
        known_at_us = now_us if label.known_at_us is None else label.known_at_us
        record = LabelRecord(
            id=label.id,
            endpoint=endpoint,
            label=label.label,
            known_at_us=known_at_us,
            row=label.row,
            entities=label.entities,
            asked_at_us=0 if label.id else known_at_us if label.asked_at_us is None else label.asked_at_us,
        )
        logged += log.label(record)
    if logged < len(labels):
        raise Unavailable(
            "the prediction log has no room for labels",
            where=endpoint,
            expected=f"{len(labels)} labels logged",
            got=f"{logged}",
            next_step="send them again later; operators: free disk space",
        )
    return oip.json_response({"accepted": logged})


def _check_named(labels: list[Label], entity_fields: Sequence[str]) -> None:
    wanted = ", ".join(entity_fields)
    faults = []
    for place, label in enumerate(labels):
        if bool(label.id) == bool(label.entities):
            faults.append(
                Fault(
                    where=f"label {place}",
                    what="names no prediction",
                    expected="either id or entities",
                    got="both" if label.id else "neither",
                )
            )
        elif label.entities and (set(label.entities) != set(entity_fields) or label.row):
            got = ", ".join(sorted(label.entities))[:200]
            faults.append(
                Fault(
                    where=f"label {place}", what="names no entity of this model", expected=wanted or "id: the model has no entity", got=got
                )
            )
    if faults:
        raise InvalidInput(
            "labels that name no prediction", where="labels", faults=faults[:100], expected=faults[0].expected, got=faults[0].got
        )
