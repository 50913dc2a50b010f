"""Routes of registered sources."""

from leverframe.apps.control.route import Call, Route
from leverframe.apps.platform.views import IngestView
from leverframe.apps.platform.views.sources import FetchRequest
from leverframe.data.sources.registered import Source


def _fetch(call: Call) -> IngestView:
    asked: FetchRequest = call.body
    return call.platform.sources.ingest(
        call.actor, call.path["dataset"], asked.source, pattern=asked.pattern, full=asked.full, key=call.key
    )


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/sources",
        permission="Data.Read",
        run=lambda call: call.platform.sources.sources(),
        gives=tuple[Source, ...],
        summary="Every registered source, with the name of its secret and never the secret",
    ),
    Route(
        method="POST",
        path="/api/v1/sources",
        permission="Data.DeclareSource",
        run=lambda call: call.platform.sources.declare(call.actor, call.body, key=call.key),
        takes=Source,
        example={"name": "landing", "kind": "objects", "team": "rides", "location": "s3://rows/landing"},
        gives=Source,
        summary="Register a source, within what the operator's settings allow",
    ),
    Route(
        method="DELETE",
        path="/api/v1/sources/{source}",
        permission="Data.DeclareSource",
        run=lambda call: call.platform.sources.remove(call.actor, call.path["source"], key=call.key),
        gives=Source,
        summary="Take a registered source back",
    ),
    Route(
        method="POST",
        path="/api/v1/datasets/{dataset}/fetch",
        permission="Data.Ingest",
        run=_fetch,
        takes=FetchRequest,
        example={"source": "landing", "pattern": "2026-05/*.parquet"},
        gives=IngestView,
        summary="Fetch what is new in a registered source",
    ),
)
