"""The part of the client for streams that are read into datasets."""

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform.views.streams import OpenStreamRequest, PauseRequest, StreamBatch, StreamTaken, StreamView
from leverframe.apps.transport import Transport


class StreamsClient:
    """Streams as a data source."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def streams(self, dataset: str = "") -> tuple[StreamView, ...]:
        """Every stream (of ``dataset``): where it stands, what became of its messages."""
        return self._transport.get(path_of("streams"), tuple[StreamView, ...], dataset=dataset or None)

    def open(self, dataset: str, name: str, request: OpenStreamRequest, *, key: str | None = None) -> StreamView:
        """Declare a stream, or ask where the reading of it goes on."""
        return self._transport.send("POST", path_of("datasets", dataset, "streams", name), StreamView, request, key=key)

    def take(self, dataset: str, name: str, batch: StreamBatch, *, key: str | None = None) -> StreamTaken:
        """Offer the next messages; offered twice they are taken once."""
        return self._transport.send("POST", path_of("datasets", dataset, "streams", name, "batches"), StreamTaken, batch, key=key)

    def pause(self, dataset: str, name: str, reason: str, *, key: str | None = None) -> StreamView:
        """Let a stream wait; its messages stay in the broker."""
        body = PauseRequest(reason=reason)
        return self._transport.send("POST", path_of("datasets", dataset, "streams", name, "pause"), StreamView, body, key=key)

    def resume(self, dataset: str, name: str, *, key: str | None = None) -> StreamView:
        """Let a stream go on where it was left."""
        return self._transport.send("POST", path_of("datasets", dataset, "streams", name, "resume"), StreamView, key=key)
