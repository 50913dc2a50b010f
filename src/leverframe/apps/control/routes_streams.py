"""Routes of streams that are read into datasets."""

import msgspec

from leverframe.apps.control.route import MEBIBYTE, Route
from leverframe.apps.platform.views.streams import OpenStreamRequest, PauseRequest, StreamBatch, StreamTaken, StreamView

BATCH_BODY_BYTES_MAX = 32 * MEBIBYTE
"""A reader sends 8 MiB of messages, which escapes may double, and whatever one last message has."""


class StreamsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only streams of ``dataset`` (empty: all)."""

    dataset: str = ""


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/streams",
        permission="Data.Read",
        query=StreamsQuery,
        run=lambda call: call.platform.streams.streams(call.query.dataset),
        gives=tuple[StreamView, ...],
        summary="Every stream that is read into a dataset: where it stands, what became of its messages",
    ),
    Route(
        method="POST",
        path="/api/v1/datasets/{dataset}/streams/{stream}",
        permission="Data.Ingest",
        run=lambda call: call.platform.streams.open(call.actor, call.path["dataset"], call.path["stream"], call.body, key=call.key),
        takes=OpenStreamRequest,
        example={"source": "nats://127.0.0.1:4222/trips", "rules": {"new_columns": "ignore", "on_break": "pause"}},
        gives=StreamView,
        summary="Declare a stream, or ask where the reading of it goes on",
    ),
    Route(
        method="POST",
        path="/api/v1/datasets/{dataset}/streams/{stream}/batches",
        permission="Data.Ingest",
        run=lambda call: call.platform.streams.take(call.actor, call.path["dataset"], call.path["stream"], call.body, key=call.key),
        takes=StreamBatch,
        example={"after": {"0": "41"}, "upto": {"0": "42"}, "messages": [["0:42", "", '{"id": "t1", "miles": 2.5}', ""]]},
        gives=StreamTaken,
        body_bytes_max=BATCH_BODY_BYTES_MAX,
        summary="Offer a stream's next messages: good rows are kept and bad ones set aside, once, with the position they reach",
    ),
    Route(
        method="POST",
        path="/api/v1/datasets/{dataset}/streams/{stream}/pause",
        permission="Data.Ingest",
        run=lambda call: call.platform.streams.pause(call.actor, call.path["dataset"], call.path["stream"], call.body.reason, key=call.key),
        takes=PauseRequest,
        example={"reason": "the producer is being mended"},
        gives=StreamView,
        summary="Let a stream wait; its messages stay in the broker",
    ),
    Route(
        method="POST",
        path="/api/v1/datasets/{dataset}/streams/{stream}/resume",
        permission="Data.Ingest",
        run=lambda call: call.platform.streams.resume(call.actor, call.path["dataset"], call.path["stream"], key=call.key),
        gives=StreamView,
        summary="Let a stream go on where it was left",
    ),
)
