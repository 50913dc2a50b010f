"""The part of the client that runs endpoints: fallback chains, limits, and quotas of tenants."""

from collections.abc import Sequence
from urllib.parse import quote

from leverframe.apps.platform import views
from leverframe.apps.transport import Transport
from leverframe.core.route import Rule


class OperatingClient:
    """What answers when a model cannot, how long an answer may take, and who may ask how often."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def fallback(
        self,
        environment: str,
        endpoint: str,
        *,
        value: float | None = None,
        rules: Sequence[Rule] = (),
        last_good: bool = False,
        reason: str,
        for_us: int = 0,
        key: str | None = None,
    ) -> views.EndpointView:
        """Set the whole fallback chain; what is not named is not in it. ``for_us``: then it is what it was before (0: it stays)."""
        wanted = views.FallbackRequest(value=value, rules=tuple(rules), last_good=last_good, reason=reason, for_us=for_us)
        return self._transport.send("POST", _endpoint(environment, endpoint, "fallback"), views.EndpointView, wanted, key=key)

    def limits(
        self,
        environment: str,
        endpoint: str,
        *,
        deadline_ms: int | None = None,
        per_second: float | None = None,
        burst: float | None = None,
        reason: str,
        key: str | None = None,
    ) -> views.EndpointView:
        """Set limits of an endpoint; None leaves one as it is, 0 lifts it."""
        wanted = views.LimitsRequest(deadline_ms=deadline_ms, per_second=per_second, burst=burst, reason=reason)
        return self._transport.send("POST", _endpoint(environment, endpoint, "limits"), views.EndpointView, wanted, key=key)

    def set_quota(
        self, tenant: str, per_second: float, burst: float = 0.0, *, reason: str, key: str | None = None
    ) -> tuple[views.TenantQuotaView, ...]:
        """Bound all callers of a tenant together; 0 a second lifts the quota."""
        wanted = views.QuotaRequest(per_second=per_second, burst=burst, reason=reason)
        return self._transport.send("POST", f"/api/v1/quotas/{quote(tenant, safe='')}", tuple[views.TenantQuotaView, ...], wanted, key=key)

    def quotas(self) -> tuple[views.TenantQuotaView, ...]:
        """Every tenant's quota."""
        return self._transport.get("/api/v1/quotas", tuple[views.TenantQuotaView, ...])


def _endpoint(environment: str, endpoint: str, what: str) -> str:
    return f"/api/v1/endpoints/{quote(environment, safe='')}/{quote(endpoint, safe='')}/{what}"
