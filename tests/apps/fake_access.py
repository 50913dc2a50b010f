"""Who may knock at a fake platform, and what was asked of it."""

from tests.apps import fake_records as records

from leverframe.apps.platform import views
from leverframe.core.actor import Actor
from leverframe.core.errors import Forbidden, Unauthenticated
from leverframe.core.route import Quota

TOKENS = {
    "admin-token": Actor(subject="ana", roles=("admin",), teams=("*",)),
    "viewer-token": Actor(subject="vic", roles=("viewer",), teams=("flights",)),
    "nobody-token": Actor(subject="nora"),
}


class Calls:
    """What was asked: (use case, subject, idempotency key, arguments), and the keys seen."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str, str, tuple[object, ...]]] = []

    def write(self, access: "FakeAccess", actor: Actor, action: str, key: str, *arguments: object) -> None:
        access.permit(actor, action, "")
        assert key, f"{action} came without an idempotency key"
        self.made.append((action, actor.subject, key, arguments))


class FakeAccess:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def authenticate(self, bearer: str) -> Actor:
        if bearer not in TOKENS:
            raise Unauthenticated("nobody issued this token", where="token", next_step="lever token issue")
        return TOKENS[bearer]

    def permit(self, actor: Actor, action: str, resource: str, team: str = "") -> None:
        allowed = "admin" in actor.roles or ("viewer" in actor.roles and action.endswith(".Read"))
        if not allowed:
            raise Forbidden(f"{actor.subject} may not {action}", where=resource, expected="role admin", got=", ".join(actor.roles))

    def issue(
        self,
        actor: Actor,
        subject: str,
        roles: tuple[str, ...],
        teams: tuple[str, ...],
        *,
        days: int,
        key: str,
        priority: str = "normal",
        quota: Quota | None = None,
    ) -> views.TokenView:
        bounds = (priority, quota) if quota or priority != "normal" else ()
        self._calls.write(self, actor, "Tokens.Issue", key, subject, roles, teams, days, *bounds)
        return views.TokenView(id="tok-1", subject=subject, roles=roles, teams=teams, expires_at_us=records.NOW_US, secret="lf_secret")

    def revoke(self, actor: Actor, token_id: str, *, key: str) -> None:
        self._calls.write(self, actor, "Tokens.Revoke", key, token_id)

    def tokens(self) -> tuple[views.TokenView, ...]:
        return (views.TokenView(id="tok-1", subject="ana", roles=("admin",), teams=("*",), expires_at_us=records.NOW_US),)
