"""Streams without a broker: every use case answers with a plausible record."""

from typing import Any

from leverframe.apps.platform.views.streams import OpenStreamRequest, StreamBatch, StreamTaken, StreamView
from leverframe.core.actor import Actor
from leverframe.data.streams.taken import Stream

TRIPS = Stream(dataset="flights", name="trips", source="nats://127.0.0.1:4222/trips", position={"0": "42"}, messages=42, rows=40)


class FakeStreams:
    def __init__(self, calls: Any, access: Any) -> None:
        self._calls, self._access = calls, access

    def streams(self, dataset: str = "") -> tuple[StreamView, ...]:
        return (StreamView(stream=TRIPS, contract_version="1.0.0", keyed=True),)

    def metrics(self) -> bytes:
        return b""

    def _wrote(self, actor: Actor, key: str, *arguments: object) -> StreamView:
        self._calls.write(self._access, actor, "Data.Ingest", key, *arguments)
        return self.streams()[0]

    def open(self, actor: Actor, dataset: str, name: str, asked: OpenStreamRequest, *, key: str) -> StreamView:
        return self._wrote(actor, key, dataset, name, asked)

    def take(self, actor: Actor, dataset: str, name: str, batch: StreamBatch, *, key: str) -> StreamTaken:
        return StreamTaken(stream=self._wrote(actor, key, dataset, name, batch).stream, rows=len(batch.messages))

    def pause(self, actor: Actor, dataset: str, name: str, reason: str, *, key: str) -> StreamView:
        return self._wrote(actor, key, dataset, name, reason)

    def resume(self, actor: Actor, dataset: str, name: str, *, key: str) -> StreamView:
        return self._wrote(actor, key, dataset, name)
