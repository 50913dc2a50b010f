"""What the gateway counts: plain integers on the hot path, turned into Prometheus text when somebody asks.

Source: Prometheus exposition format 0.0.4.
"""

from collections.abc import Iterator, Mapping

from leverframe.core.segment import Counts

BUCKETS = 24
"""Latency bucket ``i`` counts answers that took less than 2**i µs; the last one takes the rest."""
ARMS_MAX = 512
"""Arms that are counted one by one; past that the oldest are forgotten, so that label sets stay bounded."""


class ArmStats:
    """Counts of one arm: answers by status, values missing, and a latency histogram with powers of two as bounds."""

    __slots__ = ("buckets", "disabled", "errors", "fallbacks", "latency_us_sum", "missing", "ok", "refused")

    def __init__(self) -> None:
        self.ok = self.fallbacks = self.errors = self.refused = 0
        self.missing = self.disabled = self.latency_us_sum = 0
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


class Telemetry:
    """All counters of one gateway worker."""

    def __init__(self) -> None:
        self._arms: dict[tuple[str, str, str], ArmStats] = {}
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

    def arms(self) -> Mapping[tuple[str, str, str], ArmStats]:
        """(endpoint, version, role) to counters."""
        return self._arms

    def prometheus(self, counts: Counts, gauges: Mapping[str, float]) -> bytes:
        """Everything as Prometheus text."""
        return ("\n".join(self._lines(counts, gauges)) + "\n").encode()

    def _lines(self, counts: Counts, gauges: Mapping[str, float]) -> Iterator[str]:
        yield "# TYPE lever_answers_total counter"
        labels = {key: f'endpoint="{_text(key[0])}",version="{_text(key[1])}",role="{key[2]}"' for key in self._arms}
        for key, stats in self._arms.items():
            for status, value in (("ok", stats.ok), ("fallback", stats.fallbacks), ("error", stats.errors), ("refused", stats.refused)):
                yield f'lever_answers_total{{{labels[key]},status="{status}"}} {value}'
        yield "# TYPE lever_missing_values_total counter"
        for key, stats in self._arms.items():
            yield f"lever_missing_values_total{{{labels[key]}}} {stats.missing}"
        yield "# TYPE lever_latency_seconds histogram"
        for key, stats in self._arms.items():
            running = 0
            for index, count in enumerate(stats.buckets[:-1]):
                running += count
                yield f'lever_latency_seconds_bucket{{{labels[key]},le="{2**index / 1e6:g}"}} {running}'
            yield f'lever_latency_seconds_bucket{{{labels[key]},le="+Inf"}} {stats.answers}'
            yield f"lever_latency_seconds_sum{{{labels[key]}}} {stats.latency_us_sum / 1e6}"
            yield f"lever_latency_seconds_count{{{labels[key]}}} {stats.answers}"
        yield "# TYPE lever_refusals_total counter"
        for code, value in self.refusals.items():
            yield f'lever_refusals_total{{code="{code}"}} {value}'
        for name in Counts.__struct_fields__:
            yield f"# TYPE lever_log_{name}_total counter"
            yield f"lever_log_{name}_total {getattr(counts, name)}"
        for name, value in (("shed", self.shed), ("table_swaps", self.swaps), ("table_refusals", self.swap_failures)):
            yield f"# TYPE lever_{name}_total counter"
            yield f"lever_{name}_total {value}"
        for gauge, number in gauges.items():
            yield f"# TYPE lever_{gauge} gauge"
            yield f"lever_{gauge} {number:g}"


def _text(value: str) -> str:
    """A label's value, escaped."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
