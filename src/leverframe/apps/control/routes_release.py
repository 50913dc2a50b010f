"""Routes of plans, releases, endpoints and the operator's levers."""

from typing import Annotated

import msgspec

from leverframe.apps.control.route import Call, Route
from leverframe.apps.platform.views import EndpointView, PlanRequest, PlanView, ReleaseView
from leverframe.apps.web.levers import LEVERS
from leverframe.core.digest import check_digest
from leverframe.core.errors import NotFound
from leverframe.release.records import Review


class Approve(msgspec.Struct, frozen=True, kw_only=True):
    """A note beside the approval."""

    note: str = ""


class Apply(msgspec.Struct, frozen=True, kw_only=True):
    """``break_glass``: an operator's reason for not waiting for approvals or the end of a freeze; it opens a review."""

    break_glass: Annotated[str, msgspec.Meta(max_length=2000)] = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a review found."""

    finding: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


class Nothing(msgspec.Struct, frozen=True, kw_only=True):
    """A body without fields."""


class Rollback(msgspec.Struct, frozen=True, kw_only=True):
    """Why."""

    reason: str


class Pull(msgspec.Struct, frozen=True, kw_only=True):
    """What to pull the lever on (a feature, a release), why, and after how many microseconds it puts itself back (0: somebody does)."""

    argument: str = ""
    reason: str = ""
    for_us: int = 0


class ReleasesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only releases to ``endpoint`` (empty: all)."""

    endpoint: str = ""


def _rollback(call: Call) -> EndpointView:
    where = call.path
    return call.platform.release.rollback(call.actor, where["environment"], where["endpoint"], reason=call.body.reason, key=call.key)


def _operate(call: Call) -> EndpointView:
    where = call.path
    if where["lever"] not in LEVERS:
        raise NotFound("there is no such lever", where=where["lever"], expected=", ".join(LEVERS), got=where["lever"])
    return call.platform.release.operate(
        call.actor,
        where["environment"],
        where["endpoint"],
        where["lever"],
        argument=call.body.argument,
        reason=call.body.reason,
        for_us=call.body.for_us,
        key=call.key,
    )


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/plans",
        permission="Release.Read",
        run=lambda call: call.platform.release.plans(),
        gives=tuple[PlanView, ...],
        summary="Every plan with its approvals",
    ),
    Route(
        method="POST",
        path="/api/v1/plans",
        permission="Release.Plan",
        run=lambda call: call.platform.release.plan(call.actor, call.body, key=call.key),
        takes=PlanRequest,
        gives=PlanView,
        example={"endpoint": "flight-delay", "version": "flight-delay@v2"},
        summary="Compute what a release would do; nothing runs yet",
    ),
    Route(
        method="GET",
        path="/api/v1/plans/{digest}",
        permission="Release.Read",
        resource="plan/{digest}",
        run=lambda call: call.platform.release.plan_of(check_digest(call.path["digest"])),
        gives=PlanView,
        summary="One plan",
    ),
    Route(
        method="POST",
        path="/api/v1/plans/{digest}/approve",
        permission="Release.Approve",
        run=lambda call: call.platform.release.approve(call.actor, check_digest(call.path["digest"]), note=call.body.note, key=call.key),
        takes=Approve,
        gives=PlanView,
        example={"note": "evidence read"},
        summary="Approve exactly this plan",
    ),
    Route(
        method="POST",
        path="/api/v1/plans/{digest}/apply",
        permission="Release.Apply",
        run=lambda call: call.platform.release.apply(
            call.actor, check_digest(call.path["digest"]), break_glass=call.body.break_glass, key=call.key
        ),
        takes=Apply,
        gives=ReleaseView,
        example={},
        summary="Run the approved plan",
    ),
    Route(
        method="POST",
        path="/api/v1/plans/{digest}/withdraw",
        permission="Release.Approve",
        run=lambda call: call.platform.release.withdraw(call.actor, check_digest(call.path["digest"]), call.body.note, key=call.key),
        takes=Approve,
        gives=PlanView,
        example={"note": "the card is out of date"},
        summary="Take one's own approval back",
    ),
    Route(
        method="GET",
        path="/api/v1/reviews",
        permission="Release.Read",
        run=lambda call: call.platform.release.reviews(),
        gives=tuple[Review, ...],
        summary="Releases started by breaking the glass, and what reviews found",
    ),
    Route(
        method="POST",
        path="/api/v1/releases/{release_id}/review",
        permission="Release.Review",
        run=lambda call: call.platform.release.review(call.actor, call.path["release_id"], call.body.finding, key=call.key),
        takes=Finding,
        gives=Review,
        example={"finding": "right call; the freeze now excludes fixes"},
        summary="Close the review of a release that was started by breaking the glass",
    ),
    Route(
        method="GET",
        path="/api/v1/releases",
        permission="Release.Read",
        query=ReleasesQuery,
        run=lambda call: call.platform.release.releases(call.query.endpoint),
        gives=tuple[ReleaseView, ...],
        summary="All releases",
    ),
    Route(
        method="GET",
        path="/api/v1/releases/{release_id}",
        permission="Release.Read",
        resource="release/{release_id}",
        run=lambda call: call.platform.release.release(call.path["release_id"]),
        gives=ReleaseView,
        summary="One release with its stage log and intervals",
    ),
    Route(
        method="GET",
        path="/api/v1/endpoints",
        permission="Release.Read",
        run=lambda call: call.platform.release.endpoints(),
        gives=tuple[EndpointView, ...],
        summary="Every endpoint: desired state and running state",
    ),
    Route(
        method="POST",
        path="/api/v1/endpoints/{environment}/{endpoint}/rollback",
        permission="Release.Rollback",
        run=_rollback,
        takes=Rollback,
        gives=EndpointView,
        example={"reason": "answers look wrong"},
        summary="Point the route back at the version that was live before",
    ),
    Route(
        method="POST",
        path="/api/v1/endpoints/{environment}/{endpoint}/levers/{lever}",
        permission="Release.Operate",
        run=_operate,
        takes=Pull,
        gives=EndpointView,
        example={"argument": "origin_weather.*", "reason": "feed is frozen"},
        summary="Pull an operator's lever: " + ", ".join(LEVERS),
    ),
)
