"""Use cases of running an endpoint: what answers when its model cannot, how long an answer may take, and who may ask how often."""

from difflib import get_close_matches

import msgspec

from leverframe.apps.platform.known import known_endpoint, owning_team
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.release import Releases
from leverframe.apps.platform.views import EndpointView, FallbackRequest, LimitsRequest, QuotaRequest, TenantQuotaView
from leverframe.core.actor import Actor
from leverframe.core.errors import Fault, InvalidInput, NotFound
from leverframe.core.model import SIGNATURE
from leverframe.core.route import Condition, Endpoint, Rule
from leverframe.core.schema import InputColumn, Signature
from leverframe.governance.bundles import open_bundle
from leverframe.release.levers.bounds import SetLimits, SetTenantQuota, tenant_quotas
from leverframe.release.levers.operate import SetFallback
from leverframe.release.records import TenantQuota

MATCHES_MAX = 3


class Operating:
    """Every change is published before the answer."""

    def __init__(self, parts: Parts, releases: Releases) -> None:
        self._parts = parts
        self._releases = releases

    def set_fallback(self, actor: Actor, environment: str, endpoint: str, wanted: FallbackRequest, *, key: str) -> EndpointView:
        """Set the whole chain; rules name input columns of the live version, or features as ``view.feature``.

        Raises
        ------
        InvalidInput: a rule names a column the live version does not have, or that is not a number.    NotFound: no such endpoint.
        """
        record = known_endpoint(self._parts.ledger, environment, endpoint)
        command = SetFallback(
            environment=environment,
            endpoint=endpoint,
            reason=wanted.reason,
            owner_team=owning_team(self._parts.ledger, record),
            value=wanted.value,
            rules=resolved(wanted.rules, self._columns(record)) if wanted.rules else (),
            last_good=wanted.last_good,
            for_us=wanted.for_us,
        )
        self._parts.ledger.write(actor, command, key=key)
        self._parts.publisher.publish()
        return self._releases.endpoint_view(environment, endpoint)

    def set_limits(self, actor: Actor, environment: str, endpoint: str, wanted: LimitsRequest, *, key: str) -> EndpointView:
        """Set deadline and quota of an endpoint; what is None stays as it is."""
        command = SetLimits(
            environment=environment,
            endpoint=endpoint,
            reason=wanted.reason,
            owner_team=owning_team(self._parts.ledger, known_endpoint(self._parts.ledger, environment, endpoint)),
            deadline_ms=wanted.deadline_ms,
            per_second=wanted.per_second,
            burst=wanted.burst,
        )
        self._parts.ledger.write(actor, command, key=key)
        self._parts.publisher.publish()
        return self._releases.endpoint_view(environment, endpoint)

    def set_tenant_quota(self, actor: Actor, tenant: str, wanted: QuotaRequest, *, key: str) -> tuple[TenantQuotaView, ...]:
        """Bound all callers of a tenant together, in this installation's environment; 0 a second lifts the quota. All that hold now."""
        command = SetTenantQuota(
            environment=self._parts.settings.environment,
            tenant=tenant,
            per_second=wanted.per_second,
            burst=wanted.burst,
            reason=wanted.reason,
        )
        self._parts.ledger.write(actor, command, key=key)
        self._parts.publisher.publish()
        return self.tenant_quotas()

    def tenant_quotas(self) -> tuple[TenantQuotaView, ...]:
        """Every tenant's quota in this installation's environment."""
        return tuple(_view(each) for each in tenant_quotas(self._parts.ledger, self._parts.settings.environment))

    def _columns(self, endpoint: Endpoint) -> tuple[InputColumn, ...]:
        if endpoint.live is None:
            raise NotFound("nothing is live at this endpoint", where=endpoint.name, next_step="lever status")
        bundle = open_bundle(self._parts.artifacts, self._parts.trust, endpoint.live.bundle, endpoint.live.envelope)
        return msgspec.json.decode(bundle.read(SIGNATURE), type=Signature).columns


def resolved(rules: tuple[Rule, ...], columns: tuple[InputColumn, ...]) -> tuple[Rule, ...]:
    """``rules`` with every condition on an input column by its own name.

    Raises
    ------
    InvalidInput: with every condition on something that is no column, or a column of categories.
    """
    by_name = {f"{column.view}.{column.feature}": column for column in columns if column.source == "view"}
    by_name |= {column.name: column for column in columns}
    faults: list[Fault] = []

    def condition(place: int, asked: Condition) -> Condition:
        column = by_name.get(asked.column)
        if column is None:
            close = ", ".join(get_close_matches(asked.column, by_name, n=MATCHES_MAX)) or ", ".join(c.name for c in columns)
            faults.append(Fault(where=f"rule {place}", what="no such input column", expected=close[:400], got=asked.column[:80]))
            return asked
        if column.categories:
            faults.append(Fault(where=f"rule {place}", what="a column of categories is not compared", expected="a number", got=column.name))
        return msgspec.structs.replace(asked, column=column.name)

    found = tuple(
        msgspec.structs.replace(rule, when=tuple(condition(place, asked) for asked in rule.when)) for place, rule in enumerate(rules, 1)
    )
    if faults:
        first = faults[0]
        raise InvalidInput(
            "the rules do not fit the live version",
            where=first.where,
            expected=first.expected,
            got=first.got,
            next_step="lever models show MODEL@vN lists its columns",
            faults=faults,
        )
    return found


def _view(record: TenantQuota) -> TenantQuotaView:
    return TenantQuotaView(tenant=record.tenant, quota=record.quota, reason=record.reason, by=record.by, at_us=record.at_us)
