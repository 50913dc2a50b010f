"""New audit entries as server-sent events, so that a page can say "something changed" without asking all the time."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from leverframe.apps.platform.views import AuditView
from leverframe.core.errors import Overloaded

if TYPE_CHECKING:
    from leverframe.apps.platform.platform import Platform

LOOK_SECONDS = 1.0
STREAM_SECONDS_MAX = 300.0
ENTRIES_A_LOOK_MAX = 100
STREAMS_MAX = 64
SILENT_LOOKS_MAX = 15


class EventStreams:
    """The open streams of this process: at most ``STREAMS_MAX``, each closed after ``STREAM_SECONDS_MAX`` (browsers reconnect)."""

    def __init__(self, *, look_seconds: float = LOOK_SECONDS) -> None:
        self._look_seconds = look_seconds
        self._open = 0

    async def respond(self, request: Request, platform: "Platform", *, numbers_only: bool = False) -> StreamingResponse:
        """Stream the entries that ``platform`` shows after ``Last-Event-ID``, or after now; just their numbers for who may not read them.

        Raises
        ------
        Overloaded: as many streams as allowed are open.
        """
        if self._open >= STREAMS_MAX:
            raise Overloaded(
                "too many event streams are open", where=request.url.path, expected=f"at most {STREAMS_MAX}", next_step="reload later"
            )
        last = request.headers.get("last-event-id", "")
        after = int(last) if last.isdigit() and len(last) < 19 else await self._newest(platform)
        return StreamingResponse(self._events(platform, after, numbers_only), media_type="text/event-stream")

    async def _newest(self, platform: "Platform") -> int:
        newest = await run_in_threadpool(lambda: platform.audit.entries(limit=1))
        return newest[0].seq if newest else 0

    async def _events(self, platform: "Platform", after: int, numbers_only: bool) -> AsyncIterator[bytes]:
        self._open += 1
        try:
            yield b"retry: 2000\n\n"
            silent = 0
            deadline = asyncio.get_running_loop().time() + STREAM_SECONDS_MAX
            while asyncio.get_running_loop().time() < deadline:
                entries = await run_in_threadpool(_look, platform, after)
                for entry in entries:
                    after = entry.seq
                    data = msgspec.json.encode({"seq": entry.seq} if numbers_only else entry)
                    yield b"id: %d\nevent: audit\ndata: %s\n\n" % (entry.seq, data)
                silent = 0 if entries else silent + 1
                if silent >= SILENT_LOOKS_MAX:
                    silent = 0
                    yield b": still here\n\n"
                await asyncio.sleep(self._look_seconds)
        finally:
            self._open -= 1


def _look(platform: "Platform", after: int) -> tuple[AuditView, ...]:
    return platform.audit.entries(after=after, limit=ENTRIES_A_LOOK_MAX, newest_first=False)
