"""What the use cases of policies take and answer."""

import msgspec

from leverframe.governance.own_policies import Proposal
from leverframe.governance.policy import PolicyRule
from leverframe.governance.policy_cases import PlainFact, PolicyCase


class PolicyView(msgspec.Struct, frozen=True, kw_only=True):
    """A policy file in force: Cedar text and the rules in it; ``own`` when it is the installation's, by the proposal named."""

    name: str
    text: str
    own: bool
    proposal: str = ""
    rules: tuple[PolicyRule, ...] = ()


class ProposalView(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal and its digest, which is what is approved."""

    digest: str
    proposal: Proposal


class ProposalRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A policy asked for: its name, its Cedar text (empty: end it), why, and the cases that must hold with it."""

    name: str
    text: str
    reason: str
    cases: tuple[PolicyCase, ...] = ()


class WhyView(msgspec.Struct, frozen=True, kw_only=True):
    """What would be decided for ``subject``, by which policies, why, and on which facts."""

    allowed: bool
    policy_ids: tuple[str, ...]
    reasons: tuple[str, ...]
    facts: dict[str, PlainFact]
    subject: str
