"""Use cases of exceptions: grant one, end one, and see them all, in force or not."""

from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views.requirements import ExceptionRequest, ExceptionView
from leverframe.core.actor import Actor
from leverframe.core.clock import DAY_US
from leverframe.core.errors import NotFound
from leverframe.release.plans.plan import KIND_PLAN, ReleasePlan
from leverframe.release.requirements.exceptions import (
    KIND_EXCEPTION,
    GrantException,
    RuleException,
    WithdrawException,
    exceptions_in_force,
)


class Exceptions:
    """Exceptions of plans."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def grant(self, actor: Actor, digest: str, request: ExceptionRequest, *, key: str) -> ExceptionView:
        """Let exactly this plan run although it does not meet exactly this rule, for some days."""
        plan = self._plan(digest)
        command = GrantException(
            plan=digest,
            rule=request.rule,
            owner_team=plan.team,
            reason=request.reason,
            expires_after_us=round(request.days * DAY_US),
        )
        self._parts.ledger.write(actor, command, key=key)
        return self._one(digest, request.rule)

    def withdraw(self, actor: Actor, digest: str, rule: str, *, key: str) -> ExceptionView:
        """End an exception now."""
        plan = self._plan(digest)
        self._parts.ledger.write(actor, WithdrawException(plan=digest, rule=rule, owner_team=plan.team), key=key)
        return self._one(digest, rule)

    def list(self, digest: str = "") -> tuple[ExceptionView, ...]:
        """Exceptions of a plan (empty: of all), newest first."""
        found = self._parts.ledger.find(KIND_EXCEPTION, RuleException, prefix=f"{digest}/" if digest else "")
        return tuple(self._view(granted) for granted in sorted(found, key=lambda each: each.at_us, reverse=True))

    def _one(self, digest: str, rule: str) -> ExceptionView:
        return next(view for view in self.list(digest) if view.rule == rule)

    def _view(self, granted: RuleException) -> ExceptionView:
        plan = self._plan(granted.plan)
        in_force = exceptions_in_force(self._parts.ledger, plan, self._parts.clock.now_us())
        return ExceptionView(
            plan=granted.plan,
            release=plan.id,
            rule=granted.rule,
            granter=granted.granter,
            reason=granted.reason,
            at_us=granted.at_us,
            expires_us=granted.expires_us,
            in_force=any(each.rule == granted.rule for each in in_force),
            withdrawn=granted.withdrawn,
        )

    def _plan(self, digest: str) -> ReleasePlan:
        plan = self._parts.ledger.get(KIND_PLAN, digest, ReleasePlan)
        if plan is None:
            raise NotFound("no plan has this digest", where=digest[:80], next_step="lever release list")
        return plan
