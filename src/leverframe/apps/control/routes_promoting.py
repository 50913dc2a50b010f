"""Routes of environments: a team's release rules, where an endpoint stands, the step upwards, and lifting the rollback limit."""

from leverframe.apps.control.route import Call, Route
from leverframe.apps.platform.views import PlanView
from leverframe.apps.platform.views.promoting import EnvironmentView, LiftRequest, PromoteRequest, TeamRulesRequest
from leverframe.release.plans.team_rules import TeamRules


def _lift(call: Call) -> dict[str, int]:
    return call.platform.promoting.lift(call.actor, call.path["environment"], call.path["endpoint"], call.body, key=call.key)


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/release-rules",
        permission="Release.Read",
        run=lambda call: call.platform.promoting.all_rules(),
        gives=tuple[TeamRules, ...],
        summary="The release rules every team has declared",
    ),
    Route(
        method="GET",
        path="/api/v1/release-rules/{team}",
        permission="Release.Read",
        run=lambda call: call.platform.promoting.rules(call.path["team"]),
        gives=TeamRules,
        summary="A team's environments, release hours and rollback limits, or the defaults that hold for it",
    ),
    Route(
        method="POST",
        path="/api/v1/release-rules",
        permission="Release.Operate",
        run=lambda call: call.platform.promoting.declare(call.actor, call.body, key=call.key),
        takes=TeamRulesRequest,
        gives=TeamRules,
        example={
            "rules": {
                "team": "delays",
                "environments": [{"name": "stage"}, {"name": "prod", "calendar": {"zone": "Europe/Vienna", "openings": [{}]}}],
            },
            "reason": "releases in business hours, by way of stage",
        },
        summary="Replace a team's release rules",
    ),
    Route(
        method="GET",
        path="/api/v1/environments/{endpoint}",
        permission="Release.Read",
        run=lambda call: call.platform.promoting.environments(call.path["endpoint"]),
        gives=tuple[EnvironmentView, ...],
        summary="Where an endpoint stands in each environment",
    ),
    Route(
        method="POST",
        path="/api/v1/promotions",
        permission="Release.Plan",
        run=lambda call: call.platform.promoting.promote(call.actor, call.body, key=call.key),
        takes=PromoteRequest,
        gives=PlanView,
        example={"endpoint": "flight-delay", "to": "prod"},
        summary="Plan for an environment what is live in the one below it",
    ),
    Route(
        method="POST",
        path="/api/v1/endpoints/{environment}/{endpoint}/lift",
        permission="Release.Operate",
        run=_lift,
        takes=LiftRequest,
        gives=dict[str, int],
        example={"reason": "the feed was broken, not the versions", "hours": 4},
        summary="Let releases start again although the endpoint was rolled back often",
    ),
)
