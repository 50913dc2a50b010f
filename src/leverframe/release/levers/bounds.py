"""How much may be asked, and how long an answer may take: limits of an endpoint, quotas of a tenant."""

from typing import Any, ClassVar

import msgspec

from leverframe.core.command import Command, Journal, Transaction
from leverframe.core.errors import InvalidInput, NotFound
from leverframe.core.quotas import quota_of
from leverframe.core.route import Quota
from leverframe.release.levers.operate import Operate, endpoint_of, require_reason
from leverframe.release.records import KIND_TENANT_QUOTA, TenantQuota
from leverframe.release.rollout.routes import next_value, put_endpoint

DEADLINE_MS_MAX = 600_000
"""Longest deadline of an endpoint; a longer one is refused (a caller waiting that long has no use for a fallback)."""

TENANTS_MAX = 10_000
"""Tenants with a quota in one environment; one more is refused: every one is in every route table."""

TENANT_CHARS_MAX = 100
"""Longest name of a tenant; a longer one is refused."""


class SetLimits(Operate, frozen=True, kw_only=True):
    """Limits of an endpoint; what is None stays as it is.

    ``deadline_ms`` 0: none. ``per_second`` 0: no quota. ``burst`` 0: one second's worth.
    """

    deadline_ms: int | None = None
    per_second: float | None = None
    burst: float | None = None


class SetTenantQuota(Command, frozen=True, kw_only=True):
    """Bound all callers of ``tenant`` together; ``per_second`` 0 lifts the quota."""

    action: ClassVar[str] = "Tenants.SetQuota"
    environment: str
    tenant: str
    per_second: float
    burst: float = 0.0
    reason: str = ""

    def resource(self) -> str:
        """``tenant/<environment>/<name>``."""
        return f"tenant/{self.environment}/{self.tenant}"


def set_limits(command: SetLimits, tx: Transaction) -> dict[str, Any]:
    """Set what is given and keep the rest."""
    endpoint = endpoint_of(command, tx)
    deadline_ms = endpoint.deadline_ms if command.deadline_ms is None else command.deadline_ms
    if not 0 <= deadline_ms <= DEADLINE_MS_MAX:
        raise InvalidInput("out of range", where="deadline_ms", expected=f"1 to {DEADLINE_MS_MAX}, or 0 for none", got=str(deadline_ms))
    before = endpoint.quota or Quota(per_second=0.0)
    per_second = before.per_second if command.per_second is None else command.per_second
    # A lifted quota takes its burst along.
    burst = command.burst if command.burst is not None else before.burst if per_second else 0.0
    changed = msgspec.structs.replace(endpoint, deadline_ms=deadline_ms, quota=quota_of(per_second, burst))
    return {"generation": put_endpoint(tx, command.environment, changed)}


def set_tenant_quota(command: SetTenantQuota, tx: Transaction) -> dict[str, Any]:
    """Put or lift the quota; the route table that says so is a new generation."""
    require_reason(command.reason)
    if not command.tenant.isprintable() or not 1 <= len(command.tenant) <= TENANT_CHARS_MAX or "/" in command.tenant:
        raise InvalidInput(
            "not a tenant", where="tenant", expected=f"1 to {TENANT_CHARS_MAX} printable characters without '/'", got=command.tenant[:40]
        )
    quota, id = quota_of(command.per_second, command.burst), f"{command.environment}/{command.tenant}"
    if quota is not None:
        others = [q for q in tx.find(KIND_TENANT_QUOTA, TenantQuota, prefix=f"{command.environment}/") if q.tenant != command.tenant]
        if len(others) >= TENANTS_MAX:
            raise InvalidInput("too many tenants with a quota", where=command.environment, expected=f"at most {TENANTS_MAX}")
        record = TenantQuota(
            environment=command.environment,
            tenant=command.tenant,
            quota=quota,
            reason=command.reason,
            by=tx.actor.subject,
            at_us=tx.now_us,
        )
        tx.put(KIND_TENANT_QUOTA, id, record)
    elif tx.get(KIND_TENANT_QUOTA, id, TenantQuota) is None:
        raise NotFound("this tenant has no quota", where=id, next_step="lever quota list")
    else:
        tx.delete(KIND_TENANT_QUOTA, id)
    return {"generation": next_value(tx, command.environment)}


def tenant_quotas(journal: Journal, environment: str) -> list[TenantQuota]:
    """Every tenant's quota in the environment."""
    return journal.find(KIND_TENANT_QUOTA, TenantQuota, prefix=f"{environment}/")
