"""The part of the client for policies."""

from collections.abc import Mapping
from typing import Any

import msgspec

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform.views.policies import PolicyView, ProposalRequest, ProposalView, WhyView
from leverframe.apps.transport import Transport
from leverframe.governance.policy_cases import PlainFact, PolicyCase


class PoliciesClient:
    """What is in force, why, and how it changes."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> tuple[PolicyView, ...]:
        """Every policy in force."""
        return self._transport.get(path_of("policies"), tuple[PolicyView, ...])

    def proposals(self) -> tuple[ProposalView, ...]:
        """Policies asked for, newest first."""
        return self._transport.get(path_of("policies", "proposals"), tuple[ProposalView, ...])

    def why(self, action: str, resource: str, *, team: str = "", facts: Mapping[str, PlainFact] | None = None) -> WhyView:
        """What would be decided for this token's owner now; nothing is done."""
        known = msgspec.json.encode(dict(facts or {})).decode()
        return self._transport.get(path_of("policies", "why"), WhyView, action=action, resource=resource, team=team, facts=known)

    def propose(self, name: str, text: str, reason: str, cases: tuple[PolicyCase, ...] = (), *, key: str | None = None) -> dict[str, Any]:
        """Ask for a policy (an empty text ends one)."""
        wanted = ProposalRequest(name=name, text=text, reason=reason, cases=cases)
        return self._transport.send("POST", path_of("policies"), dict[str, Any], wanted, key=key)

    def approve(self, digest: str, *, key: str | None = None) -> dict[str, Any]:
        """Put exactly this proposal in force."""
        return self._transport.send("POST", path_of("policies", digest, "approve"), dict[str, Any], key=key)
