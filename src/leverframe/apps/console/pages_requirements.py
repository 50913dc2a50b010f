"""What a plan must meet, its exceptions, and the form that grants one."""

from typing import Any

from leverframe.apps.console.door import Form, Visit
from leverframe.apps.platform.views.requirements import ExceptionRequest
from leverframe.core.errors import InvalidInput
from leverframe.release.requirements.exceptions import EXCEPTABLE


def requirement_facts(visit: Visit, digest: str, unmet: tuple[str, ...] = ()) -> dict[str, Any]:
    """The exceptions of a plan, newest first, and those of its ``unmet`` rules that one could lift."""
    return {"exceptions": visit.platform.exceptions.list(digest), "exceptable": [rule for rule in unmet if rule in EXCEPTABLE]}


def grant(visit: Visit) -> str:
    """Grant the plan in the address an exception from one rule."""
    digest = visit.confirmed_digest()
    reason = visit.reason()
    try:
        days = float(visit.form.get("days", "3") or "3")
    except ValueError as exc:
        raise InvalidInput("not a number of days", where="days", expected="0 to 14", got=visit.form["days"][:20]) from exc
    if not 0 < days <= 14:
        raise InvalidInput("an exception lasts at most 14 days", where="days", expected="0 to 14", got=f"{days:g}")
    request = ExceptionRequest(rule=visit.form.get("rule", "")[:80], reason=reason, days=days)
    visit.platform.exceptions.grant(visit.actor, digest, request, key=visit.key)
    return f"/plans/{digest}?done=excepted"


FORMS: tuple[Form, ...] = (Form(path="/plans/{digest}/exceptions", permission="Release.Except", run=grant),)
