"""Use cases of policies: what is in force, why something is decided as it is, and how a policy of one's own comes into force."""

from collections.abc import Mapping
from typing import Any

from leverframe.apps.platform.looking import Looking
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views.policies import PolicyView, ProposalView, WhyView
from leverframe.core.actor import Actor
from leverframe.core.command import Journal
from leverframe.governance.decision import OWN_POLICY, OwnPolicy
from leverframe.governance.own_policies import KIND_PROPOSAL, ApprovePolicy, Proposal, ProposePolicy
from leverframe.governance.policy import rules_in, shipped_policies
from leverframe.governance.policy_cases import PlainFact, PolicyCase, run_case
from leverframe.release.planning.planning import ApplyPlan, plan_facts


def own_texts(journal: Journal) -> tuple[str, ...]:
    """The texts of the installation's own policies that are in force."""
    return tuple(own.text for own in journal.find(OWN_POLICY, OwnPolicy))


class Policies:
    """Policy as text, and as answers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def list(self) -> tuple[PolicyView, ...]:
        """Every policy file in force, the shipped ones first."""
        shipped = [
            PolicyView(name=f"shipped-{place}", text=text, own=False, rules=rules_in(text))
            for place, text in enumerate(shipped_policies(), 1)
        ]
        own = [
            PolicyView(name=held.name, text=held.text, own=True, proposal=held.proposal, rules=rules_in(held.text))
            for held in self._parts.ledger.find(OWN_POLICY, OwnPolicy)
        ]
        return (*shipped, *own)

    def actions(self) -> tuple[str, ...]:
        """Everything that somebody may ask to do, sorted."""
        return tuple(sorted(self._parts.policy.actions))

    def proposals(self) -> tuple[ProposalView, ...]:
        """Every proposal, newest first."""
        found = self._parts.ledger.find(KIND_PROPOSAL, Proposal)
        return tuple(
            ProposalView(digest=proposal.digest, proposal=proposal) for proposal in sorted(found, key=lambda p: p.at_us, reverse=True)
        )

    def why(self, actor: Actor, action: str, resource: str, *, team: str = "", facts: Mapping[str, PlainFact] | None = None) -> WhyView:
        """What would be decided if ``actor`` asked now, by which policies and why; nothing is done.

        ``resource`` ``plan/<digest>`` brings the facts that the ledger has of that plan; ``facts`` are added to them, or replace them.
        """
        known: dict[str, Any] = {}
        kind, _, name = resource.partition("/")
        if kind == "plan":
            known = dict(plan_facts(ApplyPlan(plan=name), Looking(self._parts.ledger, actor, self._parts.clock.now_us())))
        known |= dict(facts or {})
        case = PolicyCase(
            name="why",
            action=action,
            allowed=True,
            subject=actor.subject,
            roles=actor.roles,
            teams=actor.teams,
            kind=actor.kind,
            resource=resource,
            team=team,
            facts=known,
        )
        decision = run_case(self._parts.policy.with_own(own_texts(self._parts.ledger)), case).decision
        return WhyView(
            allowed=decision.allowed, policy_ids=decision.policy_ids, reasons=decision.reasons, facts=known, subject=actor.subject
        )

    def propose(self, actor: Actor, name: str, text: str, reason: str, cases: tuple[PolicyCase, ...] = (), *, key: str) -> dict[str, Any]:
        """Ask for a policy; another administrator puts it in force."""
        return dict(self._parts.ledger.write(actor, ProposePolicy(name=name, text=text, reason=reason, cases=cases), key=key).result)

    def approve(self, actor: Actor, proposal: str, *, key: str) -> dict[str, Any]:
        """Put exactly this proposal in force."""
        return dict(self._parts.ledger.write(actor, ApprovePolicy(proposal=proposal), key=key).result)
