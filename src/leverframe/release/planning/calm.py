"""No flapping: where evidence took versions back again and again, nothing new starts until a person has looked and says for how long.

A rollback by a person does not count: somebody has looked.
"""

from typing import ClassVar

import msgspec

from leverframe.core.actor import PLATFORM
from leverframe.core.clock import DAY_US, iso_from_us
from leverframe.core.command import Transaction
from leverframe.core.errors import Forbidden, InvalidInput, Refused
from leverframe.release.levers.operate import Operate, endpoint_of
from leverframe.release.plans.plan import ReleasePlan
from leverframe.release.plans.team_rules import TeamRules
from leverframe.release.records import KIND_RELEASE, Release

KIND_CALM = "calm"

LIFTED_US = DAY_US
"""How long releases may start again when the person who lifts the limit does not say."""

LIFTED_MAX_US = 7 * DAY_US


class Lifted(msgspec.Struct, frozen=True, kw_only=True):
    """A person has looked at the rollbacks of an endpoint: until ``expires_us`` they stop nobody."""

    environment: str
    endpoint: str
    reason: str
    by: str
    at_us: int
    expires_us: int


class LiftRollbackLimit(Operate, frozen=True, kw_only=True):
    """Let releases start again although the endpoint was rolled back often, for a while."""

    action: ClassVar[str] = "Release.Operate"
    lasts_us: int = LIFTED_US


def lift_rollback_limit(command: LiftRollbackLimit, tx: Transaction) -> dict[str, int]:
    """Put the permission; only a person gives it.

    Raises
    ------
    Forbidden: asked by a service.    InvalidInput: no reason, or for too long.    NotFound: no such endpoint.
    """
    endpoint_of(command, tx)
    if tx.actor.kind != "human":
        raise Forbidden("only a person lifts the rollback limit", where=command.resource(), expected="human", got=tx.actor.kind)
    if not 0 < command.lasts_us <= LIFTED_MAX_US:
        raise InvalidInput("the limit is lifted for 7 days at most", where="lasts_us", got=str(command.lasts_us))
    expires_us = tx.now_us + command.lasts_us
    lifted = Lifted(
        environment=command.environment,
        endpoint=command.endpoint,
        reason=command.reason,
        by=tx.actor.subject,
        at_us=tx.now_us,
        expires_us=expires_us,
    )
    tx.put(KIND_CALM, f"{command.environment}/{command.endpoint}", lifted)
    return {"expires_us": expires_us}


def _by_evidence(release: Release) -> bool:
    """Harm that was seen here, or at what it was made from: either way no person has looked."""
    last = release.log[-1]
    return release.state == "rolled_back" and (last.event == "harm" or (last.event == "rollback" and last.actor == PLATFORM.subject))


def require_calm(tx: Transaction, plan: ReleasePlan, rules: TeamRules) -> None:
    """Refuse a release where rollbacks have reached the team's limit and nobody has lifted it.

    Rollbacks that a clock set back has put into the future count as well: a clock opens no door.

    Raises
    ------
    Refused: with the limit, what was counted, and who lifts it.
    """
    lifted = tx.get(KIND_CALM, plan.endpoint_id, Lifted)
    if lifted is not None and lifted.at_us <= tx.now_us < lifted.expires_us:
        return
    since_us = tx.now_us - rules.rollbacks_period_us
    back = [
        release
        for release in tx.find(KIND_RELEASE, Release, prefix=f"{plan.environment}.{plan.endpoint}.")
        if release.endpoint == plan.endpoint and _by_evidence(release) and (release.ended_us or 0) > since_us
    ]
    same = [release for release in back if release.candidate == plan.candidate.version]
    hours = f"{rules.rollbacks_period_us / 3_600_000_000:g} h"
    for what, found, most in (
        (plan.candidate.version, same, rules.rollbacks_of_version_max),
        (plan.endpoint_id, back, rules.rollbacks_max),
    ):
        if len(found) >= most:
            raise Refused(
                f"{what} was rolled back by evidence {len(found)} times in {hours}; a person must look first",
                where=plan.endpoint_id,
                expected=f"fewer than {most} in {hours}",
                got=f"{len(found)}, the last at {iso_from_us(max(release.ended_us or 0 for release in found))}",
                next_step=f"lever release lift {plan.endpoint} --reason '...'",
            )
