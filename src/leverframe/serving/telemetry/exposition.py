"""Counters and gauges as the text that Prometheus reads. Source: Prometheus exposition format 0.0.4."""

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from leverframe.core.segment import Counts
from leverframe.serving.telemetry.counts import Telemetry


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """One metric with a value for each combination of its labels' values (a bounded set)."""

    name: str
    kind: Literal["gauge", "counter"]
    labels: tuple[str, ...]
    values: Mapping[tuple[str, ...], float]


def prometheus(telemetry: Telemetry, counts: Counts, gauges: Mapping[str, float], families: tuple[Family, ...] = ()) -> bytes:
    """Everything as Prometheus text."""
    return ("\n".join(_lines(telemetry, counts, gauges, families)) + "\n").encode()


def _lines(telemetry: Telemetry, counts: Counts, gauges: Mapping[str, float], families: tuple[Family, ...]) -> Iterator[str]:
    yield from _arms(telemetry)
    yield "# TYPE lever_refusals_total counter"
    for code, value in telemetry.refusals.items():
        yield f'lever_refusals_total{{code="{code}"}} {value}'
    for name in Counts.__struct_fields__:
        yield f"# TYPE lever_log_{name}_total counter"
        yield f"lever_log_{name}_total {getattr(counts, name)}"
    for name, value in (("shed", telemetry.shed), ("table_swaps", telemetry.swaps), ("table_refusals", telemetry.swap_failures)):
        yield f"# TYPE lever_{name}_total counter"
        yield f"lever_{name}_total {value}"
    for gauge, number in gauges.items():
        yield f"# TYPE lever_{gauge} gauge"
        yield f"lever_{gauge} {number:g}"
    for family in families:
        yield f"# TYPE lever_{family.name} {family.kind}"
        for values, number in family.values.items():
            labels = ",".join(f'{label}="{_text(value)}"' for label, value in zip(family.labels, values, strict=True))
            yield f"lever_{family.name}{{{labels}}} {number:g}"


def _arms(telemetry: Telemetry) -> Iterator[str]:
    arms = telemetry.arms()
    labels = {key: f'endpoint="{_text(key[0])}",version="{_text(key[1])}",role="{key[2]}"' for key in arms}
    yield "# TYPE lever_answers_total counter"
    for key, stats in arms.items():
        for status, value in (("ok", stats.ok), ("fallback", stats.fallbacks), ("error", stats.errors), ("refused", stats.refused)):
            yield f'lever_answers_total{{{labels[key]},status="{status}"}} {value}'
    yield "# TYPE lever_missing_values_total counter"
    for key, stats in arms.items():
        yield f"lever_missing_values_total{{{labels[key]}}} {stats.missing}"
    yield "# TYPE lever_contract_warnings_total counter"
    for key, stats in arms.items():
        yield f"lever_contract_warnings_total{{{labels[key]}}} {stats.warned}"
    yield "# TYPE lever_latency_seconds histogram"
    for key, stats in arms.items():
        running = 0
        for index, count in enumerate(stats.buckets[:-1]):
            running += count
            yield f'lever_latency_seconds_bucket{{{labels[key]},le="{2**index / 1e6:g}"}} {running}'
        yield f'lever_latency_seconds_bucket{{{labels[key]},le="+Inf"}} {stats.answers}'
        yield f"lever_latency_seconds_sum{{{labels[key]}}} {stats.latency_us_sum / 1e6}"
        yield f"lever_latency_seconds_count{{{labels[key]}}} {stats.answers}"


def _text(value: str) -> str:
    """A label's value, escaped."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
