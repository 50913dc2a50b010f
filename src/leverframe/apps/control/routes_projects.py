"""Routes of a team's project: plan it, apply what was planned."""

from leverframe.apps.control.route import MEBIBYTE, Route
from leverframe.apps.platform.views import Declarations, ProjectApplied, ProjectPlan, ProjectRequest

PROJECT_BYTES_MAX = 16 * MEBIBYTE
EXAMPLE_PROJECT = {"entities": [{"name": "airport", "keys": [{"name": "origin", "type": "text"}], "team": "flights"}]}

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/v1/projects/plan",
        permission="Features.Read",
        run=lambda call: call.platform.projects.plan(call.actor, call.body),
        takes=Declarations,
        gives=ProjectPlan,
        example=EXAMPLE_PROJECT,
        body_bytes_max=PROJECT_BYTES_MAX,
        summary="What applying a project would change, break and cost; writes nothing",
    ),
    Route(
        method="POST",
        path="/api/v1/projects/apply",
        permission="Features.Apply",
        run=lambda call: call.platform.projects.apply(call.actor, call.body, key=call.key),
        takes=ProjectRequest,
        gives=ProjectApplied,
        example={"declared": EXAMPLE_PROJECT},
        body_bytes_max=PROJECT_BYTES_MAX,
        summary="Apply a project, exactly as planned",
    ),
)
