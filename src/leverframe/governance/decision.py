"""What a policy answers, and the shape of whoever answers."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import msgspec

from leverframe.core.actor import Actor
from leverframe.core.errors import Forbidden

Fact = bool | int | str | list[str] | tuple[str, ...]


OWN_POLICY = "policy"
"""Kind of the records that are an installation's own policies in force."""


class OwnPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy of the installation's own, in force: Cedar text, and the digest of the proposal that two people agreed on."""

    name: str
    text: str
    proposal: str


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Allowed or not, by which policies (their ids), and why in words."""

    allowed: bool
    policy_ids: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


class Decides(Protocol):
    """Whoever says whether something is permitted; default deny."""

    def decide(self, actor: Actor, action: str, resource: str, team: str, facts: Mapping[str, Fact]) -> Decision:
        """May ``actor`` do ``action`` to ``resource`` (``kind/id``) of ``team`` (empty: platform-wide), given ``facts``?"""
        ...


@runtime_checkable
class Extends(Decides, Protocol):
    """A policy set that an installation's own policies can be added to."""

    def with_own(self, texts: tuple[str, ...]) -> Decides:
        """The same set with ``texts`` added."""
        ...


def require(policy: Decides, actor: Actor, action: str, resource: str, team: str, facts: Mapping[str, Fact]) -> Decision:
    """The decision, when it is to allow.

    Raises
    ------
    Forbidden: it is not; the message names the rules that forbid, or says that none permits.
    """
    decision = policy.decide(actor, action, resource, team, facts)
    if not decision.allowed:
        raise Forbidden(
            f"{actor.subject} may not {action}: {'; '.join(decision.reasons) or 'no policy permits it'}",
            where=resource,
            expected=f"a policy that permits it (deciding: {', '.join(decision.policy_ids) or 'none'})",
            got=f"roles {', '.join(actor.roles) or 'none'}; teams {', '.join(actor.teams) or 'none'}",
            next_step="ask an admin of the owning team, or meet the rule named above",
        )
    return decision
