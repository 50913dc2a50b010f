"""The API's door to the event streams: new entries of the record, for those who may read it."""

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from leverframe.apps.control.door import bearer_of
from leverframe.apps.web.endpoint import Endpoint
from leverframe.apps.web.events import EventStreams

if TYPE_CHECKING:
    from leverframe.apps.platform.platform import Platform

PATH = "/api/v1/events"
PERMISSION = "Audit.Read"


def events_endpoint(platform: "Platform", streams: EventStreams) -> Endpoint:
    """The bearer-authenticated stream (the console has its own door to the same streams)."""

    async def events(request: Request) -> StreamingResponse:
        actor = await run_in_threadpool(platform.access.authenticate, bearer_of(request))
        await run_in_threadpool(platform.access.permit, actor, PERMISSION, "platform/leverframe")
        return await streams.respond(request)

    events.permission = PERMISSION  # type: ignore[attr-defined]
    return events
