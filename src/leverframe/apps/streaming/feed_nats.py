"""A JetStream subject read by sequence: an ephemeral pull consumer that acknowledges nothing.

The stream must keep what was read (retention by limits): of a work queue nothing would ever leave.
"""

from collections.abc import Mapping
from typing import Any

from faststream.nats import NatsBroker
from nats.errors import TimeoutError as NothingCame
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RetentionPolicy

from leverframe.apps.streaming.address import Address
from leverframe.apps.streaming.feed import ONE, Fed, lost, made_anew
from leverframe.apps.streaming.nats import MESSAGE_ID, connect
from leverframe.core.errors import Refused

FORGOTTEN_S = 300.0
"""The server forgets a consumer that asked nothing for so long; it is made again where the reader stands."""


class NatsFeed:
    """See :class:`leverframe.apps.streaming.feed.Feed`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._broker: NatsBroker | None = None
        self._client: Any = None
        self._stream = ""
        self._jetstream: Any = None
        self._consumer: Any = None
        self._read = 0
        self._delivered = 0

    async def open(self, after: Mapping[str, str]) -> str:
        """See :class:`leverframe.apps.streaming.feed.Feed`."""
        self._broker, self._stream = await connect(self._address)
        self._client = await self._broker.connect()
        self._jetstream = self._client.jetstream()
        about = await self._jetstream.stream_info(self._stream)
        if about.config.retention != RetentionPolicy.LIMITS:
            raise Refused(
                "this stream deletes what is acknowledged, and this reader acknowledges nothing",
                where=self._address.shown,
                expected="retention by limits",
                got=str(about.config.retention),
                next_step="let another stream mirror it",
            )
        first, last = about.state.first_seq, about.state.last_seq
        self._read = int(after.get(ONE, "0"))
        if self._read > last:
            raise made_anew(self._address, str(last), str(self._read))
        await self._subscribe()
        dropped = first - self._read - 1
        known = bool(after)
        return f"up to {dropped} messages before sequence {first} were dropped unread" if known and dropped > 0 else ""

    async def _subscribe(self) -> None:
        if self._consumer is not None:
            await self._consumer.unsubscribe()
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._read + 1,
            inactive_threshold=FORGOTTEN_S,
            mem_storage=True,
        )
        self._consumer = await self._jetstream.pull_subscribe(self._address.name, stream=self._stream, config=config)
        self._delivered = 0

    async def read(self, count: int, wait_s: float) -> list[Fed]:
        """See :class:`leverframe.apps.streaming.feed.Feed`."""
        try:
            messages = await self._consumer.fetch(count, timeout=wait_s)
        except (TimeoutError, NothingCame):
            return []
        except Exception as error:
            raise lost(self._address, error) from error
        found: list[Fed] = []
        for message in messages:
            about = message.metadata
            self._delivered += 1
            if about.sequence.consumer != self._delivered:
                # What the server sent and nobody received is not sent again: ask anew from where the reader stands.
                await self._subscribe()
                break
            self._read = about.sequence.stream
            headers = dict(message.headers or {})
            found.append(Fed(ONE, str(self._read), message.data, headers, id=headers.get(MESSAGE_ID, "")))
        return found

    async def behind(self) -> int | None:
        """See :class:`leverframe.apps.streaming.feed.Feed`."""
        try:
            return int((await self._consumer.consumer_info()).num_pending)
        except Exception as error:
            raise lost(self._address, error) from error

    async def close(self) -> None:
        """See :class:`leverframe.apps.streaming.feed.Feed`."""
        if self._client is not None:
            # Not drained: a pull subscription would wait half a minute for messages that nobody wants any more.
            await self._client.close()
