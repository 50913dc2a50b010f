"""Cases that a policy set must decide as written: who, what, with which facts, and the answer."""

from collections.abc import Iterable

import msgspec

from leverframe.core.actor import Actor
from leverframe.governance.decision import Decides, Decision

PlainFact = bool | int | str | tuple[str, ...]


class PolicyCase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One question and its answer. ``policies``, when given, are ids that must be among the deciding ones."""

    name: str
    action: str
    allowed: bool
    subject: str = "somebody"
    roles: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    kind: str = "human"
    resource: str = "thing/x"
    team: str = ""
    facts: dict[str, PlainFact] = {}
    policies: tuple[str, ...] = ()


class CaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a case was decided, and whether that is its answer."""

    case: PolicyCase
    decision: Decision
    holds: bool

    @property
    def words(self) -> str:
        """The decision in a sentence."""
        answer = "allowed" if self.decision.allowed else "denied"
        return f"{answer} by {', '.join(self.decision.policy_ids) or 'default'}: {'; '.join(self.decision.reasons) or 'no reason'}"


def run_case(policy: Decides, case: PolicyCase) -> CaseResult:
    """Ask ``policy`` the question of ``case``."""
    actor = Actor(subject=case.subject, roles=case.roles, teams=case.teams, kind=case.kind)
    decision = policy.decide(actor, case.action, case.resource, case.team, case.facts)
    holds = decision.allowed == case.allowed and set(case.policies) <= set(decision.policy_ids)
    return CaseResult(case=case, decision=decision, holds=holds)


def failing(policy: Decides, cases: Iterable[PolicyCase]) -> list[CaseResult]:
    """The cases that are decided otherwise than written."""
    return [result for case in cases if not (result := run_case(policy, case)).holds]
