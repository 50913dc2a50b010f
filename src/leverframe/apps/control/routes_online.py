"""Routes of what goes into and out of the online store row by row."""

from typing import Any

import msgspec

from leverframe.apps.control.route import MEBIBYTE, Call, Route
from leverframe.apps.platform.views import ForgetEntityRequest, ForgottenView, PushRequest, PushView

PUSH_BYTES_MAX = 16 * MEBIBYTE


class ExportQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As known at ``at_us`` (null: now), or what the online store holds."""

    at_us: int | None = None
    online: bool = False


class DropRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which version goes (empty: all that nobody reads)."""

    version: str = ""


def _push(call: Call) -> PushView:
    return call.platform.pushing.push(call.actor, call.path["view"], call.body.rows, key=call.key)


def _forget(call: Call) -> ForgottenView:
    return call.platform.online_values.forget(call.actor, call.path["view"], call.body.entity, key=call.key)


def _drop(call: Call) -> dict[str, int]:
    return call.platform.online_values.drop(call.actor, call.path["view"], call.body.version, key=call.key)


def _export(call: Call) -> bytes:
    return call.platform.online_values.export(call.path["view"], call.query.at_us, online=call.query.online)


EXAMPLE_ROW: dict[str, Any] = {"origin": "JFK", "observed_at": 1371200400000000, "known_at": 1371204000000000, "wind_speed": 12.7}

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/v1/views/{view}/rows",
        permission="Data.Ingest",
        resource="view/{view}",
        run=_push,
        takes=PushRequest,
        gives=PushView,
        example={"rows": [EXAMPLE_ROW]},
        body_bytes_max=PUSH_BYTES_MAX,
        summary="Push rows of the view's source; they can be read when this returns",
    ),
    Route(
        method="GET",
        path="/api/v1/views/{view}/values",
        permission="Data.Export",
        resource="view/{view}",
        run=_export,
        query=ExportQuery,
        gives=bytes,
        media_type="application/octet-stream",
        summary="A view's values as of a moment, or as the online store holds them, as Parquet",
    ),
    Route(
        method="POST",
        path="/api/v1/views/{view}/forget",
        permission="Features.Forget",
        resource="view/{view}",
        run=_forget,
        takes=ForgetEntityRequest,
        gives=ForgottenView,
        example={"entity": ["JFK"]},
        summary="Take an entity out of the online store, in every version of the view",
    ),
    Route(
        method="POST",
        path="/api/v1/views/{view}/drop",
        permission="Features.Materialize",
        resource="view/{view}",
        run=_drop,
        takes=DropRequest,
        gives=dict[str, int],
        example={"version": ""},
        summary="Drop versions that no routed model reads from the online store",
    ),
)
