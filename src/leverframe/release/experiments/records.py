"""What the ledger keeps of experiments."""

from typing import Literal

import msgspec

from leverframe.core.assignment import Assignment
from leverframe.core.digest import Digest
from leverframe.release.evidence.evidence import Point
from leverframe.release.experiments.readout import Readout

KIND_EXPERIMENT = "experiment"
KIND_EXPERIMENT_OPEN = "experiment_open"
"""One row for each experiment that still needs looks, so that a look does not read all that ever were."""
KIND_READOUT = "experiment_readout"

State = Literal["running", "concluding", "ended"]
Outcome = Literal["", "winner", "harm", "worse", "futile", "mismatch", "horizon", "stopped", "interrupted"]

LOG_ENTRIES_MAX = 50
"""Entries an experiment's log keeps; there are three in its life, and what people do beside."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to an experiment."""

    at_us: int
    event: str
    actor: str
    reason: str


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """A plan being carried out.

    ``concluding``: the route is the control's again, the final report is being made. ``generation`` is the route generation it began with.
    ``report`` is the digest of the final report, ``proposed`` that of the release plan that its winner was proposed by.
    """

    id: str
    plan: Digest
    environment: str
    endpoint: str
    team: str
    layer: str
    assignment: Assignment
    generation: int
    started_by: str
    approvals: tuple[str, ...]
    started_us: int
    state: State = "running"
    outcome: Outcome = ""
    winner: str = ""
    ended_us: int | None = None
    report: str = ""
    proposed: str = ""
    log: tuple[Entry, ...] = ()

    @property
    def running(self) -> bool:
        """Whether it decides who meets which arm."""
        return self.state == "running"


class OpenExperiment(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment that still needs looks."""

    experiment: str
    generation: int


class ReadoutNote(msgspec.Struct, frozen=True, kw_only=True):
    """The newest noted read-out with the path of its intervals, for people to see; decisions are made from the log itself."""

    experiment: str
    readout: Readout
    paths: tuple[Point, ...]
