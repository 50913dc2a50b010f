"""Kafka through FastStream, on librdkafka.

In: a consumer group that commits after a batch is published. Out: an idempotent producer, so that its own retries double nothing; the
prediction id is the key and the header ``id``. A worker that dies between publishing and keeping that in its window publishes the same
bytes again under the same key: who reads the topic drops a key it has seen (or compacts the topic).
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from faststream import AckPolicy
from faststream.confluent import KafkaBroker
from faststream.message import StreamMessage

from leverframe.apps.streaming.address import Address
from leverframe.apps.streaming.broker import BATCH_WAIT_S, GRACE_S, PUBLISH_S, Consumer, Take
from leverframe.core.errors import Unavailable
from leverframe.serving.stream.message import Incoming, broker_id
from leverframe.serving.stream.window import Outgoing

PREFETCH_KIB_MAX = 16 * 1024
"""Kibibytes librdkafka reads ahead of the worker."""
PING_S = 5.0


def open_broker(address: Address) -> KafkaBroker:
    """A broker object that is not connected yet."""
    return KafkaBroker(
        address.server,
        logger=None,
        apply_types=False,
        graceful_timeout=GRACE_S,
        allow_auto_create_topics=False,
        acks="all",
        enable_idempotence=True,
        linger_ms=2,
        config={"queued.max.messages.kbytes": PREFETCH_KIB_MAX, "delivery.timeout.ms": int(PUBLISH_S * 1000)},
    )


async def _check(broker: KafkaBroker, address: Address) -> None:
    if not await broker.ping(timeout=PING_S):
        raise Unavailable("no Kafka broker answers", where=address.shown, expected="a broker", got="none")


async def _as_delivered(message: StreamMessage[Any]) -> Any:
    return message.raw_message


async def _unread(message: Any) -> StreamMessage[Any]:
    """FastStream decodes headers as UTF-8, and a message with others would stop the stream."""
    return StreamMessage(raw_message=message, body=b"")


class KafkaSource:
    """Records of one topic."""

    def __init__(self, address: Address, consumer: Consumer) -> None:
        self._address = address
        self._consumer = consumer
        self._broker: KafkaBroker | None = None

    async def start(self, take: Take) -> None:
        """See :class:`leverframe.apps.streaming.broker.Source`."""
        broker = self._broker = open_broker(self._address)
        subscriber = broker.subscriber(
            self._address.name,
            group_id=self._consumer.group,
            # A worker that comes back under its name gets its partitions at once, and need not wait for its own death to be noticed.
            group_instance_id=self._consumer.worker,
            batch=True,
            max_records=self._consumer.batch_max,
            polling_interval=BATCH_WAIT_S,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            parser=_unread,
            decoder=_as_delivered,
        )

        async def handle(records: Sequence[Any]) -> None:
            await take([_incoming(record) for record in records])
            assert subscriber.consumer is not None, "the batch came from it"
            await subscriber.consumer.commit(asynchronous=False)

        subscriber(handle)
        await broker.connect()
        await _check(broker, self._address)
        await broker.start()

    async def stop(self) -> None:
        """See :class:`leverframe.apps.streaming.broker.Source`."""
        if self._broker is not None:
            await self._broker.stop()


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def _incoming(record: Any) -> Incoming:
    headers = {name: _text(value) for name, value in record.headers() or ()}
    place = f"{record.topic()}.{record.partition()}.{record.offset()}"
    return Incoming(record.value() or b"", place, headers, _text(record.key()))


class KafkaSink:
    """Answers to one topic, dead letters to another of the same cluster."""

    def __init__(self, answers: Address, dead: Address) -> None:
        self._answers, self._dead = answers, dead
        self._broker: KafkaBroker | None = None

    async def connect(self) -> None:
        """See :class:`leverframe.apps.streaming.broker.Sink`."""
        self._broker = open_broker(self._answers)
        await self._broker.connect()
        await _check(self._broker, self._answers)
        await self._broker.start()

    async def publish(self, batch: Sequence[Outgoing]) -> None:
        """See :class:`leverframe.apps.streaming.broker.Sink`."""
        try:
            async with asyncio.timeout(PUBLISH_S):
                await asyncio.gather(*(self._one(each) for each in batch))
        except Exception as error:
            raise Unavailable("Kafka did not confirm what was published", where=self._answers.shown, got=repr(error)[:200]) from error

    async def _one(self, each: Outgoing) -> None:
        assert self._broker is not None, "connected first"
        topic, key = (self._dead.name if each.dead else self._answers.name), broker_id(each.id)
        await self._broker.publish(each.body, topic, key=key.encode(), headers={"id": key, "content-type": "application/json"})

    async def close(self) -> None:
        """See :class:`leverframe.apps.streaming.broker.Sink`."""
        if self._broker is not None:
            await self._broker.stop()
