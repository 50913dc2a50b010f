"""The part of the client for environments: a team's rules, where an endpoint stands, the step upwards."""

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform import views
from leverframe.apps.platform.views.promoting import EnvironmentView, PromoteRequest, TeamRulesRequest
from leverframe.apps.transport import Transport
from leverframe.release.plans.team_rules import TeamRules


class PromotingClient:
    """Team rules, environments and promotions."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def rules(self, team: str) -> TeamRules:
        """What a team has declared, or the defaults that hold for it."""
        return self._transport.get(path_of("release-rules", team), TeamRules)

    def all_rules(self) -> tuple[TeamRules, ...]:
        """What every team has declared."""
        return self._transport.get(path_of("release-rules"), tuple[TeamRules, ...])

    def declare(self, rules: TeamRules, reason: str, *, key: str | None = None) -> TeamRules:
        """Replace a team's rules."""
        return self._transport.send("POST", path_of("release-rules"), TeamRules, TeamRulesRequest(rules=rules, reason=reason), key=key)

    def environments(self, endpoint: str) -> tuple[EnvironmentView, ...]:
        """Where an endpoint stands in each environment, lowest first."""
        return self._transport.get(path_of("environments", endpoint), tuple[EnvironmentView, ...])

    def promote(self, request: PromoteRequest, *, key: str | None = None) -> views.PlanView:
        """Plan for an environment what is live in the one below it."""
        return self._transport.send("POST", path_of("promotions"), views.PlanView, request, key=key)

    def lift(self, environment: str, endpoint: str, reason: str, hours: float = 24.0, *, key: str | None = None) -> dict[str, int]:
        """Let releases start again although the endpoint was rolled back often."""
        body = {"reason": reason, "hours": hours}
        return self._transport.send("POST", path_of("endpoints", environment, endpoint, "lift"), dict[str, int], body, key=key)
