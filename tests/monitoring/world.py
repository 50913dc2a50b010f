"""A small made-up world for monitoring's tests: a model with three columns, a log folder, answers and labels from a seed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from leverframe.core.clock import DAY_US, HOUR_US, ManualClock
from leverframe.core.feature import Freshness
from leverframe.core.prediction import LabelRecord, LogRecord, PredictionRecord, encode_frame
from leverframe.core.profile import ColumnProfile, ReferenceProfile
from leverframe.core.segment import DATA_OFFSET, Counts, SegmentHeader, pack_header, segment_name
from leverframe.core.statistics.binning import bin_edges, count_bins, total_variation
from leverframe.governance.ledger.memory import AllowEverything, MemoryJournal
from leverframe.monitoring.commands import HANDLERS
from leverframe.monitoring.log_reader import is_served
from leverframe.monitoring.origins import Origin
from leverframe.monitoring.windows import Shape

ENDPOINT, VERSION = "flight-delay", "flight-delay@v1"
COLUMNS = ("distance", "weather_temp", "weather_wind")
ORIGINS = {
    "weather_temp": Origin(column="weather_temp", view="origin_weather", feature="temp", source="weather"),
    "weather_wind": Origin(column="weather_wind", view="origin_weather", feature="wind", source="weather"),
}
START_US = 15_800 * DAY_US
NOTHING = Counts()


def column(name: str, values: np.ndarray, days: np.ndarray) -> ColumnProfile:
    """A profile with the null of its own days."""
    edges, low, high = bin_edges(values, 10)
    per_day = np.array([count_bins(values[days == day], edges, low, high) for day in np.unique(days)])
    whole = per_day.sum(axis=0)
    null = tuple(sorted(total_variation(each, whole - each) for each in per_day))
    return ColumnProfile(name=name, edges=edges, counts=tuple(whole.tolist()), low=low, high=high, null_distances=null)


def rows(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs ``[count, 3]`` and scores ``[count]`` of an ordinary moment."""
    matrix = np.column_stack([rng.normal(800, 200, count), rng.normal(50, 10, count), rng.gamma(2.0, 5.0, count)])
    return matrix, rng.beta(2.0, 6.0, count)


def shape(*, version: str = VERSION, days: int = 60, rows_per_day: int = 480, seed: int = 1) -> Shape:
    """A version trained on independent days of :func:`rows`."""
    rng = np.random.default_rng(seed)
    matrix, scores = rows(rng, days * rows_per_day)
    day = np.repeat(np.arange(days), rows_per_day)
    profile = ReferenceProfile(
        rows=len(matrix),
        window_us=DAY_US,
        columns=tuple(column(name, matrix[:, i], day) for i, name in enumerate(COLUMNS)),
        score=column("score", scores, day),
        label_rate=0.25,
        roc_auc=0.75,
        log_loss=0.45,
    )
    return Shape(version, COLUMNS, profile)


def answer(id: str, at_us: int, matrix: np.ndarray, scores: Sequence[float], **changes: object) -> PredictionRecord:
    """One logged answer; ``changes`` replace fields."""
    fields: dict[str, object] = {
        "id": id,
        "endpoint": ENDPOINT,
        "tenant": "default",
        "version": VERSION,
        "role": "live",
        "generation": 1,
        "asked_at_us": at_us,
        "latency_us": 900,
        "status": "ok",
        "outputs": tuple(float(score) for score in scores),
        "features": np.ascontiguousarray(matrix, dtype="<f8").tobytes(),
    }
    return PredictionRecord(**{**fields, **changes})  # type: ignore[arg-type]


def label(id: str, at_us: int, value: float, row: int = 0) -> LabelRecord:
    """One label."""
    return LabelRecord(id=id, endpoint=ENDPOINT, label=value, known_at_us=at_us, row=row)


def day_of_answers(rng: np.random.Generator, from_us: int, *, per_hour: int = 20, hours: int = 24, frozen: bool = False) -> list[LogRecord]:
    """Answers of some hours; ``frozen`` takes the weather away. Labels (known 3 h later) follow the scores."""
    records: list[LogRecord] = []
    matrix, scores = rows(rng, per_hour * hours)
    if frozen:
        matrix[:, 1:] = np.nan
    for index in range(len(scores)):
        at_us = from_us + index * (HOUR_US // per_hour)
        name = f"{at_us}-{index}"
        records.append(answer(name, at_us, matrix[index], [scores[index]], missing=2 if frozen else 0))
        records.append(label(name, at_us + 3 * HOUR_US, float(rng.random() < scores[index])))
    return records


def fresh(now_us: int, *, lag_us: int = HOUR_US, event_lag_us: int | None = None) -> Freshness:
    """The weather view's freshness at ``now_us``."""
    event_us = now_us - (lag_us + HOUR_US if event_lag_us is None else event_lag_us)
    return Freshness(
        view="origin_weather",
        source="weather",
        newest_event_us=event_us,
        newest_arrival_us=now_us - lag_us,
        checked_at_us=now_us,
        lag_us=lag_us,
        sla_us=2 * HOUR_US,
        late=lag_us > 2 * HOUR_US,
    )


def journal(clock: ManualClock) -> MemoryJournal:
    """An in-memory ledger that knows monitoring's commands."""
    return MemoryJournal(clock, AllowEverything(), HANDLERS)


def write_segment(
    folder: Path,
    worker: str,
    number: int,
    records: Sequence[LogRecord],
    *,
    before: Counts = NOTHING,
    sealed: bool = True,
    room: int = 0,
    sealed_at_us: int = 1,
) -> tuple[Path, Counts]:
    """A segment file as a gateway leaves it; returns its path and the counts in its header."""
    served = sum(map(is_served, records))
    counts = before.plus(Counts(served=served, logged=served, labels_logged=sum(isinstance(r, LabelRecord) for r in records)))
    frames = b"".join(map(encode_frame, records))
    header = SegmentHeader(
        worker=worker,
        number=number,
        opened_at_us=1,
        sealed_at_us=sealed_at_us if sealed else 0,
        used=DATA_OFFSET + len(frames),
        before=before,
        counts=counts,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / segment_name(worker, number, sealed=sealed)
    path.write_bytes(pack_header(header) + frames + b"\0" * room)
    return path, counts
