"""Reads a stream into a dataset until it is stopped: one batch after the other, each taken before the next is read.

Everything it knows is the position that the control plane answers. A reader that dies, at any moment, is started again and goes on there;
a batch whose answer was lost is offered again and found taken.
"""

import asyncio
import json
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from leverframe.apps.client import Client
from leverframe.apps.data_stream.batches import Gathering
from leverframe.apps.platform.views.streams import OpenStreamRequest, StreamBatch, StreamTaken, StreamView
from leverframe.apps.streaming.address import Address
from leverframe.apps.streaming.feed import Feed
from leverframe.apps.streaming.open_feed import open_feed
from leverframe.core.errors import Conflict, InvalidInput, Unavailable
from leverframe.data.streams.messages import MESSAGES_MAX
from leverframe.data.streams.taken import Stream, StreamRules

ROWS_MAX = 5_000
EVERY_S = 5.0
READ_WAIT_S = 0.25
"""Longest wait for messages before the reader looks whether it should stop."""
PAUSED_LOOK_S = 2.0
"""How often a paused stream is looked at."""
RETRY_S, RETRY_S_MAX = 0.5, 10.0
"""Pauses between two tries at a control plane that is not there; tries go on until the reader is stopped."""
CONFLICTS_MAX = 10

T = TypeVar("T")


class ReaderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What one reader is told; see :class:`leverframe.apps.data_stream.batches.Gathering` for the bounds of a batch."""

    dataset: str
    name: str
    address: Address
    rules: StreamRules = StreamRules()
    rows_max: int = ROWS_MAX
    every_s: float = EVERY_S
    id_from: str = ""


class Reader:
    """One stream on its way into one dataset."""

    def __init__(self, settings: ReaderSettings, client: Client, say: Callable[..., None]) -> None:
        self._settings = settings
        self._client = client
        self._say = say
        self._stop = asyncio.Event()
        self._totals = {"messages": 0, "rows": 0, "quarantined": 0, "repeated": 0, "batches": 0}

    def stop(self) -> None:
        """Finish the batch under way, then return from :meth:`run`."""
        self._stop.set()

    async def run(self) -> None:
        """Read until :meth:`stop`.

        Raises
        ------
        NotFound, Unavailable: no such dataset or stream, or the broker was lost.  Conflict: another reader took the stream on.
        """
        view = await self._patiently(self._open)
        while view is not None and not self._stop.is_set():
            if view.stream.state == "paused":
                self._say("waiting", stream=view.stream.id, reason=view.stream.reason)
                await self._rest(PAUSED_LOOK_S)
            else:
                feed = open_feed(self._settings.address)
                try:
                    await self._follow(feed, view.stream)
                finally:
                    await feed.close()
            view = await self._patiently(self._open) if not self._stop.is_set() else None
        self._say("stopped", **self._totals)

    def _open(self) -> StreamView:
        told = self._settings
        return self._client.streams.open(told.dataset, told.name, OpenStreamRequest(source=told.address.shown, rules=told.rules))

    async def _follow(self, feed: Feed, stream: Stream) -> None:
        """Read from where ``stream`` stands until it waits or the reader is stopped."""
        gap = await feed.open(stream.position)
        self._say("reading", stream=stream.id, position=stream.position, gap=gap)
        gathering = self._gathering(stream.position)
        while True:
            now_s = time.monotonic()
            if not self._stop.is_set() and not gathering.full(now_s):
                found = await feed.read(gathering.wanted(), gathering.left_s(now_s, READ_WAIT_S))
                gathering.add(found, time.monotonic())
                continue
            if gathering.messages:
                taken = await self._take(gathering.batch(await feed.behind(), gap))
                if taken is None or taken.stream.state == "paused":
                    return
                gap, gathering = "", self._gathering(taken.stream.position)
            if self._stop.is_set():
                return

    def _gathering(self, position: Mapping[str, str]) -> Gathering:
        told = self._settings
        return Gathering(position, rows_max=told.rows_max, every_s=told.every_s, id_from=told.id_from)

    async def _take(self, batch: StreamBatch) -> StreamTaken | None:
        """Offer one batch until it is taken; None when the reader was stopped before anybody answered."""
        told = self._settings
        for attempt in range(CONFLICTS_MAX):
            try:
                taken = await self._patiently(lambda: self._client.streams.take(told.dataset, told.name, batch))
            except Conflict:
                # Other rows may have come first, or an earlier try of this very batch; another reader is told by its position.
                view = await self._patiently(self._open)
                if attempt == CONFLICTS_MAX - 1 or view is None or view.stream.position not in (batch.after, batch.upto):
                    raise
                continue
            if taken is not None and taken.stream.state == "running":
                self._count(batch, taken)
            return taken
        raise AssertionError("the loop above returns or raises")

    def _count(self, batch: StreamBatch, taken: StreamTaken) -> None:
        self._totals["messages"] += len(batch.messages)
        self._totals["batches"] += 1
        for name in ("rows", "quarantined", "repeated"):
            self._totals[name] += getattr(taken, name)
        facts: dict[str, Any] = {"messages": len(batch.messages), "rows": taken.rows, "quarantined": taken.quarantined}
        facts |= {"repeated": taken.repeated, "behind": batch.behind, "position": taken.stream.position}
        if taken.reasons:
            facts["reasons"] = taken.reasons
        if taken.stream.strange:
            facts["not_in_contract"] = taken.stream.strange
        if taken.again:
            facts["taken_before"] = True
        self._say("taken", **facts)

    async def _patiently(self, ask: Callable[[], T]) -> T | None:
        """Ask the control plane, however long it is away; None when the reader was stopped meanwhile."""
        pause_s = RETRY_S
        while True:
            try:
                return await asyncio.to_thread(ask)
            except Unavailable as error:
                if self._stop.is_set():
                    return None
                self._say("control plane away", error=error.sentence()[:300], again_in_s=pause_s)
                await self._rest(pause_s)
                pause_s = min(2 * pause_s, RETRY_S_MAX)

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return


def check_settings(settings: ReaderSettings) -> None:
    """Raise InvalidInput unless a reader can work so."""
    if not 1 <= settings.rows_max <= MESSAGES_MAX:
        raise InvalidInput("not a size of a batch", where="--rows", expected=f"1 to {MESSAGES_MAX:,}", got=str(settings.rows_max))
    if settings.id_from and settings.id_from != "key" and not settings.id_from.startswith("header:"):
        raise InvalidInput("not a place of an id", where="--id-from", expected="key or header:NAME", got=settings.id_from[:100])


async def _serve(settings: ReaderSettings, client: Client, say: Callable[..., None]) -> None:
    reader = Reader(settings, client, say)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, reader.stop)
    await reader.run()


def run(settings: ReaderSettings, client: Client) -> None:
    """Read in this process until SIGTERM or SIGINT; says what it does as JSON lines. See :class:`Reader`."""
    check_settings(settings)
    asyncio.run(_serve(settings, client, _say))


def _say(event: str, **facts: object) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)
