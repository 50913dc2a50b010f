"""Who may ask how often: token buckets for callers, tenants and endpoints, refilled by the passing of time.

A gateway of several workers gives each of them its share; a caller whose connections all end at one worker then gets less than its quota.
"""

from collections.abc import Mapping
from time import monotonic

from leverframe.core.errors import QuotaExceeded
from leverframe.core.route import Caller, Endpoint, Quota, RouteTable


class Bucket:
    """One quota: holds at most ``burst`` requests, refilled with ``per_second``.

    >>> bucket = Bucket(Quota(per_second=1.0, burst=2.0), now=0.0)
    >>> [bucket.take(0.0), bucket.take(0.0), bucket.take(0.0), bucket.take(1.5)]
    [True, True, False, True]
    """

    __slots__ = ("_at", "_burst", "_left", "_per_second", "quota")

    def __init__(self, quota: Quota, *, workers: int = 1, now: float | None = None) -> None:
        self.quota = quota
        self._per_second = quota.per_second / workers
        self._burst = max(1.0, (quota.burst or quota.per_second) / workers)
        self._left = self._burst
        self._at = monotonic() if now is None else now

    def take(self, now: float) -> bool:
        """Take one request out; False when there is none left."""
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Quotas:
    """The buckets of one route table; those whose quota did not change keep their level over a new table.

    Parameters
    ----------
    workers: how many processes share the quotas.
    """

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._table: RouteTable | None = None
        self.refused: dict[str, int] = {}
        """Refusals by kind of quota."""

    def follow(self, table: RouteTable) -> None:
        """Take the quotas of ``table``; costs nothing when it is the one that is followed."""
        if table is self._table:
            return
        self._table = table
        wanted: dict[tuple[str, str], Quota] = {("tenant", name): quota for name, quota in table.tenant_quotas.items()}
        wanted |= {("endpoint", e.name): e.quota for e in table.endpoints if e.quota is not None}
        wanted |= {("caller", c.token_sha256): c.quota for c in table.callers if c.quota is not None}
        self._buckets = {key: self._kept(key, quota) for key, quota in wanted.items()}

    def _kept(self, key: tuple[str, str], quota: Quota) -> Bucket:
        before = self._buckets.get(key)
        return before if before is not None and before.quota == quota else Bucket(quota, workers=self._workers)

    @property
    def any(self) -> bool:
        """Whether there is anything to ask."""
        return bool(self._buckets)

    def take(self, caller: Caller, endpoint: Endpoint) -> None:
        """Take one request of ``caller`` for ``endpoint`` out of every quota that bounds it.

        Raises
        ------
        QuotaExceeded: one of them is used up; says which.
        """
        now = monotonic()
        asked: Mapping[str, str] = {"caller": caller.token_sha256, "tenant": endpoint.tenant, "endpoint": endpoint.name}
        for kind, name in asked.items():
            bucket = self._buckets.get((kind, name))
            if bucket is not None and not bucket.take(now):
                self.refused[kind] = self.refused.get(kind, 0) + 1
                raise QuotaExceeded(
                    f"the quota of this {kind} is used up",
                    where=caller.subject if kind == "caller" else name,
                    expected=f"at most {bucket.quota.per_second:g} requests a second",
                    got="more",
                )
