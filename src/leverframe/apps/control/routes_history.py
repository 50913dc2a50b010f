"""Routes of history: what was live, and what is told of it later."""

import msgspec

from leverframe.apps.control.route import Call, Route
from leverframe.apps.platform.views.history import CorrectionRequest, HistoryEntry

PATH = "/api/v1/endpoints/{environment}/{endpoint}/history"


class HistoryQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At one moment, as known at another (both microseconds, UTC; ``known_us`` by the machine's clock), or the whole history."""

    at_us: int | None = None
    known_us: int | None = None


def _history(call: Call) -> tuple[HistoryEntry, ...]:
    where: HistoryQuery = call.query
    return call.platform.history.of(call.path["environment"], call.path["endpoint"], where.at_us, where.known_us)


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path=PATH,
        permission="Release.Read",
        resource="endpoint/{environment}/{endpoint}",
        query=HistoryQuery,
        run=_history,
        gives=tuple[HistoryEntry, ...],
        summary="What was live, when, by whose decision, on what approvals; also as it was known at an earlier moment",
    ),
    Route(
        method="POST",
        path=PATH,
        permission="Release.Operate",
        run=lambda call: call.platform.history.correct(
            call.actor, call.path["environment"], call.path["endpoint"], call.body, key=call.key
        ),
        takes=CorrectionRequest,
        gives=tuple[HistoryEntry, ...],
        example={"version": "", "from_us": 1, "until_us": 2, "reason": "the whole site was without power"},
        summary="Tell later what really answered in a time that has passed; what was believed before stays readable",
    ),
)
