"""An exception: for one rule, on one plan, for some days, with a reason, by an approver who is not the plan's author."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from leverframe.core.clock import DAY_US
from leverframe.core.command import Command, Journal, Transaction
from leverframe.core.digest import Digest
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from leverframe.governance.identity import holds_role
from leverframe.release.approvals.approvals import APPROVER_ROLE, Approvable
from leverframe.release.plans.plan import KIND_PLAN, ReleasePlan
from leverframe.release.records import KIND_RELEASE, REASON_CHARS_MAX, Release
from leverframe.release.rollout.rollout import require_team

KIND_EXCEPTION = "exception"

EXCEPTION_EXPIRES_US = 3 * DAY_US
"""How long an exception is good when its granter does not say."""

EXCEPTION_EXPIRES_MAX_US = 14 * DAY_US

EXCEPTABLE = (
    "evidence-owner",
    "evidence-runbook",
    "evidence-card",
    "evidence-reproducible",
    "evidence-incident",
    "evidence-alert",
    "evidence-budget",
)
"""Rules that an exception may lift. Gates, signatures, approvals and freezes are not among them: nothing here lifts those."""


class RuleException(msgspec.Struct, frozen=True, kw_only=True):
    """``rule`` does not hold up the plan ``plan`` until ``expires_us``, by ``granter``'s word and for ``reason``."""

    plan: Digest
    rule: str
    team: str
    granter: str
    reason: str
    at_us: int
    expires_us: int
    withdrawn: bool = False


class _OnRule(Command, frozen=True, kw_only=True):
    action: ClassVar[str] = "Release.Except"
    plan: Digest
    rule: str
    owner_team: str = ""

    def resource(self) -> str:
        """``plan/<digest>``."""
        return f"plan/{self.plan}"

    def team(self) -> str:
        """The plan's team."""
        return self.owner_team


class GrantException(_OnRule, frozen=True, kw_only=True):
    """Let exactly this plan run although it does not meet exactly this rule."""

    reason: str
    expires_after_us: int = EXCEPTION_EXPIRES_US


class WithdrawException(_OnRule, frozen=True, kw_only=True):
    """End an exception before its time; any approver of the team may."""

    reason: str = ""


def grant_exception(command: GrantException, tx: Transaction) -> dict[str, Any]:
    """Put the exception.

    Raises
    ------
    NotFound: no such plan.    Forbidden: the author, a service, or another team.    Conflict: its release has ended.
    InvalidInput: no rule that exceptions lift, no reason, or too long a time.
    """
    plan = _plan(command, tx)
    if tx.actor.subject == plan.author:
        raise Forbidden("the author of a plan cannot grant it an exception", where=plan.id, expected="another person", got=tx.actor.subject)
    if tx.actor.kind != "human":
        raise Forbidden("only a person can grant an exception", where=plan.id, expected="human", got=tx.actor.kind)
    release = tx.get(KIND_RELEASE, plan.id, Release)
    if release is not None and not release.active and release.state != "planned":
        # One under way may need its exception again: it does not climb after the old one ended.
        raise Conflict("the release of this plan has ended", where=plan.id, next_step=f"lever release status {plan.id}")
    if command.rule not in EXCEPTABLE:
        raise InvalidInput("no exception lifts this rule", where="rule", expected=", ".join(EXCEPTABLE), got=command.rule[:80])
    if not command.reason.strip():
        raise InvalidInput("an exception is not granted without a reason", where="reason", next_step="--reason '...'")
    if not 0 < command.expires_after_us <= EXCEPTION_EXPIRES_MAX_US:
        raise InvalidInput("an exception lasts at most 14 days", where="expires_after_us", got=str(command.expires_after_us))
    granted = RuleException(
        plan=command.plan,
        rule=command.rule,
        team=plan.team,
        granter=tx.actor.subject,
        reason=command.reason.strip()[:REASON_CHARS_MAX],
        at_us=tx.now_us,
        expires_us=tx.now_us + command.expires_after_us,
    )
    tx.put(KIND_EXCEPTION, f"{command.plan}/{command.rule}", granted)
    return {"plan": command.plan, "rule": command.rule, "expires_us": granted.expires_us}


def withdraw_exception(command: WithdrawException, tx: Transaction) -> dict[str, Any]:
    """Mark the exception as withdrawn.

    Raises
    ------
    NotFound: no such plan, or no such exception.    Forbidden: another team's.
    """
    plan = _plan(command, tx)
    id = f"{command.plan}/{command.rule}"
    granted = tx.get(KIND_EXCEPTION, id, RuleException)
    if granted is None:
        raise NotFound("no exception was granted for this rule", where=plan.id, got=command.rule[:80], next_step="lever exception list")
    tx.put(KIND_EXCEPTION, id, msgspec.structs.replace(granted, withdrawn=True))
    return {"plan": command.plan, "rule": command.rule}


def exception_facts(command: _OnRule, tx: Transaction) -> Mapping[str, Any]:
    """Who wrote the plan, and whether a person is asking."""
    plan = tx.get(KIND_PLAN, command.plan, ReleasePlan)
    granting = isinstance(command, GrantException)
    return {"author": plan.author if plan is not None else "", "person": tx.actor.kind == "human", "granting": granting}


def exceptions_in_force(records: Journal | Transaction, plan: Approvable, now_us: int) -> tuple[RuleException, ...]:
    """Exceptions of exactly this plan that count now: not withdrawn, not expired, not by its author, granted in a role still held."""
    return tuple(
        granted
        for granted in records.find(KIND_EXCEPTION, RuleException, prefix=f"{plan.digest}/")
        if granted.plan == plan.digest
        and granted.rule in EXCEPTABLE
        and granted.granter != plan.author
        and not granted.withdrawn
        and now_us < granted.expires_us
        and holds_role(records, granted.granter, APPROVER_ROLE, plan.team, now_us=now_us)
    )


def excepted_now(tx: Transaction, plan: Approvable) -> tuple[str, ...]:
    """The rules that exceptions lift for this plan now."""
    return tuple(granted.rule for granted in exceptions_in_force(tx, plan, tx.now_us))


def _plan(command: _OnRule, tx: Transaction) -> ReleasePlan:
    plan = tx.get(KIND_PLAN, command.plan, ReleasePlan)
    if plan is None or plan.digest != command.plan:
        raise NotFound("no plan has this digest", where=command.plan[:80], next_step="lever release list")
    require_team(command.owner_team, plan.team, where=plan.id)
    return plan
