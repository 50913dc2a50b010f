"""The way from environment to environment: what a plan for a higher one needs of the one below, by the team's own rules."""

from leverframe.core.command import Transaction
from leverframe.core.errors import Refused
from leverframe.core.route import Endpoint
from leverframe.release.plans.plan import VersionRef
from leverframe.release.plans.team_rules import Environment, TeamRules
from leverframe.release.records import KIND_ENDPOINT, KIND_RELEASE, Release


def require_way(tx: Transaction, rules: TeamRules, environment: str, endpoint: str, candidate: VersionRef) -> Environment | None:
    """Return the environment below, whose demands ``candidate`` meets; None where the team declared no way, or this is its start.

    Raises
    ------
    Refused: the environment is not one of the team's, or the bundle has not shown below what is demanded.
    """
    if not rules.environments:
        return None
    step = rules.environment(environment)
    if step is None:
        declared = ", ".join(each.name for each in rules.environments)
        raise Refused(
            f"team {rules.team or 'none'} has no environment of this name",
            where=f"{environment}/{endpoint}",
            expected=declared,
            got=environment,
            next_step=f"lever release plan {candidate.version} --environment {rules.environments[0].name}, or: lever release rules",
        )
    below = rules.below(environment)
    if below is None or step.demands == "nothing":
        return below
    shown = _shown(tx, below.name, endpoint, candidate)
    if shown != step.demands and shown != "completed":
        demand = "answers" if step.demands == "live" else "completed a release, and still answers,"
        raise Refused(
            f"the rules of team {rules.team or 'none'} let into {environment} only what {demand} in {below.name}",
            where=f"{environment}/{endpoint}",
            expected=f"{candidate.version} {step.demands} in {below.name}",
            got=shown,
            next_step=f"lever release plan {candidate.version} --endpoint {endpoint} --environment {below.name}",
        )
    return below


def _shown(tx: Transaction, environment: str, endpoint: str, candidate: VersionRef) -> str:
    """What this very bundle has shown in ``environment``: ``completed``, ``live``, or in words why neither."""
    record = tx.get(KIND_ENDPOINT, f"{environment}/{endpoint}", Endpoint)
    live = record.live if record is not None else None
    if record is None or live is None:
        return f"{endpoint} does not exist in {environment}"
    if live.bundle != candidate.bundle:
        return f"{live.version} is live in {environment}"
    release = tx.get(KIND_RELEASE, record.release, Release)
    completed = release is not None and release.state == "completed" and release.candidate == candidate.version
    return "completed" if completed else "live"
