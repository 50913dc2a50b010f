"""Who a bearer token belongs to. Secrets are shown once and never kept: the ledger has only their SHA-256.

A token's times are in whatever clock the caller of these functions uses, everywhere the same one. In a replay that should be the machine's
clock, or tokens would expire with the replayed months.
"""

import hashlib
import re
import secrets
from typing import Literal, Protocol, TypeVar

import msgspec

from leverframe.core.actor import EVERY_TEAM, Actor
from leverframe.core.clock import iso_from_us
from leverframe.core.command import Journal
from leverframe.core.errors import Unauthenticated
from leverframe.core.route import Caller, Priority, Quota

T = TypeVar("T", bound=msgspec.Struct)

KIND_TOKEN = "token"  # noqa: S105 - the name of a record kind
SECRET_PREFIX = "lvr_"  # noqa: S105 - lets secret scanners recognise a leaked token
TOKEN_ID_CHARS = 16

GRANTABLE_ROLES = ("admin", "approver", "auditor", "engineer", "operator", "service", "viewer")
"""Roles a token may carry. ``platform`` is not among them: it is the program itself."""

CALLING_ROLES = frozenset({"admin", "engineer", "operator", "service"})
"""Roles that may ask a gateway for predictions."""

_SECRET = re.compile(SECRET_PREFIX + r"[A-Za-z0-9_-]{43}")


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An issued token without its secret. ``id`` is the beginning of ``sha256``; ``endpoints`` and ``tenant`` limit what it may ask,
    ``quota`` how often, and ``priority`` says whose requests go first when a gateway has too many."""

    id: str
    sha256: str
    subject: str
    kind: Literal["human", "service"]
    roles: tuple[str, ...]
    teams: tuple[str, ...]
    issued_by: str
    issued_at_us: int
    expires_at_us: int
    endpoints: tuple[str, ...] = ("*",)
    tenant: str = "default"
    priority: Priority = "normal"
    quota: Quota | None = None

    def actor(self) -> Actor:
        """The subject as the one asking."""
        return Actor(subject=self.subject, roles=self.roles, teams=self.teams, kind=self.kind)


class Reader(Protocol):
    """A journal or a transaction: whatever can list current records."""

    def find(self, kind: str, type: type[T]) -> list[T]:
        """All current records of ``kind``."""
        ...


def new_secret() -> str:
    """A fresh bearer secret with 256 random bits, from the operating system's source."""
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def secret_sha256(secret: str) -> str:
    """What the ledger and the route table keep of a secret (hex). A plain hash is enough for 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def authenticate(journal: Journal, bearer: str, *, now_us: int) -> Actor:
    """Who presents ``bearer``.

    Raises
    ------
    Unauthenticated: nobody was issued this, or it was revoked, or it has expired. The three look alike but for the date of an expired one.
    """
    token = journal.get(KIND_TOKEN, secret_sha256(bearer), Token) if _SECRET.fullmatch(bearer) else None
    if token is None:
        raise Unauthenticated("no such token", where="bearer token", next_step="ask an admin: lever token issue")
    if now_us >= token.expires_at_us:
        raise Unauthenticated(
            "the token has expired", where=token.id, got=iso_from_us(token.expires_at_us), next_step="ask an admin for a new one"
        )
    return token.actor()


def tokens(reader: Reader, *, now_us: int | None = None) -> list[Token]:
    """All tokens not revoked; with ``now_us``, those not expired either."""
    return [token for token in reader.find(KIND_TOKEN, Token) if now_us is None or now_us < token.expires_at_us]


def holds_role(reader: Reader, subject: str, role: str, team: str, *, now_us: int) -> bool:
    """Whether ``subject`` has, now, a token with ``role`` for ``team`` (or for all teams): an approval counts only while this is so."""
    return any(
        token.subject == subject and role in token.roles and (not team or not {team, EVERY_TEAM}.isdisjoint(token.teams))
        for token in tokens(reader, now_us=now_us)
    )


def callers(reader: Reader, *, now_us: int) -> tuple[Caller, ...]:
    """Everyone who may ask a gateway now, ordered by hash, for the route table."""
    return tuple(
        Caller(
            token_sha256=token.sha256,
            subject=token.subject,
            endpoints=token.endpoints,
            tenant=token.tenant,
            priority=token.priority,
            quota=token.quota,
        )
        for token in sorted(tokens(reader, now_us=now_us), key=lambda token: token.sha256)
        if not CALLING_ROLES.isdisjoint(token.roles)
    )
