"""Who is asking, and may they: the same answer at every door.

Default deny as soon as the route table names a caller, or others than this machine can reach the gateway.
"""

import hashlib

from leverframe.core.errors import Forbidden, NotFound, Unauthenticated, Unavailable
from leverframe.core.route import Caller
from leverframe.serving.doors.quotas import Quotas
from leverframe.serving.routes.routing import CompiledEndpoint, CompiledRoutes
from leverframe.serving.routes.tables import TableFollower

ANYONE = Caller(token_sha256="", subject="anyone", tenant="")


class Permission:
    """Finds callers and what they may do.

    Parameters
    ----------
    loopback: whether only this machine can reach the gateway; then a table without callers is open to all.
    """

    def __init__(self, tables: TableFollower, quotas: Quotas, *, loopback: bool) -> None:
        self._tables = tables
        self._quotas = quotas
        self.loopback = loopback

    @property
    def known(self) -> CompiledRoutes | None:
        """The routes that are served now, if any."""
        return self._tables.routes

    def routes(self) -> CompiledRoutes:
        """The routes that are served now.

        Raises
        ------
        Unavailable: none are known yet.
        """
        routes = self._tables.routes
        if routes is None:
            raise Unavailable("no routes yet", where="gateway", expected="a published route table", got="none", next_step="lever status")
        return routes

    def caller(self, routes: CompiledRoutes, authorization: bytes) -> Caller:
        """The caller, found by the hash of its token: the same work whether or not there is such a token.

        Raises
        ------
        Unauthenticated: no valid token was shown.
        """
        if not routes.callers and self.loopback:
            return ANYONE
        caller = routes.callers.get(hashlib.sha256(authorization[7:]).digest())
        if caller is None or authorization[:7].lower() != b"bearer ":
            raise Unauthenticated(
                "no valid token",
                where="Authorization",
                expected="Bearer <token of a service that may predict>",
                got="another token" if authorization else "nothing",
                next_step="ask for one with: lever token issue",
            )
        return caller

    def permit(self, routes: CompiledRoutes, authorization: bytes, endpoint: CompiledEndpoint) -> Caller:
        """The caller, when it may use ``endpoint``.

        Raises
        ------
        Unauthenticated: no valid token.    NotFound: another tenant's endpoint.    Forbidden: not one of the caller's endpoints.
        """
        caller = self.caller(routes, authorization)
        if caller is ANYONE:
            return caller
        name = endpoint.record.name
        if caller.tenant != endpoint.record.tenant:
            raise unknown_model(name)
        if "*" not in caller.endpoints and name not in caller.endpoints:
            raise Forbidden("this token may not use this endpoint", where=name, next_step="ask its owner for access")
        return caller

    def spend(self, routes: CompiledRoutes, caller: Caller, endpoint: CompiledEndpoint) -> None:
        """Take one request out of the quotas of caller, tenant and endpoint.

        Raises
        ------
        QuotaExceeded: one of them is used up.
        """
        self._quotas.follow(routes.table)
        if self._quotas.any:
            self._quotas.take(caller, endpoint.record)


def unknown_model(name: str) -> NotFound:
    """What a caller is told of a model that is not there, or not there for it."""
    return NotFound("no such model", where="model", expected="an endpoint of this environment", got=name[:100], next_step="lever status")
