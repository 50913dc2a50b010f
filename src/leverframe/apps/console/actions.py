"""What the console's forms do; each consequential one asks for the name of what it acts on to be typed."""

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

from leverframe.apps.console.door import Form, Visit
from leverframe.apps.platform.views import FallbackRequest, LimitsRequest
from leverframe.apps.web.ask import row_of, rows_of
from leverframe.apps.web.levers import LEVERS, SPANS_US
from leverframe.apps.web.rules import rule_of
from leverframe.core.errors import InvalidInput, NotFound

Number = TypeVar("Number", int, float)

DONE = {
    "approved": "Approved. The plan's digest and your name are in the record.",
    "excepted": "Granted. Who, why and until when are in the record, in the evidence and on this page.",
    "applied": "The plan is running.",
    "rolled-back": "Rolled back. Desired state has changed; running state follows within a second.",
    "pulled": "Done. Desired state has changed; running state follows within a second.",
    "in-force": "Approved. The policy is in force from now on.",
    "experiment-started": "The experiment runs. The split of callers is checked first, then gains are shown.",
    "experiment-stopped": "Stopped. Everybody meets the control again; the report is made from the log within seconds.",
    "table-switched": "Switched. Readers see the new answers; the old ones stay one step back.",
    "table-back": "Done. Readers see the earlier answers again.",
    "aborted": "The release is aborted; the champion answers everyone.",
}
INPUT = "input."
"""Fields of the try-it form that are inputs of the model begin like this."""
TRIED_MAX = 20


def _endpoint_address(visit: Visit, done: str) -> str:
    return f"/endpoints/{quote(visit.path['environment'])}/{quote(visit.path['endpoint'])}?done={done}"


def approve(visit: Visit) -> str:
    """Approve exactly the plan whose digest is in the address."""
    digest = visit.confirmed_digest()
    visit.platform.release.approve(visit.actor, digest, note=visit.note(), key=visit.key)
    return f"/plans/{digest}?done=approved"


def apply(visit: Visit) -> str:
    """Run an approved plan."""
    digest = visit.confirmed_digest()
    release = visit.platform.release.apply(visit.actor, digest, key=visit.key)
    return f"/releases/{quote(release.id)}?done=applied"


def rollback(visit: Visit) -> str:
    """Point the route back."""
    visit.confirm(visit.path["endpoint"])
    where = visit.path
    visit.platform.release.rollback(visit.actor, where["environment"], where["endpoint"], reason=visit.reason(), key=visit.key)
    return _endpoint_address(visit, "rolled-back")


def pull(visit: Visit) -> str:
    """Pull the lever chosen in the form."""
    visit.confirm(visit.path["endpoint"])
    lever = visit.form.get("lever", "")
    if lever not in LEVERS:
        raise NotFound("there is no such lever", where="lever", expected=", ".join(LEVERS), got=lever[:80])
    visit.platform.release.operate(
        visit.actor,
        visit.path["environment"],
        visit.path["endpoint"],
        lever,
        argument=visit.form.get("argument", "").strip()[:200],
        reason=visit.reason(),
        for_us=_span(visit),
        key=visit.key,
    )
    return _endpoint_address(visit, "aborted" if lever == "abort" else "pulled")


def set_fallback(visit: Visit) -> str:
    """Set the chain of what answers when the model cannot."""
    visit.confirm(visit.path["endpoint"])
    wanted = FallbackRequest(
        value=_number(visit, "value", float),
        rules=tuple(rule_of(line) for line in visit.form.get("rules", "").splitlines() if line.strip()),
        last_good=visit.form.get("last_good") == "1",
        reason=visit.reason(),
        for_us=_span(visit),
    )
    visit.platform.operating.set_fallback(visit.actor, visit.path["environment"], visit.path["endpoint"], wanted, key=visit.key)
    return _endpoint_address(visit, "pulled")


def set_limits(visit: Visit) -> str:
    """Set deadline and quota."""
    visit.confirm(visit.path["endpoint"])
    wanted = LimitsRequest(
        deadline_ms=_number(visit, "deadline_ms", int),
        per_second=_number(visit, "per_second", float),
        burst=_number(visit, "burst", float),
        reason=visit.reason(),
    )
    visit.platform.operating.set_limits(visit.actor, visit.path["environment"], visit.path["endpoint"], wanted, key=visit.key)
    return _endpoint_address(visit, "pulled")


def _span(visit: Visit) -> int:
    """The time chosen for a lever in µs; 0: until somebody puts it back."""
    chosen = visit.form.get("for", "")
    if chosen not in SPANS_US:
        raise InvalidInput("not one of the times offered", where="for", expected=", ".join(filter(None, SPANS_US)), got=chosen[:40])
    return SPANS_US[chosen]


def _number(visit: Visit, name: str, kind: Callable[[str], Number]) -> Number | None:
    """The number typed into a field; None when it was left empty."""
    text = visit.form.get(name, "").strip()
    try:
        return kind(text) if text else None
    except (ValueError, OverflowError) as exc:
        raise InvalidInput("not a number", where=name, expected="a number", got=text[:40], next_step="go back") from exc


def try_model(visit: Visit) -> str:
    """Ask the endpoint's model one question, under the token this session was opened with."""
    environment, endpoint = visit.path["environment"], visit.path["endpoint"]
    visit.platform.access.permit(visit.actor, "Release.Read", f"endpoint/{environment}/{endpoint}")
    serving = visit.platform.serving
    fields = serving.fields(environment, endpoint)
    left_out = {field.name for field in fields if not field.required and not visit.form.get(INPUT + field.name, "")}
    typed = {name.removeprefix(INPUT): text for name, text in visit.form.items() if name.startswith(INPUT)}
    several = visit.form.get("rows", "")
    rows = rows_of(fields, several) if several.strip() else [row_of(fields, {n: text for n, text in typed.items() if n not in left_out})]
    if not rows:
        raise InvalidInput("there are no rows to ask with", where="rows", expected="a line of names, then a line a row", got="names alone")
    answer = serving.ask(visit.actor, visit.session.bearer, environment, endpoint, *rows)
    tried = visit.session.tried
    tried.pop(f"{environment}/{endpoint}", None)
    tried[f"{environment}/{endpoint}"] = {"row": typed, "rows": several, "answer": answer}
    while len(tried) > TRIED_MAX:
        tried.pop(next(iter(tried)))
    return f"/endpoints/{quote(environment)}/{quote(endpoint)}?tried=1#try"


FORMS: tuple[Form, ...] = (
    Form(path="/plans/{digest}/approve", permission="Release.Approve", run=approve),
    Form(path="/plans/{digest}/apply", permission="Release.Apply", run=apply),
    Form(path="/endpoints/{environment}/{endpoint}/rollback", permission="Release.Rollback", run=rollback),
    Form(path="/endpoints/{environment}/{endpoint}/levers", permission="Release.Operate", run=pull),
    Form(path="/endpoints/{environment}/{endpoint}/fallback", permission="Release.Operate", run=set_fallback),
    Form(path="/endpoints/{environment}/{endpoint}/limits", permission="Release.Operate", run=set_limits),
    Form(path="/endpoints/{environment}/{endpoint}/try", permission="Release.Read", run=try_model),
)
