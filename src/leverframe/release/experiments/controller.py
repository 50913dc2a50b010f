"""Looks at experiments: reads the log, judges, writes commands. As with releases it owns no state that matters (decision 0004).

What runs is in the ledger, what was seen is in the prediction log; it may die anywhere, and the next one reads, recomputes and goes on.
"""

import logging
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Protocol

import msgspec

from leverframe.core.actor import PLATFORM
from leverframe.core.clock import HOUR_US
from leverframe.core.command import Command, Journal
from leverframe.core.digest import Digest
from leverframe.core.errors import Conflict, LeverframeError, Refused
from leverframe.core.prediction import LogRecord
from leverframe.core.route import Endpoint
from leverframe.release.evidence.evidence import PATH_POINTS_MAX, Point
from leverframe.release.experiments.decide import Ending, ending
from leverframe.release.experiments.exposures import Exposures
from leverframe.release.experiments.look import look
from leverframe.release.experiments.plan import KIND_EXPERIMENT_PLAN, ExperimentPlan
from leverframe.release.experiments.readout import Readout
from leverframe.release.experiments.records import (
    KIND_EXPERIMENT,
    KIND_EXPERIMENT_OPEN,
    KIND_READOUT,
    Experiment,
    OpenExperiment,
    ReadoutNote,
)
from leverframe.release.experiments.running import ConcludeExperiment, FileReport, NoteReadout
from leverframe.release.records import KIND_ENDPOINT

RECORDS_MAX = 50_000
"""Log records read in one tick. When there are more, nothing is decided in this tick: half a log is no read-out."""

NOTE_GROWTH = 16
"""A read-out is noted when callers and outcomes grew by a sixteenth: some 200 notes from the first to the millionth."""

NOTE_STEP = 10
NOTE_EVERY_US = 6 * HOUR_US

log = logging.getLogger("leverframe.experiments")


class Observations(Protocol):
    """The prediction log of the environment."""

    def __call__(self, since: int) -> Iterable[tuple[int, LogRecord]]:
        """Records appended after position ``since`` (0: from before the oldest open experiment), each with the position just after it."""
        ...


MakeReport = Callable[[ExperimentPlan, Experiment], tuple[Digest, Readout]]
"""Makes and keeps the final report of an experiment: its digest, and what it says."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at one experiment said, and what was carried out (empty: nothing)."""

    experiment: str
    done: str
    reason: str


class ExperimentController:
    """Drives the experiments of one environment.

    Parameters
    ----------
    journal: the control plane's memory.    environment: whose experiments.    report: makes final reports.
    """

    def __init__(self, journal: Journal, environment: str, report: MakeReport, *, records_max: int = RECORDS_MAX) -> None:
        self._journal, self._environment, self._report, self._records_max = journal, environment, report, records_max
        self._position = 0
        self._exposures: dict[str, Exposures] = {}
        self._paths: dict[str, list[Point]] = {}
        self._noted: dict[str, tuple[int, int]] = {}

    def open(self) -> list[OpenExperiment]:
        """The experiments that need looks."""
        return self._journal.find(KIND_EXPERIMENT_OPEN, OpenExperiment, prefix=f"{self._environment}.")

    def forget(self) -> None:
        """Start over with the next tick; for when nothing is open, or the log is read anew."""
        self._position, self._exposures, self._paths, self._noted = 0, {}, {}, {}

    def tick(self, observations: Observations, now_us: int) -> tuple[Seen, ...]:
        """Read what is new, then look at every open experiment.

        The log is read before the ledger: what this tick read cannot belong to a route that the ledger did not show yet.

        Raises
        ------
        Unavailable: the ledger did not answer; nothing is lost, tick again.
        """
        batch = list(islice(observations(self._position), self._records_max))
        found = self._open()
        self._fold(batch, found)
        if len(batch) == self._records_max:
            return tuple(Seen(experiment=e.id, done="", reason="reading the log") for e, _ in found)
        return tuple(self._look(experiment, plan, now_us) for experiment, plan in found)

    def _open(self) -> list[tuple[Experiment, ExperimentPlan]]:
        found = []
        for each in self.open():
            experiment = self._journal.get(KIND_EXPERIMENT, each.experiment, Experiment)
            plan = self._journal.get(KIND_EXPERIMENT_PLAN, experiment.plan, ExperimentPlan) if experiment else None
            if experiment is not None and plan is not None:
                found.append((experiment, plan))
        return found

    def _fold(self, batch: list[tuple[int, LogRecord]], found: list[tuple[Experiment, ExperimentPlan]]) -> None:
        exposures = {}
        for experiment, plan in found:
            if experiment.running:
                exposures[experiment.id] = self._exposures.get(experiment.id) or Exposures(plan, experiment)
        try:
            for each in exposures.values():
                each.fold(record for _, record in batch)
        except Exception:
            # Half a batch folded is worse than none: forget everything and read the log again.
            self.forget()
            raise
        self._exposures = exposures
        if batch:
            self._position = batch[-1][0]

    def _look(self, experiment: Experiment, plan: ExperimentPlan, now_us: int) -> Seen:
        if not experiment.running:
            return self._file(experiment, plan)
        endpoint = self._journal.get(KIND_ENDPOINT, plan.endpoint_id, Endpoint)
        readout = look(self._exposures[experiment.id], now_us)
        held = endpoint.experiment if endpoint is not None else None
        if held is None or held.experiment != experiment.id:
            found = Ending(outcome="interrupted", reason="the endpoint's route was changed by somebody else")
        else:
            found = ending(plan, experiment, readout, now_us)
        self._draw(experiment, plan, readout)
        if not found.outcome:
            self._note(experiment, readout, now_us)
            return Seen(experiment=experiment.id, done="", reason=found.reason)
        command = ConcludeExperiment(
            experiment=experiment.id,
            owner_team=experiment.team,
            outcome=found.outcome,
            winner=found.winner,
            reason=found.reason,
            readout=readout,
            paths=tuple(self._paths[experiment.id]),
        )
        return self._write(experiment, command, f"conclude/{found.outcome}/{now_us}", found.outcome, found.reason)

    def _file(self, experiment: Experiment, plan: ExperimentPlan) -> Seen:
        try:
            report, readout = self._report(plan, experiment)
        except LeverframeError as error:
            log.warning("%s: no report: %s", experiment.id, error)
            return Seen(experiment=experiment.id, done="", reason=error.sentence())
        self._draw(experiment, plan, readout)
        command = FileReport(
            experiment=experiment.id,
            owner_team=experiment.team,
            report=report,
            readout=readout,
            paths=tuple(self._paths.pop(experiment.id)),
        )
        return self._write(experiment, command, f"report/{report}", "report", f"the final report is {report}")

    def _write(self, experiment: Experiment, command: Command, key: str, done: str, reason: str) -> Seen:
        try:
            self._journal.write(PLATFORM, command, key=f"experiment/{experiment.id}/{key}")
        except (Conflict, Refused) as refused:
            # Somebody was first, or an operator holds the route; the next look sees how it stands then.
            return Seen(experiment=experiment.id, done="", reason=refused.sentence())
        return Seen(experiment=experiment.id, done=done, reason=reason)

    def _note(self, experiment: Experiment, readout: Readout, now_us: int) -> None:
        size = readout.counts.keys + sum(arm.rows for arm in readout.arms)
        before, at_us = self._noted.get(experiment.id, (0, 0))
        grown = size - before >= max(NOTE_STEP, before // NOTE_GROWTH)
        if not grown and (now_us - at_us < NOTE_EVERY_US or size == before):
            return
        self._noted[experiment.id] = (size, now_us)
        command = NoteReadout(
            experiment=experiment.id, owner_team=experiment.team, readout=readout, paths=tuple(self._paths[experiment.id])
        )
        self._write(experiment, command, f"note/{size}/{now_us}", "", "")

    def _draw(self, experiment: Experiment, plan: ExperimentPlan, readout: Readout) -> None:
        """Append to the paths of all intervals; those of a controller before this one are in the ledger."""
        path = self._paths.get(experiment.id)
        if path is None:
            note = self._journal.get(KIND_READOUT, experiment.id, ReadoutNote)
            path = self._paths[experiment.id] = list(note.paths) if note is not None else []
        for point in _points(plan, readout):
            mine = [index for index, each in enumerate(path) if (each.rule, each.stage) == (point.rule, point.stage)]
            if mine and point.n - path[mine[-1]].n < max(1, path[mine[-1]].n // NOTE_GROWTH):
                continue
            if len(mine) >= PATH_POINTS_MAX:
                for index in reversed(mine[1::2]):
                    del path[index]
            path.append(point)


def _points(plan: ExperimentPlan, readout: Readout) -> list[Point]:
    points = [
        Point(
            rule=plan.primary.metric,
            stage=arm.version,
            at_us=readout.at_us,
            n=arm.rows,
            estimate=arm.gain,
            low=arm.low,
            high=arm.high,
            margin=plan.primary.effect,
        )
        for arm in readout.arms
        if arm.gain is not None and arm.low is not None and arm.high is not None
    ]
    versions = [version for version in plan.versions[1:] for _ in plan.guardrails]
    for verdict, version in zip(readout.guardrails, versions, strict=True):
        if verdict.observed is not None and verdict.low is not None and verdict.high is not None:
            points.append(
                Point(
                    rule=verdict.rule,
                    stage=version,
                    at_us=readout.at_us,
                    n=verdict.n,
                    estimate=verdict.observed,
                    low=verdict.low,
                    high=verdict.high,
                    margin=verdict.threshold,
                )
            )
    return points
