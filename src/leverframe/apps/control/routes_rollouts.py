"""Routes of one release by its name: pause, resume, abort, rollback, keep."""

from collections.abc import Callable
from typing import Annotated

import msgspec

from leverframe.apps.control.route import Call, Route
from leverframe.apps.platform.views import ReleaseView
from leverframe.apps.platform.views.release import WatchView


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why; the record keeps it."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


def _by(name: str) -> Callable[[Call], ReleaseView]:
    def run(call: Call) -> ReleaseView:
        done: ReleaseView = getattr(call.platform.rollouts, name)(call.actor, call.path["release_id"], call.body.reason, key=call.key)
        return done

    return run


def _route(name: str, permission: str, summary: str) -> Route:
    return Route(
        method="POST",
        path=f"/api/v1/releases/{{release_id}}/{name}",
        permission=permission,
        run=_by(name),
        takes=Why,
        gives=ReleaseView,
        example={"reason": "as agreed with the desk"},
        summary=summary,
    )


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/releases/{release_id}/watch",
        permission="Release.Read",
        resource="release/{release_id}",
        run=lambda call: call.platform.watching.watch(call.path["release_id"]),
        gives=WatchView,
        summary="What the release controller saw a moment ago, in plain words, and how much longer",
    ),
    _route("pause", "Release.Operate", "Hold a release at its weight; harm still takes it back"),
    _route("resume", "Release.Operate", "Let a paused or holding release be judged again"),
    _route("abort", "Release.Operate", "End a release, or take one out of the line"),
    _route("rollback", "Release.Rollback", "Take a release back with what was promoted on top of it, also long after it completed"),
    _route("keep", "Release.Operate", "Let a flagged release stay: somebody has looked"),
)
