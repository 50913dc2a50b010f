"""The part of the client for a team's project."""

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform import views
from leverframe.apps.transport import Transport


class ProjectsClient:
    """Plans of projects, and their application."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def plan(self, declared: views.Declarations) -> views.ProjectPlan:
        """What applying ``declared`` would change, break and cost; writes nothing."""
        return self._transport.send("POST", path_of("projects", "plan"), views.ProjectPlan, declared)

    def apply(
        self, declared: views.Declarations, *, plan: str = "", allow_breaking: bool = False, key: str | None = None
    ) -> views.ProjectApplied:
        """Apply ``declared``; ``plan`` is the digest of what was shown, and anything else is refused."""
        body = views.ProjectRequest(declared=declared, plan=plan, allow_breaking=allow_breaking)
        return self._transport.send("POST", path_of("projects", "apply"), views.ProjectApplied, body, key=key)
