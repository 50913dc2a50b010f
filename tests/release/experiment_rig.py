"""A control plane in memory, callers who come back, and the log of a gateway that obeys the route."""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from tests.release.harness import ALICE, BOB, ENV, NAME, TEAM, Rig, version

from leverframe.core.actor import Actor
from leverframe.core.assignment import Assigner
from leverframe.core.clock import HOUR_US, MINUTE_US
from leverframe.core.command import Command
from leverframe.core.digest import digest_bytes
from leverframe.core.errors import LeverframeError
from leverframe.core.prediction import LabelRecord, LogRecord, PredictionRecord
from leverframe.monitoring.label_match import LabelMatcher
from leverframe.release.experiments.controller import ExperimentController, Seen
from leverframe.release.experiments.plan import Column, ExperimentPlan, Primary
from leverframe.release.experiments.planning import PlanExperiment, StartExperiment
from leverframe.release.experiments.readout import Readout
from leverframe.release.experiments.records import KIND_EXPERIMENT, KIND_READOUT, Experiment, ReadoutNote
from leverframe.release.experiments.report import SpanEnd, final_report, report_bytes

CLICK = Primary(metric="outcome_value", effect=0.05, unlabelled=0.0)
"""Clicks: a request without one counts as 0."""
REGIONS = ("north", "south")


def column(name: str, arms: int = 2) -> Column:
    """``loyalty`` (the caller's mood, known before) or ``region``, as every arm has it."""
    return Column(
        name=name, positions=(("loyalty", "region").index(name),) * arms, categories=(REGIONS,) * arms if name == "region" else ()
    )


REGION, LOYALTY = column("region"), column("loyalty")


@dataclass
class Crowd:
    """Callers with a mood of their own: how likely they click, where they live."""

    callers: int = 600
    rate: float = 0.2
    gain: Callable[[str, str], float] = lambda version, region: 0.0
    fails: Callable[[str], float] = lambda version: 0.0
    latency_us: Callable[[str], int] = lambda version: 3_000
    lost: str = ""
    """A version half of whose answers never reach the log."""


class ExperimentRig(Rig):
    """``flight-delay@v1`` live, ``v2`` and ``v3`` to try."""

    def __init__(self, *, seed: int = 0, **facts: object) -> None:
        super().__init__(seed=seed, versions=(version(1), version(2), version(3)), **facts)
        self.kept: dict[str, bytes] = {}
        self.experiments = ExperimentController(self.journal, ENV, self.report)

    def plan_experiment(self, *versions: str, actor: Actor = ALICE, **facts: object) -> str:
        named = versions or ("flight-delay@v2",)
        defaults = {
            "shares": tuple([100.0 / (len(named) + 1)] * len(named)),
            "primary": CLICK,
            "hash_field": "customer",
            "min_us": 2 * HOUR_US,
            "horizon_us": 96 * HOUR_US,
            "label_horizon_us": HOUR_US,
            "endpoint": NAME,
        }
        command = PlanExperiment(environment=ENV, versions=named, owner_team=TEAM, **{**defaults, **facts})
        return self.write(actor, command)["plan"]

    def start(self, *versions: str, **facts: object) -> str:
        return self.write(ALICE, StartExperiment(plan=self.plan_experiment(*versions, **facts), owner_team=TEAM))["experiment"]

    def experiment(self, id: str) -> Experiment:
        found = self.journal.get(KIND_EXPERIMENT, id, Experiment)
        assert found is not None
        return found

    def readout(self, id: str) -> Readout:
        note = self.journal.get(KIND_READOUT, id, ReadoutNote)
        assert note is not None
        return note.readout

    def look(self) -> tuple[Seen, ...]:
        return self.experiments.tick(self.observations, self.clock.now_us())

    def report(self, plan: ExperimentPlan, experiment: Experiment) -> tuple[str, Readout]:
        made = final_report(plan, experiment, self.log, (SpanEnd(worker="w", number=1, offset=len(self.log)),), LabelMatcher().match)
        data = report_bytes(made)
        self.kept[digest_bytes(data)] = data
        return digest_bytes(data), made.readout

    def callers_ask(self, requests: int = 400, crowd: Crowd | None = None, *, endpoint: str = NAME, minutes: int = 60) -> None:
        """Some time of traffic under the current route; clicks are known within minutes."""
        crowd = crowd or Crowd()
        route = self.journal.get("endpoint", f"{ENV}/{endpoint}", type(self.endpoint()))
        assert route is not None
        assigner = Assigner(route.experiment) if route.experiment else None
        others = [arm for arm in route.arms if arm.role == "canary"]
        now_us, generation = self.clock.now_us(), self.generation()
        for asked_us in np.sort(now_us + self.rng.integers(0, minutes * MINUTE_US, requests)).tolist():
            self.serial += 1
            caller = int(self.rng.integers(0, crowd.callers))
            mood, region = np.random.default_rng(caller).normal(), caller % 2
            index, exposure = assigner.assign(f"customer-{caller}") if assigner else (0, None)
            arm = others[index - 1] if index else route.live
            assert arm is not None
            failed = self.rng.random() < crowd.fails(arm.version)
            rate = np.clip(crowd.rate + 0.05 * mood + crowd.gain(arm.version, REGIONS[region]), 0, 1)
            answered = PredictionRecord(
                id=f"q{self.serial}",
                endpoint=endpoint,
                tenant="default",
                version=arm.version,
                role=arm.role,
                generation=generation,
                asked_at_us=asked_us,
                latency_us=crowd.latency_us(arm.version),
                status="error" if failed else "ok",
                outputs=() if failed else (float(rate),),
                features=struct.pack("<2d", mood, region),
                exposure=exposure,
            )
            if crowd.lost == arm.version and self.rng.random() < 0.5:
                continue
            self.log.append(answered)
            if self.rng.random() < rate:
                self.labels.append(LabelRecord(id=answered.id, endpoint=endpoint, label=1.0, known_at_us=asked_us + 5 * MINUTE_US))
        self.clock.advance(minutes * MINUTE_US)
        known = [label for label in self.labels if label.known_at_us <= self.clock.now_us()]
        self.labels = [label for label in self.labels if label.known_at_us > self.clock.now_us()]
        self.log.extend(sorted(known, key=lambda label: label.known_at_us))

    def run_experiment(self, id: str, hours: int = 120, requests: int = 400, crowd: Crowd | None = None) -> Experiment:
        """Serve and look, hour by hour, until the report is there or ``hours`` are over."""
        for _ in range(hours):
            self.callers_ask(requests, crowd)
            self.look()
            if self.experiment(id).state == "ended":
                break
        return self.experiment(id)


def refused(rig: ExperimentRig, command: Command, actor: Actor = ALICE) -> str:
    """What a command is refused with."""
    try:
        rig.write(actor, command)
    except LeverframeError as error:
        return error.sentence()
    raise AssertionError("it was carried out")


def tampered(log: Iterable[LogRecord], change: Callable[[PredictionRecord], PredictionRecord]) -> list[LogRecord]:
    """The log with one answer changed."""
    done, changed = False, []
    for record in log:
        if not done and isinstance(record, PredictionRecord) and record.exposure is not None:
            record, done = change(record), True
        changed.append(record)
    return changed


__all__ = ["ALICE", "BOB", "CLICK", "ENV", "LOYALTY", "NAME", "REGION", "TEAM", "Crowd", "ExperimentRig", "column", "refused", "tampered"]
