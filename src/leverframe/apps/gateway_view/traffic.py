"""Traffic by arm between two looks at a gateway: rates, latency quantiles, errors."""

import math
from collections.abc import Sequence

import msgspec

from leverframe.apps.gateway_view.client import ArmCounts, Look


class ArmTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """One arm between two looks. Latencies are in milliseconds, None without answers; a shadow arm has no latency of its own."""

    endpoint: str
    version: str
    role: str
    per_second: float
    p50_ms: float | None
    p99_ms: float | None
    fallbacks: int
    errors: int
    total: int


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway between two looks ``seconds`` apart: its route generation, the log's balance, and each arm."""

    generation: int | None
    problem: str
    seconds: float
    served: int
    logged: int
    dropped: int
    adds_up: bool
    refused: int
    arms: tuple[ArmTraffic, ...]


def quantile_ms(buckets: Sequence[tuple[float, int]], share: float) -> float | None:
    """The latency that ``share`` of the answers stay below, in milliseconds, linear within a bucket; None without answers.

    ``buckets`` are cumulative: (upper bound in seconds, answers at most that slow). Source: Prometheus, ``histogram_quantile``.

    >>> quantile_ms([(0.001, 0), (0.002, 10), (math.inf, 10)], 0.5)
    1.5
    """
    total = buckets[-1][1] if buckets else 0
    if not total:
        return None
    rank, below, before = share * total, 0.0, 0
    for bound, count in buckets:
        if count >= rank and count > before:
            within = (rank - before) / (count - before)
            return round(1000 * (below + within * (bound - below)), 3) if math.isfinite(bound) else round(1000 * below, 3)
        below, before = (bound if math.isfinite(bound) else below), count
    return round(1000 * below, 3)


def between(first: Look, then: Look) -> Traffic:
    """What happened between two looks at one gateway; a gateway that was restarted meanwhile counts from its start."""
    restarted = then.page["uptime_s"] < first.page["uptime_s"]
    earlier = {} if restarted else {(a.endpoint, a.version, a.role): a for a in first.arms}
    seconds = then.page["uptime_s"] - (0.0 if restarted else first.page["uptime_s"])
    log, table = then.page["log"], then.page["table"]
    return Traffic(
        generation=then.page["generation"],
        problem="; ".join(problem for problem in (table["problem"], log["problem"]) if problem),
        seconds=round(seconds, 3),
        served=log["served"],
        logged=log["logged"],
        dropped=log["dropped"],
        adds_up=log["adds_up"],
        refused=sum(then.page["refusals"].values()),
        arms=tuple(_arm(earlier.get((a.endpoint, a.version, a.role)), a, seconds) for a in then.arms),
    )


def _arm(before: ArmCounts | None, now: ArmCounts, seconds: float) -> ArmTraffic:
    was = before.answers if before else {}
    slow = dict(before.buckets) if before else {}
    new = {status: count - was.get(status, 0) for status, count in now.answers.items()}
    buckets = [(bound, count - slow.get(bound, 0)) for bound, count in now.buckets]
    return ArmTraffic(
        endpoint=now.endpoint,
        version=now.version,
        role=now.role,
        per_second=round(sum(new.values()) / seconds, 2) if seconds > 0 else 0.0,
        p50_ms=quantile_ms(buckets, 0.5),
        p99_ms=quantile_ms(buckets, 0.99),
        fallbacks=new.get("fallback", 0),
        errors=new.get("error", 0) + new.get("refused", 0),
        total=sum(now.answers.values()),
    )
