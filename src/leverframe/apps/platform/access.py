"""Use cases of access: who is asking, what policy says of it, and tokens."""

from leverframe.apps.clocks import SystemClock
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.policies import own_texts
from leverframe.apps.platform.views import TokenView
from leverframe.core.actor import Actor
from leverframe.core.clock import DAY_US
from leverframe.core.route import Priority, Quota
from leverframe.governance.commands import IssueToken, RevokeToken, bootstrap
from leverframe.governance.decision import require
from leverframe.governance.identity import Token, authenticate, new_secret, secret_sha256, tokens


class Access:
    """Tokens live by the machine's clock: a replay of old months must not expire the tokens of the people watching it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._machine = SystemClock()

    def bootstrap(self) -> str | None:
        """The first administrator's token, once; None when somebody has one already."""
        return bootstrap(self._parts.ledger, now_us=self._machine.now_us())

    def authenticate(self, bearer: str) -> Actor:
        """Who presents this token.

        Raises
        ------
        Unauthenticated: nobody.
        """
        return authenticate(self._parts.ledger, bearer, now_us=self._machine.now_us())

    def permit(self, actor: Actor, action: str, resource: str, team: str = "") -> None:
        """The choke point for reads; writes are decided inside the ledger.

        Raises
        ------
        Forbidden: policy does not permit it.
        """
        require(self._parts.policy.with_own(own_texts(self._parts.ledger)), actor, action, resource, team, {})

    def issue(
        self,
        actor: Actor,
        subject: str,
        roles: tuple[str, ...],
        teams: tuple[str, ...],
        *,
        days: int,
        key: str,
        priority: Priority = "normal",
        quota: Quota | None = None,
    ) -> TokenView:
        """Give ``subject`` a token; its secret is in the answer and nowhere else. Gateways obey its priority and quota."""
        secret = new_secret()
        now_us = self._machine.now_us()
        command = IssueToken(
            sha256=secret_sha256(secret),
            subject=subject,
            roles=roles,
            teams=teams,
            issued_at_us=now_us,
            expires_at_us=now_us + days * DAY_US,
            kind="service" if set(roles) == {"service"} else "human",
            priority=priority,
            quota=quota,
        )
        receipt = self._parts.ledger.write(actor, command, key=key)
        self._parts.publisher.publish()
        return TokenView(
            id=str(receipt.result["id"]),
            subject=subject,
            roles=roles,
            teams=teams,
            expires_at_us=command.expires_at_us,
            secret=secret,
            priority=priority,
            quota=quota,
        )

    def revoke(self, actor: Actor, token_id: str, *, key: str) -> None:
        """Take a token back; gateways stop accepting it with the next route table, within a second."""
        self._parts.ledger.write(actor, RevokeToken(token_id=token_id), key=key)
        self._parts.publisher.publish()

    def tokens(self) -> tuple[TokenView, ...]:
        """All tokens that were not revoked, without secrets."""
        return tuple(_view(token) for token in tokens(self._parts.ledger))


def _view(token: Token) -> TokenView:
    return TokenView(
        id=token.id,
        subject=token.subject,
        roles=token.roles,
        teams=token.teams,
        expires_at_us=token.expires_at_us,
        priority=token.priority,
        quota=token.quota,
    )
