"""NATS JetStream through FastStream.

In: a durable pull consumer with explicit acknowledgement. Out: each message carries its prediction id as ``Nats-Msg-Id``; within the
stream's duplicate window (two minutes unless it says otherwise) JetStream keeps one message of an id, whoever published it, and
confirms the others as duplicates.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from faststream import AckPolicy
from faststream.message import StreamMessage
from faststream.nats import ConsumerConfig, JStream, NatsBroker, PullSub

from leverframe.apps.streaming.address import Address
from leverframe.apps.streaming.broker import BATCH_WAIT_S, GRACE_S, PUBLISH_S, Consumer, Take
from leverframe.core.errors import NotFound, Unavailable
from leverframe.serving.stream.message import Incoming, broker_id
from leverframe.serving.stream.window import Outgoing

CONNECT_S = 5
MESSAGE_ID = "Nats-Msg-Id"


async def connect(address: Address) -> tuple[NatsBroker, str]:
    """A connected broker, and the name of the stream that keeps ``address.name``.

    Raises
    ------
    Unavailable: no server.    NotFound: no stream keeps this subject.
    """
    broker = NatsBroker(
        address.server,
        logger=None,
        apply_types=False,
        graceful_timeout=GRACE_S,
        connect_timeout=CONNECT_S,
        max_reconnect_attempts=-1,
        allow_reconnect=True,
    )
    try:
        async with asyncio.timeout(CONNECT_S):
            client = await broker.connect()
    except Exception as error:
        raise Unavailable(
            "no NATS server answers", where=address.shown, expected="a server with JetStream", got=str(error)[:200]
        ) from error
    try:
        return broker, await client.jetstream().find_stream_name_by_subject(address.name)
    except Exception as error:
        await broker.stop()
        raise NotFound(
            "no stream keeps this subject",
            where=address.shown,
            expected="a JetStream stream",
            got=type(error).__name__,
            next_step=f"nats stream add --subjects {address.name}",
        ) from error


async def _as_delivered(message: StreamMessage[Any]) -> Any:
    """FastStream would decode bodies; a worker that refuses by itself wants them as they came."""
    return message.raw_message


class NatsSource:
    """Messages of one subject."""

    def __init__(self, address: Address, consumer: Consumer) -> None:
        self._address = address
        self._consumer = consumer
        self._broker: NatsBroker | None = None

    async def start(self, take: Take) -> None:
        """See :class:`leverframe.apps.streaming.broker.Source`."""
        consumer = self._consumer
        self._broker, stream = await connect(self._address)

        async def handle(messages: list[Any]) -> None:
            await take([_incoming(message) for message in messages])
            for message in messages:
                await message.ack()

        self._broker.subscriber(
            self._address.name,
            durable=consumer.group,
            stream=JStream(stream, declare=False),
            config=ConsumerConfig(ack_wait=consumer.redeliver_s, max_ack_pending=4 * consumer.batch_max, max_deliver=-1),
            pull_sub=PullSub(batch_size=consumer.batch_max, timeout=BATCH_WAIT_S, batch=True),
            ack_policy=AckPolicy.MANUAL,
            decoder=_as_delivered,
        )(handle)
        await self._broker.start()

    async def stop(self) -> None:
        """See :class:`leverframe.apps.streaming.broker.Source`."""
        if self._broker is not None:
            await self._broker.stop()


def _incoming(message: Any) -> Incoming:
    about = message.metadata
    headers = message.headers or {}
    place = f"{about.stream}.{about.sequence.stream}"
    return Incoming(message.data, place, headers, headers.get(MESSAGE_ID, ""))


class NatsSink:
    """Answers to one subject, dead letters to another."""

    def __init__(self, answers: Address, dead: Address) -> None:
        self._answers, self._dead = answers, dead
        self._broker: NatsBroker | None = None
        self._streams: dict[bool, str] = {}

    async def connect(self) -> None:
        """See :class:`leverframe.apps.streaming.broker.Sink`."""
        other, self._streams[True] = await connect(self._dead)
        await other.stop()
        self._broker, self._streams[False] = await connect(self._answers)
        await self._broker.start()

    async def publish(self, batch: Sequence[Outgoing]) -> None:
        """See :class:`leverframe.apps.streaming.broker.Sink`."""
        try:
            await asyncio.gather(*(self._one(each) for each in batch))
        except Exception as error:
            raise Unavailable("NATS did not confirm what was published", where=self._answers.shown, got=repr(error)[:200]) from error

    async def _one(self, each: Outgoing) -> None:
        assert self._broker is not None, "connected first"
        subject = self._dead.name if each.dead else self._answers.name
        headers = {MESSAGE_ID: broker_id(each.id), "content-type": "application/json"}
        await self._broker.publish(each.body, subject, headers=headers, stream=self._streams[each.dead], timeout=PUBLISH_S)

    async def close(self) -> None:
        """See :class:`leverframe.apps.streaming.broker.Sink`."""
        if self._broker is not None:
            await self._broker.stop()
