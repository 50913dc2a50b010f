"""A team declares its environments, hours and bounds; what is planned from then on obeys."""

from typing import Any, ClassVar

import msgspec

from leverframe.core.command import Command, Transaction
from leverframe.core.errors import InvalidInput
from leverframe.release.plans.team_rules import KIND_TEAM_RULES, TeamRules, team_rules_faults


class DeclareTeamRules(Command, frozen=True, kw_only=True):
    """Replace a team's release rules; ``reason`` says why, and is kept."""

    action: ClassVar[str] = "Release.Operate"
    rules: TeamRules
    reason: str

    def resource(self) -> str:
        """``release_rules/<team>``."""
        return f"release_rules/{self.rules.team}"

    def team(self) -> str:
        """The team itself."""
        return self.rules.team


def declare_team_rules(command: DeclareTeamRules, tx: Transaction) -> dict[str, Any]:
    """Put the rules.

    Raises
    ------
    InvalidInput: with every fault found, or without a reason.
    """
    faults = team_rules_faults(command.rules)
    if faults:
        raise InvalidInput("these rules cannot be kept", where=command.resource(), faults=faults, next_step="lever release rules --help")
    if not command.reason.strip():
        raise InvalidInput("rules are not changed without a reason", where="reason", next_step="--reason '...'")
    rules = msgspec.structs.replace(command.rules, reason=command.reason, by=tx.actor.subject, at_us=tx.now_us)
    tx.put(KIND_TEAM_RULES, rules.team, rules)
    return {"team": rules.team, "environments": [environment.name for environment in rules.environments]}
