"""From records of the prediction log to hourly windows, with each late label joined to the answer it judges."""

from collections.abc import Callable, Iterable, Mapping

import msgspec
import numpy as np

from leverframe.core.clock import HOUR_US, MINUTE_US
from leverframe.core.errors import InvalidInput
from leverframe.core.prediction import LabelRecord, LogRecord, PredictionRecord
from leverframe.monitoring.slo import MinuteTally
from leverframe.monitoring.windows import LATENCY_EDGES_US, TALLIES, Batch, Shape, Window, count_labels, count_rows, hour_of, total

HOURS_MAX = 24 * 62
"""Hours kept per version; the oldest go first."""

VERSIONS_MAX = 32
"""Versions of one endpoint kept; the one silent for longest goes first."""

PENDING_MAX = 200_000
"""Answers that wait for their label, and labels that wait for their answer; the oldest go first and are counted."""

_INDEX = {name: index for index, name in enumerate(TALLIES)}
ShapeOf = Callable[[str, str], Shape | None]
"""(endpoint, version) to its shape; None when the version is unknown: its answers are then counted without looking at their values."""

_Answer = tuple[str, int, dict[int, float]]
"""Version, hour of the question, and the score of each row that has no label yet."""


class KeptVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version's hourly windows: int64 ``counts`` of one window after the other, in the order of ``hours``."""

    endpoint: str
    version: str
    hours: list[int]
    counts: bytes


class KeptWindows(msgspec.Struct, frozen=True, kw_only=True):
    """What :class:`Windows` holds, as plain data."""

    versions: list[KeptVersion]
    answers: dict[tuple[str, str], _Answer]
    labels: dict[tuple[str, str], list[LabelRecord]]
    off: dict[str, set[str]]
    newest_us: dict[str, int]
    minutes: dict[str, dict[int, list[int]]]
    slow_us: dict[str, int]
    in_time: dict[str, dict[int, list[int]]]
    unlabelled: int
    orphans: int
    unknown: int


class Windows:
    """All hourly windows of all endpoints, fed record by record and asked by time span.

    Parameters
    ----------
    shape_of: tells what to know of a version; asked once a version.
    hours_max: hours kept per version.    pending_max: answers, and labels, kept while they wait for each other.
    """

    def __init__(self, shape_of: ShapeOf, *, hours_max: int = HOURS_MAX, pending_max: int = PENDING_MAX) -> None:
        self._shape_of = shape_of
        self._hours_max, self._pending_max = hours_max, pending_max
        self._shapes: dict[tuple[str, str], Shape] = {}
        self._hours: dict[tuple[str, str], dict[int, Window]] = {}
        self._answers: dict[tuple[str, str], _Answer] = {}
        self._labels: dict[tuple[str, str], list[LabelRecord]] = {}
        self._off: dict[str, set[str]] = {}
        self.newest_us: dict[str, int] = {}
        self.minutes: dict[str, MinuteTally] = {}
        self.in_time: dict[str, MinuteTally] = {}
        self._slow_us: dict[str, int] = {}
        self.unlabelled = 0
        self.orphans = 0
        self.unknown = 0

    def switch_off(self, endpoint: str, columns: Iterable[str]) -> None:
        """Tell which input columns of ``endpoint`` an operator has switched off; remembered, since the log is read a little later."""
        self._off.setdefault(endpoint, set()).update(columns)

    def slow_beyond(self, endpoint: str, slow_us: int) -> None:
        """Tell which answers of ``endpoint`` are slow, µs; what was counted by another limit says nothing about this one."""
        if self._slow_us.get(endpoint) != slow_us:
            self._slow_us[endpoint] = slow_us
            self.in_time.pop(endpoint, None)

    def kept(self) -> KeptWindows:
        """Everything held, to go on from after a restart; to be written down before the next record is folded."""
        return KeptWindows(
            versions=[
                KeptVersion(
                    endpoint=endpoint,
                    version=version,
                    hours=list(hours),
                    counts=b"".join(window.numbers().astype("<i8").tobytes() for window in hours.values()),
                )
                for (endpoint, version), hours in self._hours.items()
            ],
            answers=self._answers,
            labels=self._labels,
            off=self._off,
            newest_us=self.newest_us,
            minutes={endpoint: tally.minutes for endpoint, tally in self.minutes.items()},
            slow_us=self._slow_us,
            in_time={endpoint: tally.minutes for endpoint, tally in self.in_time.items()},
            unlabelled=self.unlabelled,
            orphans=self.orphans,
            unknown=self.unknown,
        )

    def take_up(self, kept: KeptWindows) -> None:
        """Go on from what earlier windows held.

        Raises
        ------
        InvalidInput: a version is not known any more, or has another shape than when it was counted; nothing was taken up.
        """
        hours: dict[tuple[str, str], dict[int, Window]] = {}
        for each in kept.versions:
            shape = self.shape(each.endpoint, each.version)
            if shape is None:
                raise InvalidInput("windows of a version that cannot be opened", where=f"{each.endpoint}: {each.version}")
            rows = np.frombuffer(each.counts, dtype="<i8").reshape(len(each.hours), -1)
            counted = {hour: Window.of(shape, row) for hour, row in zip(each.hours, rows, strict=True)}
            hours[each.endpoint, each.version] = counted
        self._hours, self._answers, self._labels, self._off = hours, kept.answers, kept.labels, kept.off
        self.newest_us = kept.newest_us
        self.minutes = {endpoint: MinuteTally(minutes) for endpoint, minutes in kept.minutes.items()}
        self._slow_us, self.in_time = kept.slow_us, {endpoint: MinuteTally(minutes) for endpoint, minutes in kept.in_time.items()}
        self.unlabelled, self.orphans, self.unknown = kept.unlabelled, kept.orphans, kept.unknown

    def fold(self, records: Iterable[LogRecord]) -> int:
        """Count records, in any order and any batches; returns how many there were."""
        answers: dict[tuple[str, str], list[PredictionRecord]] = {}
        labels: list[LabelRecord] = []
        count = 0
        for record in records:
            count += 1
            if isinstance(record, PredictionRecord):
                answers.setdefault((record.endpoint, record.version), []).append(record)
            else:
                labels.append(record)
        for (endpoint, version), batch in answers.items():
            self._fold_answers(endpoint, version, batch)
        self._fold_labels(labels)
        self._forget()
        return count

    def shape(self, endpoint: str, version: str) -> Shape | None:
        """What is known of a version."""
        key = (endpoint, version)
        if key not in self._shapes:
            shape = self._shape_of(endpoint, version)
            if shape is None:
                return None
            self._shapes[key] = shape
        return self._shapes[key]

    def versions(self, endpoint: str) -> tuple[str, ...]:
        """Versions of ``endpoint`` that have windows, sorted."""
        return tuple(sorted(version for name, version in self._hours if name == endpoint))

    def endpoints(self) -> tuple[str, ...]:
        """Endpoints that have windows, sorted."""
        return tuple(sorted({name for name, _ in self._hours}))

    def hours(self, endpoint: str, version: str) -> Mapping[int, Window]:
        """The hourly windows of a version, by hours since the epoch."""
        return self._hours.get((endpoint, version), {})

    def between(self, endpoint: str, version: str, from_us: int, to_us: int) -> Window | None:
        """The sum of the hours that begin in ``[from_us, to_us)``; None for a version never seen."""
        hours = self._hours.get((endpoint, version))
        if hours is None:
            return None
        first, last = -(-from_us // HOUR_US), -(-to_us // HOUR_US)
        chosen = [hours[hour] for hour in range(first, last) if hour in hours]
        return total(self._shapes[endpoint, version], chosen)

    def _into(self, key: tuple[str, str], counted: Mapping[int, Window]) -> None:
        hours = self._hours.setdefault(key, {})
        for hour, window in counted.items():
            if hour in hours:
                hours[hour].add(window)
            else:
                hours[hour] = window

    def _fold_answers(self, endpoint: str, version: str, records: list[PredictionRecord]) -> None:
        self._count_minutes(endpoint, records)
        shape = self.shape(endpoint, version)
        if shape is None:
            self.unknown += len(records)
            return
        key = (endpoint, version)
        self.newest_us[endpoint] = max(self.newest_us.get(endpoint, 0), max(record.asked_at_us for record in records))
        counted: dict[int, Window] = {}
        whole: list[PredictionRecord] = []
        width = 8 * len(shape.columns)
        latencies: dict[int, list[int]] = {}
        for record in records:
            hour = record.asked_at_us // HOUR_US
            window = counted.get(hour)
            if window is None:
                window = counted[hour] = Window(shape)
                latencies[hour] = []
            tally = window.tally
            if record.role == "shadow":
                tally[_INDEX["shadows"]] += 1
                continue
            latencies[hour].append(record.latency_us)
            tally[_INDEX["requests"]] += 1
            if record.status != "ok":
                tally[_INDEX[_OUTCOMES[record.status]]] += 1
                continue
            tally[_INDEX["missing"]] += record.missing
            tally[_INDEX["disabled"]] += record.disabled
            if not record.outputs or len(record.features) != width * len(record.outputs):
                tally[_INDEX["malformed"]] += 1
                continue
            whole.append(record)
            self._await_label(record)
        for hour, values in latencies.items():
            cells = np.searchsorted(LATENCY_EDGES_US, values)
            counted[hour].latency += np.bincount(cells, minlength=len(LATENCY_EDGES_US) + 1)
        self._into(key, counted)
        if whole:
            off = [index for index, name in enumerate(shape.columns) if name in self._off.get(endpoint, ())]
            self._into(key, count_rows(shape, _batch(whole, len(shape.columns)), off))

    def _count_minutes(self, endpoint: str, records: list[PredictionRecord]) -> None:
        """Good and failed answers by minute, and which came in time where that is known; refusals, the caller's doing, are neither."""
        minutes = self.minutes.setdefault(endpoint, MinuteTally())
        slow_us = self._slow_us.get(endpoint)
        in_time = None if slow_us is None else self.in_time.setdefault(endpoint, MinuteTally())
        counts: dict[int, list[int]] = {}
        for record in records:
            if record.role != "shadow" and record.status != "refused":
                count = counts.setdefault(record.asked_at_us // MINUTE_US, [0, 0, 0])
                count[0] += 1
                count[1] += record.status != "ok"
                count[2] += slow_us is not None and record.latency_us > slow_us
        for minute, (answers, failed, slow) in counts.items():
            minutes.add(minute * MINUTE_US, answers - failed, failed)
            if in_time is not None:
                in_time.add(minute * MINUTE_US, answers - slow, slow)

    def _await_label(self, record: PredictionRecord) -> None:
        """The first answer under an id is the one its label judges; a retry under the same id is not counted again."""
        scores = dict(enumerate(record.outputs))
        self._answers.setdefault((record.endpoint, record.id), (record.version, hour_of(record.asked_at_us), scores))

    def _fold_labels(self, labels: list[LabelRecord]) -> None:
        """Join labels to the answers at hand; those without one wait for it, since workers' logs are not read in one order."""
        for label in labels:
            self._labels.setdefault((label.endpoint, label.id), []).append(label)
        joined: dict[tuple[str, str], list[tuple[int, float, float]]] = {}
        for key in [key for key in self._labels if key in self._answers]:
            version, hour, scores = self._answers[key]
            for label in self._labels.pop(key):
                if label.row in scores and label.label in (0.0, 1.0):
                    joined.setdefault((key[0], version), []).append((hour, scores.pop(label.row), label.label))
            if not scores:
                del self._answers[key]
        for key, each in joined.items():
            table = np.array(each, dtype=np.float64)
            self._into(key, count_labels(self._shapes[key], table[:, 0].astype(np.int64), table[:, 1], table[:, 2]))

    def _forget(self) -> None:
        """Hold every bound: hours per version, versions, answers and labels that wait."""
        while len(self._answers) > self._pending_max:
            del self._answers[next(iter(self._answers))]
            self.unlabelled += 1
        while len(self._labels) > self._pending_max:
            self.orphans += len(self._labels.pop(next(iter(self._labels))))
        for hours in self._hours.values():
            if len(hours) > self._hours_max:
                for hour in sorted(hours)[: len(hours) - self._hours_max]:
                    del hours[hour]
        for endpoint in self.endpoints():
            versions = sorted(self.versions(endpoint), key=lambda version: max(self._hours[endpoint, version], default=0))
            for version in versions[: max(0, len(versions) - VERSIONS_MAX)]:
                del self._hours[endpoint, version]


_OUTCOMES = {"error": "errors", "fallback": "fallbacks", "refused": "refused"}


def _batch(records: list[PredictionRecord], columns: int) -> Batch:
    """Whole answers as arrays, one row a scored row."""
    repeats = np.fromiter((len(record.outputs) for record in records), dtype=np.int64, count=len(records))
    hours = np.fromiter((record.asked_at_us // HOUR_US for record in records), dtype=np.int64, count=len(records))
    off = np.fromiter((record.disabled > 0 for record in records), dtype=np.bool_, count=len(records))
    matrix = np.frombuffer(b"".join([record.features for record in records]), dtype="<f8").reshape(-1, columns)
    scores = np.array([score for record in records for score in record.outputs], dtype=np.float64)
    return Batch(hours=np.repeat(hours, repeats), matrix=matrix, scores=scores, disabled=np.repeat(off, repeats))
