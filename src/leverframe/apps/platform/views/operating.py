"""What operators' use cases take and answer: levers, limits, quotas, and an endpoint as it is."""

import msgspec

from leverframe.core.route import Endpoint, Quota, Rule


class FreezeView(msgspec.Struct, frozen=True, kw_only=True):
    """A freeze in force: no release starts or climbs. ``endpoint`` empty: in the whole environment."""

    endpoint: str
    reason: str
    by: str
    at_us: int
    expires_us: int | None = None


class LeverView(msgspec.Struct, frozen=True, kw_only=True):
    """A lever that is pulled now: why, by whom, until when."""

    lever: str
    argument: str
    reason: str
    by: str
    at_us: int
    expires_us: int | None = None


class FallbackRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The whole chain of what answers when an arm cannot; what is not named is not in it, and an empty chain refuses.

    After ``for_us`` microseconds the chain is again what it was before (0: it stays).
    """

    value: float | None = None
    rules: tuple[Rule, ...] = ()
    last_good: bool = False
    reason: str = ""
    for_us: int = 0


class LimitsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of an endpoint; None leaves one as it is, 0 lifts it."""

    deadline_ms: int | None = None
    per_second: float | None = None
    burst: float | None = None
    reason: str = ""


class QuotaRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Requests a second, and how many may come at once (0: one second's worth); 0 a second lifts the quota."""

    per_second: float
    burst: float = 0.0
    reason: str = ""


class TenantQuotaView(msgspec.Struct, frozen=True, kw_only=True):
    """How much all callers of a tenant together may ask, why, and by whose word."""

    tenant: str
    quota: Quota
    reason: str
    by: str
    at_us: int


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint: desired state (ledger) and running state (what the gateway says), the freeze in force and the levers that are pulled."""

    environment: str
    endpoint: Endpoint
    release: str
    generation_desired: int
    generation_running: int | None
    gateway: str
    served: int
    logged: int
    dropped: int
    freeze: FreezeView | None = None
    levers: tuple[LeverView, ...] = ()

    @property
    def keeps_last_good(self) -> bool:
        """Whether the platform keeps a last good version, even if there is none now."""
        return any(lever.lever == "last-good" for lever in self.levers)
