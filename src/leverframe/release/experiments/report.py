"""The final report: everything an experiment showed, computed from the log in one canonical order, so that anyone may compute it again.

Looks fold records as they come; the report sorts them first. So the same log gives the same bytes, whoever asks, whenever.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator

import msgspec

from leverframe.core.digest import Digest, canonical_json
from leverframe.core.errors import LimitExceeded
from leverframe.core.prediction import LabelRecord, LogRecord, PredictionRecord, encode_frame
from leverframe.release.experiments.exposures import Exposures
from leverframe.release.experiments.look import look
from leverframe.release.experiments.plan import ExperimentPlan
from leverframe.release.experiments.readout import Readout
from leverframe.release.experiments.records import Experiment, Outcome

RECORDS_MAX = 5_000_000
"""Records a report is computed from; an experiment with more is refused one, and keeps its last read-out."""

_CHUNK = 10_000

Match = Callable[[list[LogRecord]], list[LogRecord]]
"""Gives labels by entity the id of the prediction they are about; stateful, asked chunk by chunk in the order of time."""


class SpanEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How far one gateway worker's log was read: up to ``offset`` of segment ``number``."""

    worker: str
    number: int
    offset: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was planned, what happened, what was seen, and exactly which part of the log says so.

    ``records`` were used, ``records_digest`` is the SHA-256 of their frames in canonical order: a record changed, added or taken away shows
    even where it changes no figure.
    """

    experiment: str
    plan_digest: Digest
    plan: ExperimentPlan
    started_us: int
    ended_us: int
    generation: int
    outcome: Outcome
    winner: str
    readout: Readout
    span: tuple[SpanEnd, ...]
    records: int
    records_digest: str


def final_report(
    plan: ExperimentPlan, experiment: Experiment, records: Iterable[LogRecord], span: tuple[SpanEnd, ...], match: Match
) -> Report:
    """The report of an experiment that has ended.

    Parameters
    ----------
    records: the log up to ``span``, in any order.

    Raises
    ------
    LimitExceeded: more than :data:`RECORDS_MAX` records belong to it.
    """
    ended_us = experiment.ended_us or 0
    used = _in_order(plan, experiment, records, ended_us)
    digest, exposures = hashlib.sha256(), Exposures(plan, experiment)
    for chunk in _chunks(used):
        for record in chunk:
            digest.update(encode_frame(record))
        exposures.fold(match(chunk))
        exposures.ripen(_at(chunk[-1]))
    return Report(
        experiment=experiment.id,
        plan_digest=experiment.plan,
        plan=plan,
        started_us=experiment.started_us,
        ended_us=ended_us,
        generation=experiment.generation,
        outcome=experiment.outcome,
        winner=experiment.winner,
        readout=look(exposures, ended_us),
        span=span,
        records=len(used),
        records_digest=f"sha256:{digest.hexdigest()}",
    )


def report_bytes(report: Report) -> bytes:
    """The one byte form of a report."""
    return canonical_json(report)


def _at(record: LogRecord) -> int:
    return record.asked_at_us if isinstance(record, PredictionRecord) else record.known_at_us


def _order(record: LogRecord) -> tuple[int, int, str, str, str, int]:
    if isinstance(record, LabelRecord):
        return record.known_at_us, 1, record.id, repr(sorted(record.entities.items())), repr(record.label), record.row
    return record.asked_at_us, 0, record.id, record.version, record.role, record.latency_us


def _in_order(plan: ExperimentPlan, experiment: Experiment, records: Iterable[LogRecord], ended_us: int) -> list[LogRecord]:
    """Answers asked and labels known between start and end, oldest first."""
    used: list[LogRecord] = []
    for record in records:
        if record.endpoint != plan.endpoint or not experiment.started_us <= _at(record) < ended_us:
            continue
        if isinstance(record, PredictionRecord) and record.role == "shadow":
            continue
        if len(used) >= RECORDS_MAX:
            raise LimitExceeded("more records than a report is computed from", where=plan.id, expected=f"at most {RECORDS_MAX:,}")
        used.append(record)
    return sorted(used, key=_order)


def _chunks(records: list[LogRecord]) -> Iterator[list[LogRecord]]:
    for start in range(0, len(records), _CHUNK):
        yield records[start : start + _CHUNK]
