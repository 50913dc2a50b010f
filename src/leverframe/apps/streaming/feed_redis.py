"""A Redis stream read by entry id (server 6.2 or newer), without a consumer group."""

from collections.abc import Mapping
from typing import Any

from faststream.redis import RedisBroker

from leverframe.apps.streaming.address import Address
from leverframe.apps.streaming.feed import ONE, Fed, lost, made_anew
from leverframe.apps.streaming.redis import FIELD, connect

START = "0-0"


class RedisFeed:
    """See :class:`leverframe.apps.streaming.feed.Feed`. An entry's field ``id`` names its message."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._broker: RedisBroker | None = None
        self._client: Any = None
        self._read = START

    async def open(self, after: Mapping[str, str]) -> str:
        """See :class:`leverframe.apps.streaming.feed.Feed`."""
        self._broker, self._client = await connect(self._address)
        self._read = after.get(ONE, START)
        if self._read == START:
            return ""
        name = self._address.name
        try:
            newest = await self._client.xrevrange(name, count=1)
            about = await self._client.xinfo_stream(name) if newest else None
            there = await self._client.xrange(name, self._read, self._read)
        except Exception as error:
            raise lost(self._address, error) from error
        last = _text(about["last-generated-id"]) if about else START
        if _order(last) < _order(self._read):
            raise made_anew(self._address, last, self._read)
        if there or not newest or _text(newest[0][0]) == self._read:
            return ""
        # Entries leave from the old end: with the last one that was read, some beyond it may be gone too.
        return f"entries up to {self._read} were dropped, and perhaps some after it unread"

    async def read(self, count: int, wait_s: float) -> list[Fed]:
        """See :class:`leverframe.apps.streaming.feed.Feed`."""
        try:
            answer = await self._client.xread({self._address.name: self._read}, count=count, block=max(1, int(wait_s * 1000)))
        except Exception as error:
            raise lost(self._address, error) from error
        entries = _entries(answer)
        found = []
        for number, fields in entries:
            self._read = _text(number)
            headers = {_text(name): _text(value) for name, value in fields.items() if name != FIELD}
            found.append(Fed(ONE, self._read, fields.get(FIELD, b""), headers, id=headers.get("id", "")))
        return found

    async def behind(self) -> int | None:
        """See :class:`leverframe.apps.streaming.feed.Feed`. Redis cannot count from a place without walking there."""
        try:
            newest = await self._client.xrevrange(self._address.name, count=1)
        except Exception as error:
            raise lost(self._address, error) from error
        return 0 if not newest or _text(newest[0][0]) == self._read else None

    async def close(self) -> None:
        """See :class:`leverframe.apps.streaming.feed.Feed`."""
        if self._broker is not None:
            await self._broker.stop()


def _entries(answer: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """The entries of the only stream asked, in whichever shape the protocol's version gives them."""
    if not answer:
        return []
    if isinstance(answer, dict):
        (batches,) = answer.values()
        return [entry for batch in batches for entry in (batch if isinstance(batch, list) else [batch])]
    return list(answer[0][1])


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _order(entry: str) -> tuple[int, int]:
    moment, _, number = entry.partition("-")
    return int(moment), int(number or 0)
