"""What a worker counts: plain integers on the hot path, and records of them that add up over the workers of a fleet."""

from collections.abc import Iterable, Mapping

import msgspec

BUCKETS = 24
"""Latency bucket ``i`` counts answers that took less than 2**i µs; the last one takes the rest."""
ARMS_MAX = 512
"""Arms that are counted one by one; past that the oldest are forgotten, so that label sets stay bounded."""

ArmKey = tuple[str, str, str]
"""Endpoint, version and role."""


class ArmStats:
    """Counts of one arm: answers by status, values missing, broken rules that only warn, and a latency histogram by powers of two."""

    __slots__ = ("buckets", "disabled", "errors", "fallbacks", "latency_us_sum", "missing", "ok", "refused", "warned")

    def __init__(self) -> None:
        self.ok = self.fallbacks = self.errors = self.refused = 0
        self.missing = self.disabled = self.warned = self.latency_us_sum = 0
        self.buckets = [0] * BUCKETS

    def observe(self, latency_us: int) -> None:
        """Count one answer's latency."""
        bucket = latency_us.bit_length()
        self.buckets[bucket if bucket < BUCKETS else BUCKETS - 1] += 1
        self.latency_us_sum += latency_us

    @property
    def answers(self) -> int:
        """Answers of any status."""
        return self.ok + self.fallbacks + self.errors + self.refused

    def add(self, other: "ArmStats") -> None:
        """Count what ``other`` counted, too."""
        for name in _PLAIN:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.buckets = [mine + theirs for mine, theirs in zip(self.buckets, other.buckets, strict=True)]


_PLAIN = tuple(name for name in ArmStats.__slots__ if name != "buckets")


class ArmRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of one arm as they are handed from worker to worker: ``plain`` by name, and the latency buckets."""

    arm: ArmKey
    plain: dict[str, int]
    buckets: tuple[int, ...]


class TelemetryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All counters of a worker at one moment."""

    arms: tuple[ArmRecord, ...] = ()
    refusals: dict[str, int] = {}
    shed: int = 0
    swaps: int = 0
    swap_failures: int = 0


class Telemetry:
    """All counters of one gateway worker, or, after :meth:`add`, of several."""

    def __init__(self) -> None:
        self._arms: dict[ArmKey, ArmStats] = {}
        self.refusals: dict[str, int] = {}
        self.labels = 0
        self.shed = 0
        self.swaps = 0
        self.swap_failures = 0

    def arm(self, endpoint: str, version: str, role: str) -> ArmStats:
        """The counters of an arm: the same object for as long as the worker lives."""
        key = (endpoint, version, role)
        if key not in self._arms and len(self._arms) >= ARMS_MAX:
            self._arms.pop(next(iter(self._arms)))
        return self._arms.setdefault(key, ArmStats())

    def refuse(self, code: str) -> None:
        """Count a refusal by its error code (a closed set)."""
        self.refusals[code] = self.refusals.get(code, 0) + 1

    def arms(self) -> Mapping[ArmKey, ArmStats]:
        """(endpoint, version, role) to counters."""
        return self._arms

    def record(self) -> TelemetryRecord:
        """The counters now."""
        return TelemetryRecord(
            # Another thread may bring in the arms of a new table meanwhile.
            arms=tuple(
                ArmRecord(arm=key, plain={name: getattr(stats, name) for name in _PLAIN}, buckets=tuple(stats.buckets))
                for key, stats in tuple(self._arms.items())
            ),
            refusals=dict(self.refusals),
            shed=self.shed,
            swaps=self.swaps,
            swap_failures=self.swap_failures,
        )

    def add(self, record: TelemetryRecord) -> None:
        """Count what another worker, or this one's predecessor, has counted, too."""
        for each in record.arms:
            counted = ArmStats()
            for name in _PLAIN:
                setattr(counted, name, each.plain.get(name, 0))
            counted.buckets = [*each.buckets[:BUCKETS], *[0] * (BUCKETS - len(each.buckets))]
            self.arm(*each.arm).add(counted)
        for code, count in record.refusals.items():
            self.refusals[code] = self.refusals.get(code, 0) + count
        self.shed += record.shed
        self.swaps += record.swaps
        self.swap_failures += record.swap_failures


def together(records: Iterable[TelemetryRecord]) -> Telemetry:
    """The counters of several workers as those of one."""
    sums = Telemetry()
    for record in records:
        sums.add(record)
    return sums
