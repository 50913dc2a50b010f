"""Redis streams (server 6.2 or newer) through FastStream.

In: a consumer group; what a worker died with is claimed after ``redeliver_s``. Out: one script sets a marker named after the prediction
id and appends the message, or finds the marker and appends nothing: while the marker lives there is one message of an id, whoever wrote
it.
"""

from collections.abc import Sequence
from typing import Any

from faststream import AckPolicy
from faststream.message import StreamMessage
from faststream.redis import RedisBroker, StreamSub

from leverframe.apps.streaming.address import Address
from leverframe.apps.streaming.broker import BATCH_WAIT_S, GRACE_S, PUBLISH_S, Consumer, Take
from leverframe.core.errors import Unavailable
from leverframe.serving.stream.message import Incoming, broker_id
from leverframe.serving.stream.window import Outgoing

CONNECT_S = 5.0
MARKER_S = 86_400
"""How long the marker of a published id is kept in Redis."""
FIELD = b"data"
"""Entries carry their JSON in this field."""
STREAM_ENTRIES_MAX = 1_000_000
"""About as many newest entries of an output stream are kept."""
_ONCE = """
if redis.call('SET', KEYS[2], '1', 'NX', 'EX', ARGV[3]) then
  return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], '*', 'data', ARGV[1], 'id', ARGV[2])
end
return false
"""


async def connect(address: Address) -> tuple[RedisBroker, Any]:
    """A broker and its client.

    Raises
    ------
    Unavailable: no server.
    """
    broker = RedisBroker(
        address.server,
        logger=None,  # type: ignore[arg-type]  # silence, which the other brokers' types allow too
        apply_types=False,
        graceful_timeout=GRACE_S,
        socket_connect_timeout=CONNECT_S,
        socket_timeout=PUBLISH_S,
    )
    try:
        client: Any = await broker.connect()
        await client.ping()
    except Exception as error:
        raise Unavailable("no Redis answers", where=address.shown, expected="a server, 6.2 or newer", got=str(error)[:200]) from error
    return broker, client


async def _as_delivered(message: StreamMessage[Any]) -> Any:
    return message.raw_message


async def _unread(message: Any) -> StreamMessage[Any]:
    """FastStream would take entries apart before anybody could refuse them."""
    return StreamMessage(raw_message=message, body=b"")


class RedisSource:
    """Entries of one stream: new ones in batches, and those whose taker died."""

    def __init__(self, address: Address, consumer: Consumer) -> None:
        self._address = address
        self._consumer = consumer
        self._broker: RedisBroker | None = None

    async def start(self, take: Take) -> None:
        """See :class:`leverframe.apps.streaming.broker.Source`."""
        name, consumer = self._address.name, self._consumer
        self._broker, client = await connect(self._address)
        try:
            await client.xgroup_create(name, consumer.group, id="0", mkstream=True)
        except Exception as error:
            if "BUSYGROUP" not in str(error):
                raise Unavailable("Redis refused a consumer group", where=self._address.shown, got=str(error)[:200]) from error

        async def handle(entries: Any) -> None:
            found = [(number, fields) for number, fields in zip(entries["message_ids"], entries["data"], strict=True) if fields]
            await take([_incoming(name, number, fields) for number, fields in found])
            await client.xack(name, consumer.group, *entries["message_ids"])

        group, worker, idle_ms = consumer.group, consumer.worker, int(consumer.redeliver_s * 1000)
        wait_ms = int(BATCH_WAIT_S * 1000)
        fresh = StreamSub(name, wait_ms, group, worker, batch=True, max_records=consumer.batch_max)
        left = StreamSub(name, min(idle_ms, 1000), group, worker, batch=True, min_idle_time=idle_ms)
        for entries in (fresh, left):
            self._broker.subscriber(stream=entries, ack_policy=AckPolicy.MANUAL, parser=_unread, decoder=_as_delivered)(handle)
        await self._broker.start()

    async def stop(self) -> None:
        """See :class:`leverframe.apps.streaming.broker.Source`."""
        if self._broker is not None:
            await self._broker.stop()


def _incoming(stream: str, number: bytes, fields: dict[bytes, bytes]) -> Incoming:
    headers = {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in fields.items() if name != FIELD}
    return Incoming(fields.get(FIELD, b""), f"{stream}.{number.decode()}", headers)


class RedisSink:
    """Answers to one stream, dead letters to another of the same server."""

    def __init__(self, answers: Address, dead: Address) -> None:
        self._answers, self._dead = answers, dead
        self._broker: RedisBroker | None = None
        self._once: Any = None
        self._client: Any = None

    async def connect(self) -> None:
        """See :class:`leverframe.apps.streaming.broker.Sink`."""
        self._broker, self._client = await connect(self._answers)
        self._once = self._client.register_script(_ONCE)

    async def publish(self, batch: Sequence[Outgoing]) -> None:
        """See :class:`leverframe.apps.streaming.broker.Sink`."""
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                for each in batch:
                    stream = self._dead.name if each.dead else self._answers.name
                    # The braces keep stream and marker in one slot of a cluster.
                    keys = [stream, f"{{{stream}}}:once:{broker_id(each.id)}"]
                    await self._once(keys=keys, args=[each.body, broker_id(each.id), MARKER_S, STREAM_ENTRIES_MAX], client=pipe)
                await pipe.execute()
        except Exception as error:
            raise Unavailable("Redis did not confirm what was published", where=self._answers.shown, got=repr(error)[:200]) from error

    async def close(self) -> None:
        """See :class:`leverframe.apps.streaming.broker.Sink`."""
        if self._broker is not None:
            await self._broker.stop()
