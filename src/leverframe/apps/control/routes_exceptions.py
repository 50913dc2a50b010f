"""Routes of exceptions."""

from leverframe.apps.control.route import Route
from leverframe.apps.platform.views.requirements import ExceptionRequest, ExceptionView
from leverframe.core.digest import check_digest

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/exceptions",
        permission="Release.Read",
        run=lambda call: call.platform.exceptions.list(),
        gives=tuple[ExceptionView, ...],
        summary="Every exception from a rule that was granted, in force or not",
    ),
    Route(
        method="POST",
        path="/api/v1/plans/{digest}/exceptions",
        permission="Release.Except",
        run=lambda call: call.platform.exceptions.grant(call.actor, check_digest(call.path["digest"]), call.body, key=call.key),
        takes=ExceptionRequest,
        gives=ExceptionView,
        example={"rule": "evidence-runbook", "reason": "the runbook is being written; ben is on call until then", "days": 2},
        summary="Let exactly this plan run although it does not meet exactly this rule, for some days",
    ),
    Route(
        method="DELETE",
        path="/api/v1/plans/{digest}/exceptions/{rule}",
        permission="Release.Except",
        run=lambda call: call.platform.exceptions.withdraw(call.actor, check_digest(call.path["digest"]), call.path["rule"], key=call.key),
        gives=ExceptionView,
        summary="End an exception now",
    ),
)
