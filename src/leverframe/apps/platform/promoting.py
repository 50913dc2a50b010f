"""Use cases of a team's way from environment to environment: its rules, where each endpoint stands, and the step upwards."""

from leverframe.apps.platform.known import known_endpoint
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.release import Releases
from leverframe.apps.platform.views import PlanRequest, PlanView
from leverframe.apps.platform.views.promoting import EnvironmentView, LiftRequest, PromoteRequest, TeamRulesRequest
from leverframe.core.actor import Actor
from leverframe.core.clock import HOUR_US
from leverframe.core.errors import NotFound, Refused
from leverframe.core.route import Endpoint
from leverframe.release.planning.calm import LiftRollbackLimit
from leverframe.release.planning.declaring import DeclareTeamRules
from leverframe.release.plans.team_rules import KIND_TEAM_RULES, Environment, TeamRules, rules_of
from leverframe.release.plans.windows import closed_because, opens_at
from leverframe.release.records import KIND_ENDPOINT, KIND_RELEASE, Release


class Promoting:
    """Rules, environments and promotions of teams."""

    def __init__(self, parts: Parts, releases: Releases) -> None:
        self._parts = parts
        self._releases = releases

    def rules(self, team: str) -> TeamRules:
        """What a team has declared, or the defaults that hold for it."""
        return rules_of(self._parts.ledger, team)

    def all_rules(self) -> tuple[TeamRules, ...]:
        """What every team has declared."""
        return tuple(self._parts.ledger.find(KIND_TEAM_RULES, TeamRules))

    def declare(self, actor: Actor, request: TeamRulesRequest, *, key: str) -> TeamRules:
        """Replace a team's rules."""
        self._parts.ledger.write(actor, DeclareTeamRules(rules=request.rules, reason=request.reason), key=key)
        return self.rules(request.rules.team)

    def lift(self, actor: Actor, environment: str, endpoint: str, request: LiftRequest, *, key: str) -> dict[str, int]:
        """Let releases start again although the endpoint was rolled back often."""
        known_endpoint(self._parts.ledger, environment, endpoint)
        command = LiftRollbackLimit(
            environment=environment,
            endpoint=endpoint,
            reason=request.reason,
            owner_team=self._team(endpoint, environment),
            lasts_us=round(request.hours * HOUR_US),
        )
        result = self._parts.ledger.write(actor, command, key=key).result
        return {"expires_us": int(result["expires_us"])}

    def environments(self, endpoint: str) -> tuple[EnvironmentView, ...]:
        """Where an endpoint stands in each environment, lowest first; without declared ones, wherever it exists.

        Raises
        ------
        NotFound: it exists nowhere.
        """
        found = {release.environment: release for release in self._parts.ledger.find(KIND_RELEASE, Release) if release.endpoint == endpoint}
        if not found:
            raise NotFound("there never was such an endpoint", where=endpoint[:80], next_step="lever status")
        rules = self.rules(next(iter(found.values())).team)
        steps = rules.environments or tuple(Environment(name=name) for name in sorted(found))
        return tuple(self._environment(rules, step, endpoint) for step in steps)

    def _environment(self, rules: TeamRules, step: Environment, endpoint: str) -> EnvironmentView:
        ledger, now_us = self._parts.ledger, self._parts.clock.now_us()
        record = ledger.get(KIND_ENDPOINT, f"{step.name}/{endpoint}", Endpoint)
        release = ledger.get(KIND_RELEASE, record.release, Release) if record is not None else None
        shut = closed_because(step.calendar, now_us) if step.calendar is not None else ""
        live = record.live if record is not None else None
        return EnvironmentView(
            environment=step.name,
            demands=step.demands if rules.below(step.name) is not None else "",
            live=live.version if live is not None else "",
            bundle=live.bundle if live is not None else "",
            release=release.id if release is not None else "",
            state=release.state if release is not None else "",
            started_us=release.started_us if release is not None else None,
            shut=shut,
            opens_us=opens_at(step.calendar, now_us) if shut and step.calendar is not None else None,
        )

    def promote(self, actor: Actor, request: PromoteRequest, *, key: str) -> PlanView:
        """Plan for ``request.to`` the version that answers in the environment below: the same bundle, to the digest.

        Raises
        ------
        NotFound: no such endpoint.    Refused: the team declared no environment below, nothing is live there, or it has not shown enough.
        """
        views = self.environments(request.endpoint)
        rules = self.rules(self._team(request.endpoint))
        below = rules.below(request.to)
        if below is None:
            declared = ", ".join(each.name for each in rules.environments) or "none declared"
            raise Refused(
                f"team {rules.team or 'none'} has declared no environment below {request.to}",
                where=f"{request.to}/{request.endpoint}",
                expected="an environment that is not the lowest",
                got=declared,
                next_step="lever release rules TEAM --file rules.yaml, or: lever release plan VERSION",
            )
        from_view = next(view for view in views if view.environment == below.name)
        if not from_view.live:
            raise Refused(
                f"nothing of this endpoint answers in {below.name}",
                where=f"{below.name}/{request.endpoint}",
                next_step=f"lever release plan VERSION --endpoint {request.endpoint} --environment {below.name}",
            )
        target = next(view for view in views if view.environment == request.to)
        plan = PlanRequest(
            endpoint=request.endpoint,
            version=from_view.live,
            environment=request.to,
            strategy=request.strategy or ("shadow_canary" if target.live else "initial"),
            hash_field=request.hash_field,
            note=request.note or f"promoted from {below.name}",
        )
        return self._releases.plan(actor, plan, key=key)

    def _team(self, endpoint: str, environment: str = "") -> str:
        found = [
            release.team
            for release in self._parts.ledger.find(KIND_RELEASE, Release)
            if release.endpoint == endpoint and environment in ("", release.environment)
        ]
        return found[-1] if found else ""
