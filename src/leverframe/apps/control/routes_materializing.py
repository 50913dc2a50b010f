"""Routes of materialisation jobs."""

import msgspec

from leverframe.apps.control.route import Call, Route
from leverframe.apps.platform.views import MaterializeRequest
from leverframe.core.errors import InvalidInput
from leverframe.features.materialization.jobs import JobRecord

NAMES_MAX = 1000


class JobsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only jobs of ``view`` (empty: all)."""

    view: str = ""


def _start(call: Call) -> tuple[JobRecord, ...]:
    body: MaterializeRequest = call.body
    if len(body.names) > NAMES_MAX:
        raise InvalidInput("too many views in one request", where="names", expected=f"at most {NAMES_MAX}", got=str(len(body.names)))
    faulty = next((field for field in ("step_us", "parts") if getattr(body, field) < 0), None)
    if faulty is not None:
        raise InvalidInput("not a size", where=faulty, expected="0 or more", got=str(getattr(body, faulty)))
    return call.platform.materializing.start(call.actor, body, key=call.key)


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/v1/materializations",
        permission="Features.Materialize",
        run=_start,
        takes=MaterializeRequest,
        gives=tuple[JobRecord, ...],
        example={"names": ["origin_weather"], "to_us": None},
        summary="Start durable jobs that bring the online store up to a moment",
    ),
    Route(
        method="GET",
        path="/api/v1/materializations",
        permission="Features.Read",
        query=JobsQuery,
        run=lambda call: call.platform.materializing.jobs(call.query.view),
        gives=tuple[JobRecord, ...],
        summary="Materialisation jobs with progress, duration and cost",
    ),
    Route(
        method="GET",
        path="/api/v1/materializations/{job_id}",
        permission="Features.Read",
        run=lambda call: call.platform.materializing.job(call.path["job_id"]),
        gives=JobRecord,
        summary="One materialisation job",
    ),
)
