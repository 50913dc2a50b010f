"""Changes to who has access: issuing and revoking tokens, and the very first one."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from leverframe.core.actor import EVERY_TEAM, PLATFORM
from leverframe.core.clock import DAY_US
from leverframe.core.command import Command, Handles, Journal, Transaction
from leverframe.core.errors import Conflict, Fault, Forbidden, InvalidInput, NotFound, Refused
from leverframe.core.quotas import quota_faults
from leverframe.core.route import Priority, Quota
from leverframe.governance.identity import GRANTABLE_ROLES, KIND_TOKEN, TOKEN_ID_CHARS, Token, new_secret, secret_sha256, tokens

VALID_US_MAX = 366 * DAY_US
FIRST_TOKEN_US = 90 * DAY_US


class IssueToken(Command, frozen=True, kw_only=True):
    """Give ``subject`` access. The caller makes the secret, shows it once, and sends only its SHA-256 (hex)."""

    action: ClassVar[str] = "Tokens.Issue"

    sha256: str
    subject: str
    roles: tuple[str, ...]
    teams: tuple[str, ...]
    issued_at_us: int
    expires_at_us: int
    kind: Literal["human", "service"] = "human"
    endpoints: tuple[str, ...] = ("*",)
    tenant: str = "default"
    priority: Priority = "normal"
    quota: Quota | None = None

    def resource(self) -> str:
        """The subject's token."""
        return f"token/{self.subject}"


class RevokeToken(Command, frozen=True, kw_only=True):
    """Take a token back, by its public id."""

    action: ClassVar[str] = "Tokens.Revoke"

    token_id: str

    def resource(self) -> str:
        """The token."""
        return f"token/{self.token_id}"


def issue_token(command: IssueToken, tx: Transaction) -> dict[str, Any]:
    """Record a token after checking every field of the request."""
    faults = [*_form_faults(command), *_time_faults(command)]
    if faults:
        raise InvalidInput("the token cannot be issued", where=command.subject[:80], faults=faults)
    if tx.get(KIND_TOKEN, command.sha256, Token) is not None:
        raise Conflict("this secret is in use already", where="token", next_step="make a new secret")
    token = Token(
        id=command.sha256[:TOKEN_ID_CHARS],
        sha256=command.sha256,
        subject=command.subject,
        kind=command.kind,
        roles=tuple(sorted(command.roles)),
        teams=tuple(sorted(command.teams)),
        issued_by=tx.actor.subject,
        issued_at_us=command.issued_at_us,
        expires_at_us=command.expires_at_us,
        endpoints=command.endpoints,
        tenant=command.tenant,
        priority=command.priority,
        quota=command.quota,
    )
    tx.put(KIND_TOKEN, command.sha256, token)
    return {"id": token.id, "subject": token.subject, "expires_at_us": token.expires_at_us}


def revoke_token(command: RevokeToken, tx: Transaction) -> dict[str, Any]:
    """End a token; the last admin's is refused, since nobody could issue another."""
    found = [token for token in tokens(tx) if token.id == command.token_id]
    if not found:
        raise NotFound("no such token", where=command.token_id[:80], next_step="lever token list")
    token = found[0]
    admins = [other for other in tokens(tx) if "admin" in other.roles and other.sha256 != token.sha256]
    if "admin" in token.roles and not admins:
        raise Refused("this is the last admin token", where=token.id, next_step="issue another admin token first")
    tx.delete(KIND_TOKEN, token.sha256)
    return {"id": token.id, "subject": token.subject}


def issue_facts(_: IssueToken, tx: Transaction) -> Mapping[str, Any]:
    """``first``: whether nobody has ever had a token that was not revoked."""
    return {"first": not tokens(tx)}


def _form_faults(command: IssueToken) -> list[Fault]:
    faults = []
    if len(command.sha256) != 64 or any(c not in "0123456789abcdef" for c in command.sha256):
        faults.append(Fault(where="sha256", what="not a SHA-256", expected="64 lower-case hex digits"))
    if not command.subject.isprintable() or not 1 <= len(command.subject) <= 100 or command.subject == PLATFORM.subject:
        faults.append(Fault(where="subject", what="not a subject", expected="1 to 100 printable characters, not 'platform'"))
    unknown = sorted(set(command.roles) - set(GRANTABLE_ROLES))
    if unknown or not command.roles:
        faults.append(Fault(where="roles", what="roles that cannot be given", expected=", ".join(GRANTABLE_ROLES), got=", ".join(unknown)))
    if not all(team and team.isprintable() and len(team) <= 100 for team in command.teams):
        faults.append(Fault(where="teams", what="not a team name", expected="1 to 100 printable characters"))
    if command.quota is not None:
        faults.extend(quota_faults(command.quota))
    return faults


def _time_faults(command: IssueToken) -> list[Fault]:
    valid_us = command.expires_at_us - command.issued_at_us
    if 0 < valid_us <= VALID_US_MAX:
        return []
    days = f"{valid_us / DAY_US:g} days"
    return [Fault(where="expires_at_us", what="validity out of range", expected=f"up to {VALID_US_MAX // DAY_US} days", got=days)]


def bootstrap(journal: Journal, *, now_us: int, subject: str = "admin") -> str | None:
    """The first admin's secret, once; None when somebody has a token already.

    The caller prints it for the person who started the installation, and nowhere else.
    """
    if journal.find(KIND_TOKEN, Token):
        return None
    secret = new_secret()
    sha256 = secret_sha256(secret)
    command = IssueToken(
        sha256=sha256, subject=subject, roles=("admin",), teams=(EVERY_TEAM,), issued_at_us=now_us, expires_at_us=now_us + FIRST_TOKEN_US
    )
    try:
        journal.write(PLATFORM, command, key=f"first-token-{sha256[:TOKEN_ID_CHARS]}")
    except Forbidden:
        return None  # Another process was first: its token is the one that was printed.
    return secret


HANDLERS: tuple[Handles, ...] = (
    Handles(command=IssueToken, run=issue_token, facts=issue_facts),
    Handles(command=RevokeToken, run=revoke_token),
)
