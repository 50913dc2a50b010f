"""Routes of policies."""

from typing import Any

import msgspec

from leverframe.apps.control.route import Call, Route
from leverframe.apps.platform.views.policies import PolicyView, ProposalRequest, ProposalView, WhyView
from leverframe.core.digest import check_digest
from leverframe.core.errors import InvalidInput
from leverframe.governance.policy_cases import PlainFact


class WhyQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which action on which resource of which team; ``facts`` is a JSON object that is added to what the ledger knows."""

    action: str = ""
    resource: str = "platform/leverframe"
    team: str = ""
    facts: str = "{}"


def _why(call: Call) -> WhyView:
    try:
        facts = msgspec.json.decode(call.query.facts, type=dict[str, PlainFact])
    except msgspec.MsgspecError as error:
        expected = "a JSON object of booleans, integers, texts and lists of texts"
        raise InvalidInput("the facts cannot be read", where="facts", expected=expected, got=str(error)[:200]) from error
    return call.platform.policies.why(call.actor, call.query.action, call.query.resource, team=call.query.team, facts=facts)


def _propose(call: Call) -> dict[str, Any]:
    asked: ProposalRequest = call.body
    return call.platform.policies.propose(call.actor, asked.name, asked.text, asked.reason, asked.cases, key=call.key)


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/policies",
        permission="Platform.Read",
        run=lambda call: call.platform.policies.list(),
        gives=tuple[PolicyView, ...],
        summary="Every policy in force",
    ),
    Route(
        method="GET",
        path="/api/v1/policies/proposals",
        permission="Platform.Read",
        run=lambda call: call.platform.policies.proposals(),
        gives=tuple[ProposalView, ...],
        summary="Policies asked for, and who put them in force",
    ),
    Route(
        method="GET",
        path="/api/v1/policies/why",
        permission="Platform.Read",
        query=WhyQuery,
        query_example={"action": "Release.Apply"},
        run=_why,
        gives=WhyView,
        summary="What would be decided for you now, by which policies and why; nothing is done",
    ),
    Route(
        method="POST",
        path="/api/v1/policies",
        permission="Policy.Propose",
        run=_propose,
        takes=ProposalRequest,
        gives=dict[str, Any],
        example={"name": "no_fridays", "text": "", "reason": "not needed any more"},
        summary="Ask for a policy of one's own; another administrator puts it in force",
    ),
    Route(
        method="POST",
        path="/api/v1/policies/{digest}/approve",
        permission="Policy.Approve",
        run=lambda call: call.platform.policies.approve(call.actor, check_digest(call.path["digest"]), key=call.key),
        gives=dict[str, Any],
        summary="Put exactly this proposal in force",
    ),
)
