"""A Kafka topic read by offset: every partition is assigned by hand, no group is joined, no offset is committed."""

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from leverframe.apps.streaming.address import Address
from leverframe.apps.streaming.feed import Fed, lost, made_anew
from leverframe.apps.streaming.kafka import PING_S, PREFETCH_KIB_MAX
from leverframe.core.errors import NotFound, Unavailable

GROUP = "leverframe-reader"
"""A name that the protocol wants and nothing is kept under."""


class KafkaFeed:
    """See :class:`leverframe.apps.streaming.feed.Feed`. The header ``id`` names a message."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._consumer: Consumer | None = None
        self._read: dict[str, int] = {}

    async def open(self, after: Mapping[str, str]) -> str:
        """See :class:`leverframe.apps.streaming.feed.Feed`."""
        return await asyncio.to_thread(self._open, dict(after))

    def _open(self, after: dict[str, str]) -> str:
        topic = self._address.name
        self._consumer = Consumer(
            {
                "bootstrap.servers": self._address.server,
                "group.id": GROUP,
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "allow.auto.create.topics": False,
                "queued.max.messages.kbytes": PREFETCH_KIB_MAX,
                "log_level": 0,
            }
        )
        try:
            about = self._consumer.list_topics(topic, timeout=PING_S).topics[topic]
        except KafkaException as error:
            raise Unavailable("no Kafka broker answers", where=self._address.shown, expected="a broker", got=str(error)[:200]) from error
        if about.error is not None or not about.partitions:
            raise NotFound("no such topic", where=self._address.shown, got=str(about.error)[:200])
        gaps, assigned = [], []
        for partition in sorted(about.partitions):
            low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=PING_S)
            read = int(after.get(str(partition), "-1"))
            if read >= high:
                raise made_anew(self._address, f"{partition}/{high - 1}", f"{partition}/{read}")
            if read >= 0 and read + 1 < low:
                gaps.append(f"{low - read - 1} of partition {partition}")
            start = max(read + 1, low) if read >= 0 else OFFSET_BEGINNING
            assigned.append(TopicPartition(topic, partition, start))
            self._read[str(partition)] = read
        self._consumer.assign(assigned)
        return f"messages were dropped unread: {', '.join(gaps[:10])}" if gaps else ""

    async def read(self, count: int, wait_s: float) -> list[Fed]:
        """See :class:`leverframe.apps.streaming.feed.Feed`."""
        assert self._consumer is not None, "opened first"
        try:
            records = await asyncio.to_thread(partial(self._consumer.consume, count, wait_s))
        except (KafkaException, RuntimeError) as error:
            raise lost(self._address, error) from error
        found = []
        for record in records:
            if record.error():
                raise lost(self._address, KafkaException(record.error()))
            partition, offset = str(record.partition()), int(record.offset() or 0)
            self._read[partition] = offset
            headers = {pair[0]: _text(pair[1]) for pair in record.headers() or ()}
            found.append(Fed(partition, str(offset), record.value() or b"", headers, _text(record.key()), headers.get("id", "")))
        return found

    async def behind(self) -> int | None:
        """See :class:`leverframe.apps.streaming.feed.Feed`."""
        return await asyncio.to_thread(self._behind)

    def _behind(self) -> int:
        assert self._consumer is not None, "opened first"
        total, deadline = 0, time.monotonic() + PING_S
        for partition, read in self._read.items():
            left_s = max(0.1, deadline - time.monotonic())
            try:
                low, high = self._consumer.get_watermark_offsets(TopicPartition(self._address.name, int(partition)), timeout=left_s)
            except KafkaException as error:
                raise lost(self._address, error) from error
            total += max(0, high - max(read + 1, low))
        return total

    async def close(self) -> None:
        """See :class:`leverframe.apps.streaming.feed.Feed`."""
        if self._consumer is not None:
            await asyncio.to_thread(self._consumer.close)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
