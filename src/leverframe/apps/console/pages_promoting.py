"""Where an endpoint stands in each environment, the step upwards, and what can be done to one release."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from leverframe.apps.console.door import Form, Page, Visit
from leverframe.apps.platform.views.promoting import PromoteRequest

DEEDS = {
    "pause": "Release.Operate",
    "resume": "Release.Operate",
    "abort": "Release.Operate",
    "rollback": "Release.Rollback",
    "keep": "Release.Operate",
}
"""What can be done to one release, and what permits it."""


def environments(visit: Visit) -> dict[str, Any]:
    """The way of one endpoint, lowest environment first."""
    endpoint = visit.path["endpoint"]
    found = visit.platform.promoting.environments(endpoint)
    # From each environment that something is live in, one step up, unless the very same version is there already.
    steps = [(low, high) for low, high in pairwise(found) if low.live and high.demands and low.bundle != high.bundle]
    return {"endpoint": endpoint, "environments": found, "steps": steps}


def promote(visit: Visit) -> str:
    """Plan the step upwards; the plan waits for its approvals."""
    endpoint = visit.path["endpoint"]
    visit.confirm(endpoint)
    request = PromoteRequest(endpoint=endpoint, to=visit.form.get("to", ""), note=visit.note())
    plan = visit.platform.promoting.promote(visit.actor, request, key=visit.key)
    return f"/plans/{plan.digest}"


def _deed(name: str) -> Callable[[Visit], str]:
    def run(visit: Visit) -> str:
        id = visit.path["release_id"]
        visit.confirm(id)
        getattr(visit.platform.rollouts, name)(visit.actor, id, visit.reason(), key=visit.key)
        return f"/releases/{quote(id)}?done=pulled"

    return run


PAGES: tuple[Page, ...] = (
    Page(path="/environments/{endpoint}", permission="Release.Read", template="environments.html", facts=environments),
)
FORMS: tuple[Form, ...] = (
    Form(path="/environments/{endpoint}/promote", permission="Release.Plan", run=promote),
    *(Form(path=f"/releases/{{release_id}}/{name}", permission=permission, run=_deed(name)) for name, permission in DEEDS.items()),
)
