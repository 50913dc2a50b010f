"""Routes of running an endpoint: its fallback chain, its limits, and the quotas of tenants."""

from leverframe.apps.control.route import Call, Route
from leverframe.apps.platform.views import EndpointView, FallbackRequest, LimitsRequest, QuotaRequest, TenantQuotaView


def _fallback(call: Call) -> EndpointView:
    where = call.path
    return call.platform.operating.set_fallback(call.actor, where["environment"], where["endpoint"], call.body, key=call.key)


def _limits(call: Call) -> EndpointView:
    where = call.path
    return call.platform.operating.set_limits(call.actor, where["environment"], where["endpoint"], call.body, key=call.key)


def _quota(call: Call) -> tuple[TenantQuotaView, ...]:
    return call.platform.operating.set_tenant_quota(call.actor, call.path["tenant"], call.body, key=call.key)


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/v1/endpoints/{environment}/{endpoint}/fallback",
        permission="Release.Operate",
        run=_fallback,
        takes=FallbackRequest,
        gives=EndpointView,
        example={
            "last_good": True,
            "rules": [{"value": 0.3, "when": [{"column": "distance", "at_least": 1000.0}]}],
            "value": 0.2,
            "reason": "the desk can live with these",
        },
        summary="Set what answers when an arm cannot: last good version, rules, constant",
    ),
    Route(
        method="POST",
        path="/api/v1/endpoints/{environment}/{endpoint}/limits",
        permission="Release.Operate",
        run=_limits,
        takes=LimitsRequest,
        gives=EndpointView,
        example={"deadline_ms": 50, "per_second": 200.0, "burst": 400.0, "reason": "what the page can wait"},
        summary="Set deadline and quota of an endpoint",
    ),
    Route(
        method="GET",
        path="/api/v1/quotas",
        permission="Release.Read",
        run=lambda call: call.platform.operating.tenant_quotas(),
        gives=tuple[TenantQuotaView, ...],
        summary="Every tenant's quota",
    ),
    Route(
        method="POST",
        path="/api/v1/quotas/{tenant}",
        permission="Tenants.SetQuota",
        run=_quota,
        takes=QuotaRequest,
        gives=tuple[TenantQuotaView, ...],
        example={"per_second": 100.0, "reason": "a share for everyone"},
        summary="Bound all callers of a tenant together; 0 a second lifts the quota",
    ),
)
