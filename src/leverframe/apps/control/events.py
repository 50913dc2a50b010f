"""The API's door to the event streams: new entries of the record, for those who may read it."""

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from leverframe.apps.control.door import bearer_of
from leverframe.apps.web.endpoint import Endpoint
from leverframe.apps.web.events import EventStreams
from leverframe.apps.web.tenants import admitted

if TYPE_CHECKING:
    from leverframe.apps.platform.platform import Platform

PATH = "/api/v1/events"
PERMISSION = "Audit.Read"


def events_endpoint(platform: "Platform", streams: EventStreams) -> Endpoint:
    """The bearer-authenticated stream (the console has its own door to the same streams)."""

    async def events(request: Request) -> StreamingResponse:
        actor = await run_in_threadpool(platform.access.authenticate, bearer_of(request))
        seen = await run_in_threadpool(admitted, platform, actor, PERMISSION, "platform/leverframe", {}, writes=False)
        return await streams.respond(request, seen)

    events.permission = PERMISSION  # type: ignore[attr-defined]
    return events
