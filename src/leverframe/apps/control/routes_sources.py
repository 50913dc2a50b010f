"""Routes of registered sources."""

import msgspec

from leverframe.apps.control.route import Route
from leverframe.apps.platform.views.sources import FetchRequest
from leverframe.data.sources.fetch_jobs import FetchJob
from leverframe.data.sources.registered import Source


class FetchesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only fetches into ``dataset`` (empty: all)."""

    dataset: str = ""


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
        run=lambda call: call.platform.fetching.start(call.actor, call.path["dataset"], call.body, key=call.key),
        takes=FetchRequest,
        example={"source": "landing", "pattern": "2026-05/*.parquet"},
        gives=FetchJob,
        summary="Start a durable job that fetches what is new in a registered source",
    ),
    Route(
        method="GET",
        path="/api/v1/fetches",
        permission="Data.Read",
        query=FetchesQuery,
        run=lambda call: call.platform.fetching.jobs(call.query.dataset),
        gives=tuple[FetchJob, ...],
        summary="Fetches of registered sources, with progress and outcome",
    ),
    Route(
        method="GET",
        path="/api/v1/fetches/{job_id}",
        permission="Data.Read",
        run=lambda call: call.platform.fetching.job(call.path["job_id"]),
        gives=FetchJob,
        summary="One fetch",
    ),
)
