"""The page of policies: what is in force and why, what would be decided, and proposals that wait for a second person."""

from typing import Any

from leverframe.apps.console.door import Form, Page, Visit

TYPED_MAX = 200


def policies(visit: Visit) -> dict[str, Any]:
    """Every policy; with an action in the address, what would be decided for whoever looks."""
    asked = {name: visit.query.get(name, "").strip()[:TYPED_MAX] for name in ("action", "resource", "team")}
    held = visit.platform.policies
    resource = asked["resource"] or "platform/leverframe"
    why = held.why(visit.actor, asked["action"], resource, team=asked["team"]) if asked["action"] else None
    return {"files": held.list(), "proposals": held.proposals(), "actions": held.actions(), "asked": asked, "why": why}


def approve_policy(visit: Visit) -> str:
    """Put exactly the proposal whose digest is in the address in force."""
    digest = visit.confirmed_digest()
    visit.platform.policies.approve(visit.actor, digest, key=visit.key)
    return "/policies?done=in-force"


PAGES: tuple[Page, ...] = (Page(path="/policies", permission="Platform.Read", template="policies.html", facts=policies),)
FORMS: tuple[Form, ...] = (Form(path="/policies/{digest}/approve", permission="Policy.Approve", run=approve_policy),)
