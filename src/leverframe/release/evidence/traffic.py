"""What an endpoint's callers do these days, counted from the prediction log as it grows: what a plan's forecast is made of.

Bounded: hours are kept for a week, latencies as counts in logarithmic bins, and of the newest requests what two versions of a model and a
label said about the same one.
"""

import math
from collections.abc import Iterable

import msgspec

from leverframe.core.clock import HOUR_US
from leverframe.core.prediction import LabelRecord, LogRecord, PredictionRecord
from leverframe.core.statistics.delays import DelayCurve
from leverframe.release.evidence.losses import outcome_loss
from leverframe.release.plans.plan import Metric, MetricRule

HOURS_MAX = 168
"""Hours kept; older ones go."""

REQUESTS_MAX = 20_000
"""Requests whose second score or label is waited for; the oldest goes."""

ENDPOINTS_MAX = 200
"""Endpoints counted; traffic of more is not."""

PAIRS_MIN = 100
"""Pairs from which on their scatter is believed; with fewer a typical value is assumed."""

LATENCY_BINS_PER_OCTAVE = 8
LABEL_SHARES = (*(step / 20 for step in range(1, 20)), 0.99)
"""Shares of all labels whose times are told."""
_PAIRED: tuple[Metric, ...] = ("outcome_brier", "outcome_log_loss", "outcome_hit")


class HourOfTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """Answers given in the hour that begins at ``from_us``, and how many of them failed."""

    from_us: int
    served: int
    failed: int


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint as its log shows it.

    ``latency_counts``: answers by bin, an eighth of an octave of microseconds each; ``sds``: standard deviation of the paired difference
    between two versions, by metric, over ``pairs`` of them; ``newest_us``: the last request counted; ``labels_within_us``: of
    :data:`LABEL_SHARES` those that were seen, and the age of a request by which that share of all labels is known.
    """

    endpoint: str
    hours: tuple[HourOfTraffic, ...]
    latency_counts: dict[int, int]
    sds: dict[str, float]
    pairs: dict[str, int]
    newest_us: int
    labels_within_us: tuple[tuple[float, int], ...] = ()

    def labels_known(self, age_us: int) -> float | None:
        """The share of all labels that is known when their requests are ``age_us`` old, a little too low; None where nobody knows."""
        if not self.labels_within_us:
            return None
        return max((share for share, within_us in self.labels_within_us if within_us <= age_us), default=0.0)

    def per_hour(self, hours: int = HOURS_MAX) -> float:
        """Mean answers an hour over the newest ``hours`` that the log covers, quiet ones included; the hour under way is left out."""
        whole = [hour for hour in self.hours if hour.from_us + HOUR_US <= self.newest_us]
        if not whole:
            # Less than an hour of log: what came, over the time it came in.
            served = sum(hour.served for hour in self.hours)
            spent = (self.newest_us - self.hours[0].from_us) / HOUR_US if self.hours else 0.0
            return served / spent if spent > 0.0 else 0.0
        first = max(whole[0].from_us, whole[-1].from_us - (hours - 1) * HOUR_US)
        covered = (whole[-1].from_us - first) // HOUR_US + 1
        return sum(hour.served for hour in whole if hour.from_us >= first) / covered

    def error_rate(self) -> float | None:
        """Share of answers that failed; None without answers."""
        served = sum(hour.served for hour in self.hours)
        return sum(hour.failed for hour in self.hours) / served if served else None

    def slower_share(self, bound_us: float) -> float | None:
        """Share of served answers slower than ``bound_us``, to the width of a bin; None without answers."""
        total = sum(self.latency_counts.values())
        return sum(count for slot, count in self.latency_counts.items() if _bound_us(slot) > bound_us) / total if total else None

    def latency_us(self, quantile: float) -> float | None:
        """The latency that ``quantile`` of the answers stay below, to the width of a bin; None without answers."""
        total, below = sum(self.latency_counts.values()), 0
        for slot in sorted(self.latency_counts):
            below += self.latency_counts[slot]
            if below >= quantile * total:
                return _bound_us(slot)
        return None


def _bin_of(latency_us: int) -> int:
    return math.floor(LATENCY_BINS_PER_OCTAVE * math.log2(max(latency_us, 1)))


def _bound_us(slot: int) -> float:
    return float(2.0 ** ((slot + 1) / LATENCY_BINS_PER_OCTAVE))


class _Moments(msgspec.Struct):
    """Mean and scatter of a stream of numbers. Source: Welford, 1962."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        self.n += 1
        step = value - self.mean
        self.mean += step / self.n
        self.squares += step * (value - self.mean)

    @property
    def sd(self) -> float:
        return math.sqrt(self.squares / (self.n - 1)) if self.n > 1 else 0.0


class _Seen(msgspec.Struct):
    """A request's scores by version, whether its label was used, when it was asked, and how late its first label came (-1: not yet)."""

    scores: dict[str, tuple[float, ...]] = {}
    labels: dict[int, float] = {}
    asked_at_us: int = 0
    delay_us: int = -1


class Meter(msgspec.Struct):
    """One endpoint's counts; plain data, so that they can be kept."""

    hours: dict[int, list[int]] = {}
    latency: dict[int, int] = {}
    moments: dict[str, _Moments] = {}
    requests: dict[str, _Seen] = {}
    newest_us: int = 0

    def answer(self, record: PredictionRecord) -> None:
        """Count an answer; a second version's answer to the same request makes a pair."""
        failed = record.status != "ok" or not record.outputs or not all(map(math.isfinite, record.outputs))
        if record.role != "shadow":
            self._count(record, failed)
        if failed:
            return
        seen = self.requests.get(record.id)
        if seen is None:
            if len(self.requests) >= REQUESTS_MAX:
                self.requests.pop(next(iter(self.requests)))
            seen = self.requests[record.id] = _Seen(asked_at_us=record.asked_at_us)
        seen.scores[record.version] = record.outputs
        if len(seen.scores) == 2:
            one, two = (sum(scores) / len(scores) for scores in seen.scores.values())
            self._add("prediction_shift", one - two)

    def _count(self, record: PredictionRecord, failed: bool) -> None:
        hour = record.asked_at_us - record.asked_at_us % HOUR_US
        counts = self.hours.setdefault(hour, [0, 0])
        counts[0] += 1
        counts[1] += failed
        slot = _bin_of(record.latency_us)
        self.latency[slot] = self.latency.get(slot, 0) + 1
        self.newest_us = max(self.newest_us, record.asked_at_us)
        while len(self.hours) > HOURS_MAX:
            self.hours.pop(min(self.hours))

    def label(self, record: LabelRecord) -> None:
        """Count what turned out to be true, where its request is still known."""
        seen = self.requests.get(record.id)
        if seen is None or record.row in seen.labels:
            return
        if not seen.labels:
            seen.delay_us = max(record.known_at_us - seen.asked_at_us, 0)
        seen.labels[record.row] = record.label
        self._add("outcome_value", record.label)
        if len(seen.scores) != 2:
            return
        one, two = seen.scores.values()
        for metric in _PAIRED:
            rule = MetricRule(metric=metric, margin=1.0, alpha=0.01)
            losses = [outcome_loss(rule, scores, {record.row: record.label}) for scores in (one, two)]
            if losses[0] is not None and losses[1] is not None:
                self._add(metric, losses[0] - losses[1])

    def _add(self, metric: str, value: float) -> None:
        self.moments.setdefault(metric, _Moments()).add(value)

    def traffic(self, endpoint: str) -> Traffic:
        """The counts as a plan's forecast reads them."""
        hours = tuple(HourOfTraffic(from_us=hour, served=counts[0], failed=counts[1]) for hour, counts in sorted(self.hours.items()))
        known = {metric: moments for metric, moments in self.moments.items() if moments.n >= PAIRS_MIN and moments.sd > 0.0}
        return Traffic(
            endpoint=endpoint,
            hours=hours,
            latency_counts=dict(self.latency),
            sds={metric: moments.sd for metric, moments in known.items()},
            pairs={metric: moments.n for metric, moments in known.items()},
            newest_us=self.newest_us,
            labels_within_us=self._labels_within_us(),
        )

    def _labels_within_us(self) -> tuple[tuple[float, int], ...]:
        """How late labels come, by the requests still known: those that wait count for what they show, a label later than their age."""
        known = [seen for seen in self.requests.values() if seen.asked_at_us]
        if sum(seen.delay_us >= 0 for seen in known) < PAIRS_MIN:
            return ()
        ages = [seen.delay_us if seen.delay_us >= 0 else max(self.newest_us - seen.asked_at_us, 0) for seen in known]
        curve = DelayCurve(ages, [seen.delay_us >= 0 for seen in known])
        found = ((share, curve.horizon(share)) for share in LABEL_SHARES)
        return tuple((share, round(within_us)) for share, within_us in found if within_us is not None)


class TrafficMeter:
    """Counts every endpoint's traffic; what it knows can be read off at any time."""

    def __init__(self, meters: dict[str, Meter] | None = None) -> None:
        self.meters: dict[str, Meter] = meters or {}
        """What was counted of each endpoint: keep it, and a later meter goes on from there."""

    def take(self, records: Iterable[LogRecord]) -> None:
        """Count records of the log, in its order."""
        for record in records:
            meter = self.meters.get(record.endpoint)
            if meter is None:
                if len(self.meters) >= ENDPOINTS_MAX:
                    continue
                meter = self.meters[record.endpoint] = Meter()
            if isinstance(record, LabelRecord):
                meter.label(record)
            elif record.routed and record.status != "refused":
                meter.answer(record)

    def traffic(self) -> tuple[Traffic, ...]:
        """Every endpoint's traffic as counted so far."""
        return tuple(meter.traffic(endpoint) for endpoint, meter in sorted(self.meters.items()))
